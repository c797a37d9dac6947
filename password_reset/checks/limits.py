"""Whether the limits limit: counters that all processes share, and visitors who can be
told apart.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.cache import InvalidCacheBackendError, caches
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured

#: Neither shared by all processes nor atomic, each in its own way.
WEAK_CACHES = {
    "django.core.cache.backends.locmem.LocMemCache": "each process counts for itself",
    "django.core.cache.backends.dummy.DummyCache": "nothing is counted",
    "django.core.cache.backends.db.DatabaseCache": "simultaneous requests are counted "
    "as one",
    "django.core.cache.backends.filebased.FileBasedCache": "simultaneous requests are "
    "counted as one",
}
#: Those that a site must not be without; ``None`` switches one off.
RATES = (
    "REQUEST_RATE_PER_IP",
    "REQUEST_RATE_PER_IPV4_24",
    "REQUEST_RATE_PER_IPV6_56",
    "REQUEST_RATE_PER_IPV6_48",
    "REQUEST_RATE_PER_EMAIL",
    "REQUEST_RATE_PER_IP_AND_EMAIL",
    "REQUEST_RATE_RESERVED",
    "REQUEST_RATE_PER_DEVICE",
    "STAFF_RATE_PER_EMAIL",
    "CONFIRM_RATE_PER_IP",
)
DEVICE_COOKIE = "password_reset.device.DeviceCookieMiddleware"
UPDATE_CACHE = "django.middleware.cache.UpdateCacheMiddleware"


def check_challenge(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W023: no soft limit, so no form ever asks for the proof."""
    wanted = ("CHALLENGE", "CHALLENGE_RATE_PER_IP", "CHALLENGE_RATE_PER_SITE")
    values = [getattr(settings, f"PASSWORD_RESET_{name}", None) for name in wanted]
    if values[0] is None or any(values[1:]):
        return []
    return [
        Warning(
            "PASSWORD_RESET_CHALLENGE is set, but no soft limit above which a form "
            "would ask for it.",
            hint="Set PASSWORD_RESET_CHALLENGE_RATE_PER_IP, such as '2/h', or "
            "PASSWORD_RESET_CHALLENGE_RATE_PER_SITE.",
            id="password_reset.W023",
        )
    ]


def check_limits_are_on(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W005: the limits are switched off."""
    off = [
        f"PASSWORD_RESET_{name}"
        for name in RATES
        if getattr(settings, f"PASSWORD_RESET_{name}", "") is None
    ]
    if not getattr(settings, "RATELIMIT_ENABLE", True):
        off.append("RATELIMIT_ENABLE")
    if settings.DEBUG or not off:
        return []
    return [
        Warning(
            f"Limits of password reset are switched off by {', '.join(off)}.",
            hint="Anybody may fill anybody's mailbox. Switch them off in tests only.",
            id="password_reset.W005",
        )
    ]


def check_cache(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W004: the cache of the counters is not shared or not atomic."""
    alias = getattr(settings, "RATELIMIT_USE_CACHE", "default")
    path = settings.CACHES.get(alias, {}).get("BACKEND", "")
    if settings.DEBUG or path not in WEAK_CACHES:
        return []
    return [
        Warning(
            f"The limits count in CACHES[{alias!r}], where {WEAK_CACHES[path]}.",
            hint="Use Redis or Memcached, and name its alias in RATELIMIT_USE_CACHE.",
            id="password_reset.W004",
        )
    ]


def check_cache_client(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E009: the cache of the counters cannot be made, so every request would be 503."""
    alias = getattr(settings, "RATELIMIT_USE_CACHE", "default")
    try:
        # Django's Redis cache asks for its client's package only when it is used.
        getattr(caches[alias], "_cache", None)
    except (ImportError, InvalidCacheBackendError, ImproperlyConfigured) as error:
        return [
            Error(
                f"The limits count in CACHES[{alias!r}], which cannot be used: {error}",
                hint="Install the package that this cache back end needs, or name the "
                "alias of another cache in RATELIMIT_USE_CACHE.",
                id="password_reset.E009",
            )
        ]
    return []


def check_device_cookie(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W020: a page may be cached together with the device cookie of whoever got it."""
    order = list(settings.MIDDLEWARE)
    if not {DEVICE_COOKIE, UPDATE_CACHE} <= {*order}:
        return []
    if order.index(DEVICE_COOKIE) < order.index(UPDATE_CACHE):
        return []
    return [
        Warning(
            "The middleware that caches pages stands before the one that sets the "
            "device cookie: a page could be cached with somebody's cookie.",
            hint=f"Put {DEVICE_COOKIE!r} before {UPDATE_CACHE!r} in MIDDLEWARE.",
            id="password_reset.W020",
        )
    ]


def check_proxies(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W009: the site stands behind a proxy that is not named, so all visitors share one
    limit.
    """
    behind_proxy = (
        bool(settings.SECURE_PROXY_SSL_HEADER) or settings.USE_X_FORWARDED_HOST
    )
    named = bool(getattr(settings, "PASSWORD_RESET_TRUSTED_PROXIES", None))
    if settings.DEBUG or named or not behind_proxy:
        return []
    return [
        Warning(
            "This site stands behind a proxy, but PASSWORD_RESET_TRUSTED_PROXIES is "
            "empty: all visitors share one "
            "limit.",
            hint="Name the networks of your proxies, such as ['10.0.0.0/8'], or 'unix' "
            "for a Unix socket.",
            id="password_reset.W009",
        )
    ]
