"""The steps of a reset as a visitor takes them: limits, time, service and record, once
for the pages, the JSON endpoints and the admin.

What counts raises ``RateLimited`` or ``CounterUnavailable``; each entry point has its
own answer to those.
"""

from __future__ import annotations

from dataclasses import replace

from django.views.decorators.debug import sensitive_variables

from . import challenge, codes, disowning, metrics, ratelimit, services
from .models import PasswordResetRequest, PasswordResetToken
from .visitors import Visitor

__all__ = [
    "begin_reset",
    "disown",
    "finish_reset",
    "look_at",
    "open_with_code",
    "open_with_code_for",
    "renew_link",
    "request_link",
    "reset_password",
    "send_link",
]

#: Why a link opens nothing.
DEAD = frozenset({"invalid", "expired", "used"})
#: The email says where a request came from: where staff sits is not its reader's
#: business.
STAFF = Visitor(ip_address=None, user_agent="", language="")


def request_link(
    email: str,
    visitor: Visitor,
    *,
    source: str,
    proof: str | None = None,
    next_url: str = "",
) -> PasswordResetRequest:
    """Accept a request for a link, within the limits of its visitor.

    Where others have used up the limit of the address, the answer is no other one, or
    it would tell that they did: the row is written all the same, and mails nobody.

    ``proof`` is what came with a form that can show a challenge. Raises
    ``challenge.ProofNeeded`` where that form should. ``next_url`` is where the visitor
    was, as ``redirects`` returns it.
    """
    with metrics.timed("request"):
        is_proven = challenge.is_proven(visitor.ip_address, proof)
        admission = ratelimit.enforce_request_limits(
            visitor.ip_address, email, visitor.device, is_proven=is_proven
        )
        return _request(
            email, visitor, source, is_held=admission.is_held, next_url=next_url
        )


@sensitive_variables("raw")
def renew_link(raw: object, visitor: Visitor, *, source: str) -> PasswordResetRequest:
    """Accept a request for the address that a link was mailed to, counted like any; it
    leads back to where the link's own did.

    Raises ``TokenError`` where no row answers the link, which counts as an attempt.
    """
    try:
        origin = services.origin_of(raw, brand=visitor.brand)
    except services.TokenError as error:
        services.record_rejection(raw, error.reason, visitor.ip_address)
        ratelimit.enforce_attempt_limit(visitor.ip_address)
        raise
    return request_link(origin.email, visitor, source=source, next_url=origin.next_url)


def send_link(email: str, brand: str = "") -> PasswordResetRequest:
    """Accept a request by staff, within a limit that they have for themselves. The
    email is of the brand on whose host they are.
    """
    ratelimit.enforce_staff_limit(email)
    staff = replace(STAFF, brand=brand)
    return _request(email, staff, PasswordResetRequest.Source.ADMIN)


@sensitive_variables("raw")
def look_at(raw: object, visitor: Visitor) -> PasswordResetToken:
    """Return the token of a link, which changes nothing. Raises ``TokenError``; only an
    unknown link counts as an attempt.
    """
    return _find(raw, visitor, counted=frozenset({"invalid"}))


@sensitive_variables("code")
def open_with_code(
    request_id: int | None, code: str, visitor: Visitor
) -> codes.OpenedLink:
    """Count an attempt and return the link that a code becomes, for the browser that
    made a request. Raises ``codes.CodeError``.
    """
    # A request has five tries of its own; what names none has the network's.
    if request_id is None:
        ratelimit.enforce_attempt_limit(visitor.ip_address)
    return services.open_with_code(
        request_id,
        code,
        ip_address=visitor.ip_address,
        user_agent=visitor.user_agent,
        brand=visitor.brand,
    )


@sensitive_variables("code")
def open_with_code_for(email: str, code: str, visitor: Visitor) -> codes.OpenedLink:
    """Do the same for a client that keeps no cookie: with the latest request for the
    address from the visitor's own network, so that no stranger can use up its tries.
    """
    ratelimit.enforce_attempt_limit(visitor.ip_address)
    return services.open_with_code(
        services.latest_request(email, visitor.ip_address, brand=visitor.brand),
        code,
        ip_address=visitor.ip_address,
        user_agent=visitor.user_agent,
        brand=visitor.brand,
    )


@sensitive_variables("raw")
def begin_reset(raw: object, visitor: Visitor) -> PasswordResetToken:
    """Count an attempt and return the link's token, for a form that has to know whose
    password it sets. Raises ``TokenError``.

    The link comes first: whoever holds one that works is never refused for what others
    did, nor for counters that are full or away.
    """
    token = _find(raw, visitor, counted=DEAD)
    ratelimit.enforce_link_limit(token.pk, visitor.ip_address)
    return token


@sensitive_variables("raw", "new_password", "second_factor")
def finish_reset(
    raw: object,
    token: PasswordResetToken,
    new_password: str,
    visitor: Visitor,
    second_factor: str = "",
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
        second_factor=second_factor,
        brand=visitor.brand,
    )


@sensitive_variables("raw", "new_password", "second_factor")
def reset_password(
    raw: object, new_password: str, visitor: Visitor, second_factor: str = ""
) -> services.ResetResult:
    """Count an attempt and set the password, in one step. Raises what
    ``services.reset_password`` does.
    """
    token = begin_reset(raw, visitor)
    return finish_reset(raw, token, new_password, visitor, second_factor)


def disown(signed: str, visitor: Visitor) -> disowning.Disowned:
    """Count an attempt and do what "it was not me" asks for. Raises what
    ``disowning.disown`` does.
    """
    ratelimit.enforce_attempt_limit(visitor.ip_address)
    return disowning.disown(
        signed,
        ip_address=visitor.ip_address,
        user_agent=visitor.user_agent,
        brand=visitor.brand,
    )


@sensitive_variables("raw")
def _find(
    raw: object, visitor: Visitor, *, counted: frozenset[str]
) -> PasswordResetToken:
    """Return the token of a link that works; others count as attempts for some
    reasons.
    """
    try:
        return services.find_token(raw, brand=visitor.brand)
    except services.TokenError as error:
        services.record_rejection(raw, error.reason, visitor.ip_address)
        if error.reason in counted:
            ratelimit.enforce_attempt_limit(visitor.ip_address)
        raise


def _request(
    email: str,
    visitor: Visitor,
    source: str,
    *,
    is_held: bool = False,
    next_url: str = "",
) -> PasswordResetRequest:
    return services.request_reset(
        email,
        source=source,
        is_held=is_held,
        next_url=next_url,
        ip_address=visitor.ip_address,
        user_agent=visitor.user_agent,
        language=visitor.language,
        brand=visitor.brand,
    )
