"""The steps of a reset as a visitor takes them: limits, time, service and record, once
for the pages, the JSON endpoints and the admin.

What counts raises ``RateLimited`` or ``CounterUnavailable``; each entry point has its
own answer to those.
"""

from __future__ import annotations

from dataclasses import asdict

from django.views.decorators.debug import sensitive_variables

from . import metrics, ratelimit, services
from .models import PasswordResetRequest, PasswordResetToken
from .visitors import Visitor

__all__ = [
    "begin_reset",
    "finish_reset",
    "look_at",
    "request_link",
    "reset_password",
    "send_link",
]

#: The email says where a request came from: where staff sits is not its reader's
#: business.
STAFF = Visitor(ip_address=None, user_agent="", language="")


def request_link(email: str, visitor: Visitor, *, source: str) -> PasswordResetRequest:
    """Accept a request for a link, within the limits of its network and address."""
    with metrics.timed("request"):
        ratelimit.enforce_request_limits(visitor.ip_address, email)
        return services.request_reset(email, source=source, **asdict(visitor))


def send_link(email: str) -> PasswordResetRequest:
    """Accept a request by staff, within the limit of the address alone."""
    ratelimit.enforce_address_limit(email)
    source = PasswordResetRequest.Source.ADMIN
    return services.request_reset(email, source=source, **asdict(STAFF))


@sensitive_variables("raw")
def look_at(raw: object, visitor: Visitor) -> PasswordResetToken:
    """Return the token of a link, which changes nothing. Raises ``TokenError``; only an
    unknown link counts as an attempt.
    """
    try:
        return _find(raw, visitor)
    except services.TokenError as error:
        if error.reason == "invalid":
            ratelimit.enforce_attempt_limit(visitor.ip_address)
        raise


@sensitive_variables("raw")
def begin_reset(raw: object, visitor: Visitor) -> PasswordResetToken:
    """Count an attempt and return the link's token, for a form that has to know whose
    password it sets. Raises ``TokenError``.
    """
    ratelimit.enforce_attempt_limit(visitor.ip_address)
    return _find(raw, visitor)


@sensitive_variables("raw", "new_password")
def finish_reset(
    raw: object, token: PasswordResetToken, new_password: str, visitor: Visitor
) -> services.ResetResult:
    """Set the password with the token that ``begin_reset`` has found, so that it is
    looked up once. Raises what ``services.reset_password`` does.
    """
    return services.spend_link(
        raw,
        token,
        new_password,
        ip_address=visitor.ip_address,
        user_agent=visitor.user_agent,
    )


@sensitive_variables("raw", "new_password")
def reset_password(
    raw: object, new_password: str, visitor: Visitor
) -> services.ResetResult:
    """Count an attempt and set the password, in one step. Raises what
    ``services.reset_password`` does.
    """
    ratelimit.enforce_attempt_limit(visitor.ip_address)
    return services.reset_password(
        raw,
        new_password,
        ip_address=visitor.ip_address,
        user_agent=visitor.user_agent,
    )


@sensitive_variables("raw")
def _find(raw: object, visitor: Visitor) -> PasswordResetToken:
    try:
        return services.find_token(raw)
    except services.TokenError as error:
        services.record_rejection(raw, error.reason, visitor.ip_address)
        raise
