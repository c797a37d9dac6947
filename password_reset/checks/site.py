"""What stands around the flow: hosts, cookies, sessions, and other flows beside it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver

from password_reset.conf import conf
from password_reset.pages import change_password_url

#: Modules with reset views of their own: each leaks by time or status, and none of them
#: knows our limits.
OTHER_FLOWS = {
    "django.contrib.auth.views",
    "allauth.account.views",
    "allauth.headless.account.views",
    "dj_rest_auth.views",
    "django_rest_passwordreset.views",
    "djoser.views",
}
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


def check_other_flows(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W013: another reset flow stays reachable beside this one."""
    others = sorted(
        {
            f"/{path} ({view})"
            for path, view in _reset_views(get_resolver().url_patterns)
        }
    )
    if not others:
        return []
    return [
        Warning(
            f"Another password reset flow is reachable: {', '.join(others)}.",
            hint="Include only the views that you need, such as LoginView and "
            "LogoutView; the old flow has neither "
            "these limits nor these promises.",
            id="password_reset.W013",
        )
    ]


def check_change_password_url(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E002: password managers are led to a page that is not there."""
    try:
        if conf.change_password_url:
            change_password_url()
    except ImproperlyConfigured:
        return []  # check_settings says so
    except NoReverseMatch as error:
        return [
            Error(
                f"PASSWORD_RESET_CHANGE_PASSWORD_URL names no page: {error}",
                hint="Give it a URL, a path or the name of a URL pattern.",
                id="password_reset.E002",
            )
        ]
    return []


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


def _reset_views(patterns: list[Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for pattern in patterns:
        path = prefix + str(pattern.pattern).lstrip("^")
        if isinstance(pattern, URLResolver):
            yield from _reset_views(pattern.url_patterns, path)
        elif isinstance(pattern, URLPattern) and (
            view := _reset_view(pattern.callback)
        ):
            yield path, view


def _reset_view(callback: Any) -> str:
    """Return the name of another package's reset view, or nothing."""
    view = (
        getattr(callback, "view_class", None)
        or getattr(callback, "cls", None)
        or callback
    )
    modules = {
        base.__module__
        for base in getattr(view, "__mro__", (view,))
        if hasattr(base, "__module__")
    }
    actions = (getattr(callback, "actions", None) or {}).values()
    words = "".join([getattr(view, "__name__", ""), *actions]).lower().replace("_", "")
    resets = "passwordreset" in words or "resetpassword" in words
    return (
        f"{view.__module__}.{view.__name__}" if resets and modules & OTHER_FLOWS else ""
    )
