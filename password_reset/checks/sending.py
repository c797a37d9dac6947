"""Whether a worker sends the emails, and what their links begin with."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Warning
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, router
from django.urls import NoReverseMatch
from django.utils import timezone

from password_reset import services, wakeup
from password_reset.conf import PREFIX, Settings, conf
from password_reset.models import PasswordResetRequest
from password_reset.pages import Page, path_of

#: A running worker takes a due row within seconds.
NO_WORKER_AFTER = timedelta(minutes=5)
#: The settings of this app, by the names of their properties.
NAMES = [name for name, value in vars(Settings).items() if isinstance(value, property)]
#: Of Django's own flow; a check of its own says that it is set in vain.
DJANGOS_OWN = "PASSWORD_RESET_TIMEOUT"


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
            "The links in emails are not encrypted: PASSWORD_RESET_BASE_URL does not "
            "begin with https.",
            hint="Serve the site over HTTPS and write its address with https.",
            id="password_reset.W002",
        )
    ]


def check_script_name(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W019: the links in mails lack the prefix under which the site answers."""
    prefix = (settings.FORCE_SCRIPT_NAME or "").strip("/")
    url = str(getattr(settings, "PASSWORD_RESET_BASE_URL", None) or "")
    if not prefix or getattr(settings, "PASSWORD_RESET_LINK_TEMPLATE", None):
        return []
    if urlsplit(url).path.strip("/").endswith(prefix):
        return []
    return [
        Warning(
            f"This site answers under /{prefix} (FORCE_SCRIPT_NAME), but the links in "
            "emails do not begin so.",
            hint=f"Let PASSWORD_RESET_BASE_URL end with /{prefix}.",
            id="password_reset.W019",
        )
    ]


def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E002: a setting of this app has the wrong type or shape."""
    problems = {problem: None for name in NAMES if (problem := _problem(name))}
    return [Error(problem, id="password_reset.E002") for problem in problems]


def check_names(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W015: a setting that looks like one of this app, but is none."""
    known = {PREFIX + name.upper() for name in NAMES}
    found = {name for name in dir(settings) if name.startswith(PREFIX)}
    return [_unknown(name, known) for name in sorted(found - known - {DJANGOS_OWN})]


def check_link(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E006: no page opens the link in an email."""
    if getattr(settings, "PASSWORD_RESET_LINK_TEMPLATE", None):
        return []
    try:
        path_of(Page.CONFIRM)
    except NoReverseMatch:
        return [
            Error(
                "No page of this app opens the links in emails: its URLs are not "
                "included.",
                hint="Add path('', include('password_reset.urls')) to your URLs, or "
                "set PASSWORD_RESET_LINK_TEMPLATE.",
                id="password_reset.E006",
            )
        ]
    return []


def check_task_backend(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E003: the task back end that wakes a worker does not exist."""
    alias = _alias()
    if alias is None or alias in wakeup.aliases():
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
    if alias is None or (queue := wakeup.queue_of(alias)) == wakeup.DEFAULT_QUEUE:
        return []
    return [
        Info(
            f"TASKS[{alias!r}] has no queue 'default': the emails of password reset go "
            f"to {queue!r}.",
            hint=f"Let a worker serve the queue {queue!r}, or add 'default' to QUEUES.",
            id="password_reset.I001",
        )
    ]


def check_immediate(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W001: emails are sent inside the web request."""
    alias = _usable_alias()
    if settings.DEBUG or alias is None or not wakeup.is_immediate(alias):
        return []
    return [
        Warning(
            "TASKS names no background worker: reset emails are sent inside the web "
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
    """W003: requests wait and no worker takes them."""
    if router.db_for_write(PasswordResetRequest) not in (databases or ()):
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


def _unknown(name: str, known: Iterable[str]) -> CheckMessage:
    nearest = get_close_matches(name, known, n=1)
    return Warning(
        f"{name} is no setting of this app, and nothing reads it.",
        hint=f"Did you mean {nearest[0]}?" if nearest else "See docs/settings.md.",
        id="password_reset.W015",
    )


def _alias() -> str | None:
    try:
        return conf.task_backend
    except ImproperlyConfigured:  # E002 says so
        return None


def _usable_alias() -> str | None:
    alias = _alias()
    return alias if alias in wakeup.aliases() else None


def _problem(name: str) -> str:
    try:
        getattr(conf, name)
    except ImproperlyConfigured as error:
        without_url = name in {"base_url", "app_name"} and not getattr(
            settings, "PASSWORD_RESET_BASE_URL", None
        )
        return "" if without_url else str(error)  # E001 says so
    return ""
