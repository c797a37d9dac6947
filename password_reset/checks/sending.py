"""Whether a mail is sent, from where, and what its link begins with."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Warning
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError
from django.urls import NoReverseMatch, resolve, reverse
from django.utils import timezone

from password_reset import bells, services
from password_reset.conf import Settings, conf

#: A worker that lives takes a due row within seconds.
NO_WORKER_AFTER = timedelta(minutes=5)
OUR_PAGE = ("password_reset.views", "PasswordResetConfirmView")
#: Back ends that write whole mails, links included, where logs are kept.
WRITING_BACKENDS = (
    "django.core.mail.backends.console.",
    "django.core.mail.backends.filebased.",
)


def check_base_url(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E001: without a base URL a link would have to trust the request's Host header."""
    if settings.DEBUG or getattr(settings, "PASSWORD_RESET_BASE_URL", None):
        return []
    return [
        Error(
            "PASSWORD_RESET_BASE_URL is not set.",
            hint="Set it to the address of this site, such as "
            "'https://www.example.com'.",
            id="password_reset.E001",
        )
    ]


def check_base_url_is_secure(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W002: a link over plain HTTP shows its token to everybody on the way."""
    url = str(getattr(settings, "PASSWORD_RESET_BASE_URL", None) or "https:")
    if settings.DEBUG or url.startswith("https:"):
        return []
    return [
        Warning(
            "The links in mails are not encrypted: PASSWORD_RESET_BASE_URL does not "
            "begin with https.",
            hint="Serve the site over HTTPS and write its address with https.",
            id="password_reset.W002",
        )
    ]


def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E002: a setting of this app has the wrong type or shape."""
    names = [
        name for name, value in vars(Settings).items() if isinstance(value, property)
    ]
    problems = {problem: None for name in names if (problem := _problem(name))}
    return [Error(problem, id="password_reset.E002") for problem in problems]


def check_link(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E006: no page opens the link in a mail."""
    if getattr(settings, "PASSWORD_RESET_LINK_TEMPLATE", None):
        return []
    try:
        match = resolve(reverse("password_reset_confirm"))
    except NoReverseMatch:
        match = None
    classes = getattr(getattr(match, "func", None), "view_class", object).__mro__
    if any((base.__module__, base.__name__) == OUR_PAGE for base in classes):
        return []
    return [
        Error(
            "No page of this app answers under the name password_reset_confirm, so "
            "links in mails lead nowhere.",
            hint="Include 'password_reset.urls' after any other include that has views "
            "of the same names, or set "
            "PASSWORD_RESET_LINK_TEMPLATE.",
            id="password_reset.E006",
        )
    ]


def check_task_backend(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E003: the bell rings nowhere."""
    alias = _alias()
    if alias is None or alias in bells.aliases():
        return []
    return [
        Error(
            f"PASSWORD_RESET_TASK_BACKEND names {alias!r}, which TASKS does not have.",
            hint="Name an alias of TASKS; or None, when cron runs "
            "process_reset_requests.",
            id="password_reset.E003",
        )
    ]


def check_task_queue(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """I001: the back end has no queue called default, so a worker must serve another
    one.
    """
    alias = _usable_alias()
    if alias is None or (queue := bells.queue_of(alias)) == bells.DEFAULT_QUEUE:
        return []
    return [
        Info(
            f"TASKS[{alias!r}] has no queue 'default': the mails of password reset go "
            f"to {queue!r}.",
            hint=f"Let a worker serve the queue {queue!r}, or add 'default' to QUEUES.",
            id="password_reset.I001",
        )
    ]


def check_immediate(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W001: mails are sent inside the web request."""
    alias = _usable_alias()
    if settings.DEBUG or alias is None or not bells.is_immediate(alias):
        return []
    return [
        Warning(
            "TASKS names no background worker: reset mails are sent inside the web "
            "request, and its time tells "
            "who has an account.",
            hint="Configure a TASKS back end with a worker, or set "
            "PASSWORD_RESET_TASK_BACKEND = None and run "
            "process_reset_requests from cron.",
            id="password_reset.W001",
        )
    ]


def check_backlog(
    app_configs: Any, databases: Any = None, **kwargs: Any
) -> list[CheckMessage]:
    """W003: requests wait and nobody works on them."""
    if not databases or "default" not in databases:
        return []
    try:
        waiting = services.backlog()
    except DatabaseError:  # not migrated yet
        return []
    age = timedelta(seconds=waiting.due_seconds)
    if age < NO_WORKER_AFTER:
        return []
    return [
        Warning(
            f"{waiting.due} requests wait since {timezone.now() - age:%Y-%m-%d %H:%M}: "
            "no worker is running.",
            hint="Start the worker of your TASKS back end, or run "
            "process_reset_requests.",
            id="password_reset.W003",
        )
    ]


def check_mail_timeout(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W010: a mail server that is silent hangs a worker for ever."""
    if settings.DEBUG or not any(
        "smtp" in path and timeout is None for path, timeout in _mail_backends()
    ):
        return []
    return [
        Warning(
            "Mail is sent by SMTP without a time-out.",
            hint="Set EMAIL_TIMEOUT = 10, or 'timeout' in the OPTIONS of MAILERS.",
            id="password_reset.W010",
        )
    ]


def check_mail_in_logs(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W011: whole mails, and so working links, are written to a log."""
    written = any(path.startswith(WRITING_BACKENDS) for path, _ in _mail_backends())
    debugged = getattr(settings, "ANYMAIL", {}).get("DEBUG_API_REQUESTS", False)
    if settings.DEBUG or not (written or debugged):
        return []
    return [
        Warning(
            "Mails are written to the console, a file or a debug log, and with them "
            "links that work.",
            hint="Use a mail back end that sends, and leave "
            "ANYMAIL['DEBUG_API_REQUESTS'] off.",
            id="password_reset.W011",
        )
    ]


def _mail_backends() -> list[tuple[str, object]]:
    """Return the path and the time-out of each mail back end: MAILERS from Django 6.1
    on, EMAIL_BACKEND before.
    """
    if mailers := getattr(settings, "MAILERS", None):
        return [
            (
                one.get("BACKEND", "django.core.mail.backends.smtp."),
                one.get("OPTIONS", {}).get("timeout"),
            )
            for one in mailers.values()
        ]
    return [(settings.EMAIL_BACKEND, settings.EMAIL_TIMEOUT)]


def _alias() -> str | None:
    try:
        return conf.task_backend
    except ImproperlyConfigured:  # E002 says so
        return None


def _usable_alias() -> str | None:
    alias = _alias()
    return alias if alias in bells.aliases() else None


def _problem(name: str) -> str:
    try:
        getattr(conf, name)
    except ImproperlyConfigured as error:
        without_url = name in {"base_url", "app_name"} and not getattr(
            settings, "PASSWORD_RESET_BASE_URL", None
        )
        return "" if without_url else str(error)  # E001 says so
    return ""
