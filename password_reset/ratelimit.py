"""How often: count a request in its budgets, and refuse or hold what is too much."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from . import budgets, counters, metrics
from .budgets import Budget, Scope
from .counters import Count, Window, address_key

__all__ = [
    "Admission",
    "CounterUnavailable",
    "RateLimited",
    "Scope",
    "address_key",
    "address_retry_after",
    "enforce_attempt_limit",
    "enforce_link_limit",
    "enforce_request_limits",
    "enforce_second_factor_limit",
    "enforce_staff_limit",
    "record_refusal",
    "second_factor_retry_after",
    "soft_limit",
    "staff_retry_after",
]

logger = logging.getLogger("password_reset")

Found = TypeVar("Found")


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


@dataclass(frozen=True)
class Admission:
    """How a request was let in. One that is held gets the answer of any other, and the
    worker mails nobody for it.
    """

    is_held: bool = False


def enforce_request_limits(
    ip_address: str | None, email: str, device: str = "", *, is_proven: bool = False
) -> Admission:
    """Count a request for an address; two round trips to Redis, whatever they say.

    ``device`` is what ``visitors.visitor_of`` found. ``is_proven`` is for a visitor who
    gave the proof that a form asks for above ``soft_limit``: the limit of their own
    client network is lifted, those of wider networks are not.

    Raises ``RateLimited`` for what this visitor asked for themselves, and
    ``CounterUnavailable``.
    """
    if not _is_enabled():
        return Admission()
    mine = budgets.of_request(ip_address, email, device, is_proven=is_proven)
    counts = _read(mine.all)
    decision = mine.decide(counts)
    soft = () if decision.refused else mine.soft
    drawn = (*decision.own, *decision.mail, *soft)
    # Counted or not, each is asked for: the same work for everybody.
    counted = _count(mine.asked(decision), drawn)
    if decision.refused:
        _refuse(decision.refused, counts, ip_address)
    if raced := _overdrawn(decision.own, counted):
        _take_back(drawn)
        _refuse(raced, counted, ip_address)
    if raced := mine.raced(decision, counted):
        _take_back(raced)
    return Admission(decision.is_held or bool(raced))


def enforce_staff_limit(email: str) -> None:
    """Count an email to an address that staff send. Raises ``RateLimited`` or
    ``CounterUnavailable``.
    """
    _enforce(budgets.of_staff(email))


def enforce_attempt_limit(ip_address: str | None) -> None:
    """Count an attempt with a link that opens nothing. Raises ``RateLimited`` or
    ``CounterUnavailable``.
    """
    _enforce(budgets.of_attempts(ip_address), ip_address)


def enforce_link_limit(token_id: int, ip_address: str | None) -> None:
    """Count an attempt with a link that works, by the link: nobody else can use this
    limit up, and no counter that is full or away refuses its holder. Raises
    ``RateLimited``.
    """
    try:
        _enforce(budgets.of_link(token_id), ip_address)
    except CounterUnavailable:
        return


def enforce_second_factor_limit(user_id: object, ip_address: str | None) -> None:
    """Count a code of an account's second factor. Raises ``RateLimited``, or
    ``CounterUnavailable``: a code that nobody counts can be guessed.
    """
    _enforce(budgets.of_second_factor(user_id), ip_address)


def soft_limit(ip_address: str | None) -> Scope | None:
    """Return the soft limit that is reached, of this client network or of the site, or
    ``None``: above it a form may ask for a proof. Counts nothing.

    Raises ``CounterUnavailable``.
    """
    soft = budgets.soft(ip_address) if _is_enabled() else ()
    counts = _read(soft) if soft else {}
    return next((each.scope for each in soft if not each.is_open(counts)), None)


def address_retry_after(email: str) -> int | None:
    """Return the seconds until everybody may have an email sent to an address again;
    ``None`` when they may now. Counts nothing. For staff: it tells what others did.
    """
    return _retry_after(budgets.of_mailbox(email))


def staff_retry_after(email: str) -> int | None:
    """Return the seconds until staff may have an email sent to an address again;
    ``None`` when they may now. Counts nothing.
    """
    return _retry_after(budgets.of_staff(email))


def second_factor_retry_after(user_id: object) -> int | None:
    """Return the seconds until an account's codes are taken again; ``None`` when they
    are now. Counts nothing.
    """
    return _retry_after(budgets.of_second_factor(user_id))


def record_refusal(scope: Scope, ip_address: str | None, **fields: object) -> None:
    """Count and log that a limit refused or held a request (ASVS 5.0, 16.3.3)."""
    metrics.rate_limit_total.labels(scope=scope).inc()
    extra = {"scope": str(scope), "ip": ip_address, **fields}
    logger.warning("Password reset limited", extra=extra)


def _retry_after(budget: Budget) -> int | None:
    return (budget.wait(_read([budget])) or None) if _is_enabled() else None


def _enforce(budget: Budget, ip_address: str | None = None) -> None:
    if not _is_enabled():
        return
    counts = _read([budget])
    if not budget.is_open(counts):
        _refuse([budget], counts, ip_address)
    counted = _count([budget], [budget])
    if budget.is_overdrawn(counted):
        _take_back([budget])
        _refuse([budget], counted, ip_address)


def _refuse(
    closed: Iterable[Budget], counts: dict[str, int], ip_address: str | None
) -> None:
    # Not a second too early: another budget may be closed for longer.
    waits = {budget.scope: budget.wait(counts) for budget in closed}
    scope = next(iter(waits))
    record_refusal(scope, ip_address)
    raise RateLimited(scope, max(waits.values()))


def _overdrawn(drawn: Iterable[Budget], counts: dict[str, int]) -> list[Budget]:
    return [budget for budget in drawn if budget.is_overdrawn(counts)]


def _read(asked: Iterable[Budget]) -> dict[str, int]:
    windows = _windows(asked)
    return _robust(lambda: counters.store().read(windows))


def _count(asked: Iterable[Budget], drawn: Iterable[Budget]) -> dict[str, int]:
    keys = {window.key for window in _windows(drawn)}
    counts = [Count(window, window.key in keys) for window in _windows(asked)]
    return _robust(lambda: counters.store().count(counts))


def _take_back(drawn: Iterable[Budget]) -> None:
    windows = _windows(drawn)
    _robust(lambda: counters.store().take_back(windows))


def _windows(asked: Iterable[Budget]) -> list[Window]:
    return [window for budget in asked for window in budget.windows]


def _is_enabled() -> bool:
    return bool(getattr(settings, "RATELIMIT_ENABLE", True))


def _robust(ask: Callable[[], Found]) -> Found:
    try:
        return ask()
    except ImproperlyConfigured:
        raise
    except Exception as error:  # each cache client raises its own
        logger.error(
            "The counters of password reset cannot be reached: %s", type(error).__name__
        )
        raise CounterUnavailable from error
