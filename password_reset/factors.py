"""The second factor behind a link: asked only of accounts that have one, counted for
each account, and closed while it cannot be checked.
"""

from __future__ import annotations

import logging
import traceback
import unicodedata
from collections.abc import Callable
from typing import Any, TypeVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import F
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from . import metrics, ratelimit
from .conf import conf
from .models import PasswordResetToken
from .second_factor import HINT, SecondFactor, Throttled
from .signals import reset_rejected

__all__ = ["MAX_LENGTH", "SecondFactorError", "SecondFactorUnavailable"]

logger = logging.getLogger("password_reset")

Found = TypeVar("Found")

#: Characters of a code as typed, with room for spaces.
MAX_LENGTH = 64
RESULTS = ("passed", "refused", "unavailable")
metrics.begin_with_zero(metrics.second_factor_total, "result", RESULTS)


class SecondFactorError(Exception):
    """The account has a second factor, and the code is missing (``reason`` is
    ``required``) or not right (``invalid``).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class SecondFactorUnavailable(Exception):
    """The adapter does not answer: fail closed, and keep the link."""


def is_asked(user: AbstractBaseUser) -> bool:
    """Return whether this user's reset asks for a code.

    Raises ``SecondFactorUnavailable``.
    """
    factor = _adapter()
    return factor is not None and _ask(lambda: _certain(factor.is_required(user)))


def hint_for(user: AbstractBaseUser) -> str | None:
    """Return what a user has to type; ``None`` where nothing is asked.

    Raises ``SecondFactorUnavailable``.
    """
    if not is_asked(user):
        return None
    hint = getattr(_adapter(), "hint", None)
    return str(_ask(lambda: hint(user)) if hint else HINT)


@sensitive_variables("typed", "code")
def check(token: PasswordResetToken, typed: str, ip_address: str | None) -> None:
    """Let pass whoever has no second factor or typed a right code, which is used up
    then, whatever becomes of the reset.

    Each code counts, for the account: another link has no more tries. Raises
    ``SecondFactorError``, ``SecondFactorUnavailable``, and what the limit raises: codes
    that nobody counts can be guessed.
    """
    if not is_asked(token.user):
        return
    code = unicodedata.normalize("NFKC", typed).strip()
    if not code:
        raise SecondFactorError("required")
    _count(token, ip_address)
    if not _is_right(token.user, code, ip_address):
        _record_refusal(token, ip_address)
        raise SecondFactorError("invalid")
    _record_pass(token, ip_address)


def _count(token: PasswordResetToken, ip_address: str | None) -> None:
    ratelimit.enforce_second_factor_limit(token.user_id, ip_address)
    tries = F("second_factor_tries") + 1
    PasswordResetToken.objects.filter(pk=token.pk).update(second_factor_tries=tries)


@sensitive_variables("code")
def _is_right(user: AbstractBaseUser, code: str, ip_address: str | None) -> bool:
    factor: Any = _adapter()
    try:
        return _ask(lambda: _certain(factor.verify(user, code)))
    except Throttled as error:
        scope = ratelimit.Scope.SECOND_FACTOR
        ratelimit.record_refusal(scope, ip_address, userId=str(user.pk))
        raise ratelimit.RateLimited(scope, error.retry_after) from None


def _record_pass(token: PasswordResetToken, ip_address: str | None) -> None:
    """Log and count that a code was right; the row gets the moment when it is spent."""
    token.second_factor_at = timezone.now()
    metrics.second_factor_total.labels(result="passed").inc()
    logger.info("Second factor passed", extra=_who(token, ip_address))


def _record_refusal(token: PasswordResetToken, ip_address: str | None) -> None:
    """Log, count and announce that a code was refused; never the code."""
    metrics.second_factor_total.labels(result="refused").inc()
    reset_rejected.send_robust(
        sender=PasswordResetToken, reason="second_factor", ip_address=ip_address
    )
    logger.warning("Invalid second factor attempt", extra=_who(token, ip_address))


def _who(token: PasswordResetToken, ip_address: str | None) -> dict[str, str | None]:
    return {"userId": str(token.user_id), "ip": ip_address}


def _adapter() -> SecondFactor | None:
    maker = conf.second_factor
    return None if maker is None else _ask(maker)


def _certain(answer: object) -> bool:
    """Return an answer that is one: a forgotten ``return`` must not open anything."""
    if not isinstance(answer, bool):
        raise TypeError(f"{type(answer).__name__} is neither True nor False")
    return answer


def _ask(question: Callable[[], Found]) -> Found:
    """Ask the adapter. What it raises may contain the code: only its kind and place are
    logged, and no error email shows its variables.
    """
    try:
        return question()
    except Throttled:
        raise
    except Exception as error:
        place = "".join(traceback.format_tb(error.__traceback__))
        logger.error(
            "The second factor cannot be checked: %s\n%s", type(error).__name__, place
        )
    metrics.second_factor_total.labels(result="unavailable").inc()
    raise SecondFactorUnavailable
