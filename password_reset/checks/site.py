"""What the flow depends on in the host: host names, cookies, sessions."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

CLASHING_DISTRIBUTION = "django-password-reset"


def check_allowed_hosts(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W006: any Host header is accepted."""
    if settings.DEBUG or "*" not in settings.ALLOWED_HOSTS:
        return []
    return [
        Warning(
            "ALLOWED_HOSTS accepts every host.",
            hint="Name the hosts of this site. Links are safe all the same, since they "
            "begin with "
            "PASSWORD_RESET_BASE_URL, but a shared cache in front may be poisoned.",
            id="password_reset.W006",
        )
    ]


def check_cookies(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W008: cookies travel over plain HTTP."""
    off = [
        name
        for name in ("SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE")
        if not getattr(settings, name)
    ]
    if settings.DEBUG or not off:
        return []
    return [
        Warning(
            f"Cookies may travel unencrypted: {' and '.join(off)} is not True.",
            hint="Set both to True on a site that is served over HTTPS.",
            id="password_reset.W008",
        )
    ]


def check_session_engine(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W007: sessions in signed cookies cannot be deleted or counted."""
    if not settings.SESSION_ENGINE.endswith("signed_cookies"):
        return []
    return [
        Warning(
            "Sessions live in signed cookies: a reset ends them by the session hash, "
            "but can neither delete nor "
            "count them.",
            hint="Use another SESSION_ENGINE where the number of ended sessions "
            "matters.",
            id="password_reset.W007",
        )
    ]


def check_clashing_package(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E005: two distributions own the import package password_reset."""
    try:
        distribution(CLASHING_DISTRIBUTION)
    except PackageNotFoundError:
        return []
    return [
        Error(
            f"The distribution {CLASHING_DISTRIBUTION} installs an import package of "
            "the same name.",
            hint=f"Run 'pip uninstall {CLASHING_DISTRIBUTION}' and install "
            "django-resetkit again.",
            id="password_reset.E005",
        )
    ]
