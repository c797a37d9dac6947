"""How often: django-ratelimit's counters under our own keys, translated into our own
answers.
"""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Sequence
from enum import StrEnum

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.crypto import salted_hmac
from django_ratelimit.core import get_usage

from . import metrics
from .conf import conf
from .visitors import client_network

logger = logging.getLogger("password_reset")


class Scope(StrEnum):
    """What a counter counts; the label of ``password_reset_rate_limit_total``."""

    REQUEST_IP = "request_ip"
    REQUEST_EMAIL = "request_email"
    CONFIRM_IP = "confirm_ip"


metrics.begin_with_zero(metrics.rate_limit_total, "scope", Scope)


class RateLimited(Exception):
    """A limit is reached; ``retry_after`` is in seconds, at least 1."""

    def __init__(self, scope: Scope, retry_after: int) -> None:
        super().__init__(f"{scope}: {retry_after} s")
        self.scope = scope
        self.retry_after = retry_after


class CounterUnavailable(Exception):
    """The counters cannot be read: fail closed, as the guide's ``skipOnError: false``
    does.
    """


def enforce_request_limits(ip_address: str | None, email: str) -> None:
    """Count a request for an address.

    The network comes first and, where it refuses, the address is not counted: nobody
    can use up a victim's limit from a network that has used up its own.

    Raises ``RateLimited`` or ``CounterUnavailable``.
    """
    _count(Scope.REQUEST_IP, client_network(ip_address), conf.request_rate_per_ip)
    enforce_address_limit(email)


def enforce_address_limit(email: str) -> None:
    """Count a mail to an address, whoever asks. Raises ``RateLimited`` or
    ``CounterUnavailable``.
    """
    _count(Scope.REQUEST_EMAIL, address_key(email), conf.request_rate_per_email)


def enforce_attempt_limit(ip_address: str | None) -> None:
    """Count an attempt at spending a link. Raises ``RateLimited`` or
    ``CounterUnavailable``.
    """
    _count(Scope.CONFIRM_IP, client_network(ip_address), conf.confirm_rate_per_ip)


def address_retry_after(email: str) -> int | None:
    """Return the seconds until an address may be asked for again; ``None`` when it may
    now. Counts nothing.
    """
    return _wait(Scope.REQUEST_EMAIL, address_key(email), conf.request_rate_per_email)


def address_key(email: str) -> str:
    """Return the key under which an address is counted: one for all its spellings, and
    not readable.
    """
    folded = unicodedata.normalize("NFKC", email).casefold()
    return salted_hmac(
        "password_reset.ratelimit", folded, algorithm="sha256"
    ).hexdigest()


def _count(scope: Scope, value: str, rates: Sequence[str]) -> None:
    for rate in rates:
        usage = _usage(scope, value, rate, increment=True)
        if usage and usage["should_limit"]:
            metrics.rate_limit_total.labels(scope=scope).inc()
            # Not a second too early: another window of the same rate may be closed for
            # longer.
            raise RateLimited(
                scope, max(_retry_after(usage), _wait(scope, value, rates) or 0)
            )


def _wait(scope: Scope, value: str, rates: Sequence[str]) -> int | None:
    """Return the seconds until every window is open again; ``None`` when all are.
    Counts nothing.
    """
    usages = [_usage(scope, value, rate, increment=False) for rate in rates]
    return max(
        (
            _retry_after(usage)
            for usage in usages
            if usage and usage["count"] >= usage["limit"]
        ),
        default=None,
    )


def _retry_after(usage: dict[str, int]) -> int:
    # The last second of a window still belongs to it.
    return max(usage["time_left"] + 1, 1)


def _usage(
    scope: Scope, value: str, rate: str, *, increment: bool
) -> dict[str, int] | None:
    """Ask django-ratelimit; ``None`` when the host has switched all limits off
    (``RATELIMIT_ENABLE``).
    """
    if not getattr(settings, "RATELIMIT_ENABLE", True):
        return None
    try:
        usage: dict[str, int] | None = get_usage(
            None,
            group=f"password-reset:{scope}",
            key=lambda group, request: value,
            rate=rate,
            increment=increment,
        )
    except ImproperlyConfigured:
        raise
    except Exception as error:  # each cache client raises its own
        logger.error(
            "The counters of password reset cannot be reached: %s", type(error).__name__
        )
        raise CounterUnavailable from error
    # None is RATELIMIT_FAIL_OPEN and a limit of zero a silent cache error: neither
    # lets anything pass. (Such an error also has a negative time, but so has a counter
    # that was asked in the last moment of its window.)
    if usage is None or not usage["limit"]:
        raise CounterUnavailable
    return usage
