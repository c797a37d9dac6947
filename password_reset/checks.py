"""System checks: each has one concern, an id, a sentence and a hint."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.core.exceptions import ImproperlyConfigured

from . import tasks
from .conf import Settings, conf


def register_all() -> None:
    """Register every check of this module."""
    register(check_base_url, Tags.security)
    register(check_settings, Tags.compatibility)
    register(check_task_backend, Tags.security)


def check_base_url(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E001: without a base URL a link would have to trust the request's Host header."""
    if settings.DEBUG or getattr(settings, "PASSWORD_RESET_BASE_URL", None):
        return []
    return [
        Error(
            "PASSWORD_RESET_BASE_URL is not set.",
            hint="Set it to the address of this site, such as 'https://example.com'.",
            id="password_reset.E001",
        )
    ]


def check_settings(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E002: a setting of this app has the wrong type or shape."""
    names = [name for name, value in vars(Settings).items() if isinstance(value, property)]
    return [Error(message, id="password_reset.E002") for name in names if (message := _wrong(name))]


def check_task_backend(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W001: mails are sent inside the web request."""
    alias = conf.task_backend
    if settings.DEBUG or alias is None or not tasks.is_immediate(alias):
        return []
    return [
        Warning(
            "TASKS names no background worker: reset mails are sent inside the web request, and its time tells "
            "who has an account.",
            hint="Configure a TASKS back end with a worker, or set PASSWORD_RESET_TASK_BACKEND = None and run "
            "process_reset_requests from cron.",
            id="password_reset.W001",
        )
    ]


def _wrong(name: str) -> str:
    try:
        getattr(conf, name)
    except ImproperlyConfigured as error:
        missing_url = name in {"base_url", "app_name"} and not getattr(settings, "PASSWORD_RESET_BASE_URL", None)
        return "" if missing_url else str(error)
    return ""
