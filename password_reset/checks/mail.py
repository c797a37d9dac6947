"""Whether email can be sent, by which server and under whose name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import django
from django.conf import global_settings
from django.core.checks import CheckMessage, Info, Warning

from password_reset.conf import settings

SMTP = "django.core.mail.backends.smtp.EmailBackend"
#: Back ends that write whole emails, links included, where logs are kept.
WRITING_BACKENDS = (
    "django.core.mail.backends.console.",
    "django.core.mail.backends.filebased.",
)


@dataclass(frozen=True)
class Mailer:
    """A mail back end, as either of Django's two kinds of settings describes it."""

    backend: str
    host: str | None
    timeout: float | None


def check_mailers(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W017: Django 6.1's MAILERS are there, but none that is used by default."""
    if not _has_mailers() or "default" in settings.MAILERS:
        return []
    return [
        Warning(
            "MAILERS has no entry 'default', so no email can be sent.",
            hint="Add MAILERS['default'] with the BACKEND and OPTIONS of your mail "
            "server. Requests are kept meanwhile, and sent once there is one.",
            id="password_reset.W017",
        )
    ]


def check_mail_server(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """I002: no mail server is named, so Django tries one on this machine."""
    default = mailers().get("default")
    if default is None or default.backend != SMTP or default.host:
        return []
    return [
        Info(
            "No mail server is set: emails go to one on this machine (localhost:25), "
            "or nowhere.",
            hint=f"Set {_how('host')}; or, in development, the console back end.",
            id="password_reset.I002",
        )
    ]


def check_sender(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W016: emails come from webmaster@localhost, which no mailbox believes."""
    sender = getattr(settings, "PASSWORD_RESET_FROM_EMAIL", None)
    sender = sender or settings.DEFAULT_FROM_EMAIL
    if settings.DEBUG or sender != global_settings.DEFAULT_FROM_EMAIL:
        return []
    return [
        Warning(
            f"Emails are sent from {sender}, Django's default.",
            hint="Set DEFAULT_FROM_EMAIL, or PASSWORD_RESET_FROM_EMAIL, to an address "
            "of your domain.",
            id="password_reset.W016",
        )
    ]


def check_mail_timeout(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W010: a mail server that does not respond blocks a worker for ever."""
    found = mailers().values()
    endless = any("smtp" in one.backend and one.timeout is None for one in found)
    if settings.DEBUG or not endless:
        return []
    return [
        Warning(
            "Mail is sent by SMTP without a time-out.",
            hint=f"Set {_how('timeout')} to 10 seconds.",
            id="password_reset.W010",
        )
    ]


def check_mail_in_logs(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W011: whole emails, and so working links, are written to a log."""
    found = mailers().values()
    written = any(one.backend.startswith(WRITING_BACKENDS) for one in found)
    debugged = getattr(settings, "ANYMAIL", {}).get("DEBUG_API_REQUESTS", False)
    if settings.DEBUG or not (written or debugged):
        return []
    return [
        Warning(
            "Emails are written to the console, a file or a debug log, and with them "
            "links that work.",
            hint="Use a mail back end that sends, and leave "
            "ANYMAIL['DEBUG_API_REQUESTS'] off.",
            id="password_reset.W011",
        )
    ]


def mailers() -> dict[str, Mailer]:
    """Return the mail back ends by alias: MAILERS where the host has it, else EMAIL_*.

    Where MAILERS is set, reading an EMAIL_* setting raises; it may also be empty.
    """
    if _has_mailers():
        return {name: _of_mailer(entry) for name, entry in settings.MAILERS.items()}
    host = settings.EMAIL_HOST if settings.is_overridden("EMAIL_HOST") else None
    default = Mailer(settings.EMAIL_BACKEND, host, settings.EMAIL_TIMEOUT)
    return {"default": default}


def _has_mailers() -> bool:
    """Return whether MAILERS counts: Django before 6.1 does not read it, so a project
    for several versions may have both kinds.
    """
    return django.VERSION >= (6, 1) and settings.is_overridden("MAILERS")


def _of_mailer(entry: dict[str, Any]) -> Mailer:
    options = entry.get("OPTIONS", {})
    backend = entry.get("BACKEND", SMTP)
    return Mailer(backend, options.get("host"), options.get("timeout"))


def _how(option: str) -> str:
    """Return the setting that holds an option of the mail back end, in this host."""
    if _has_mailers():
        return f"{option!r} in the OPTIONS of MAILERS['default']"
    return f"EMAIL_{option.upper()}"
