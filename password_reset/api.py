"""The JSON endpoints for single-page and mobile clients: cookie-less, so there is
nothing for CSRF to abuse.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from typing import Any, TypeVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.http.request import UnreadablePostError
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_variables
from django.views.generic import View

from . import codes, factors, flows, metrics, ratelimit, services
from .bodies import BadBody, BodyLimit, check_request
from .brands import Brand
from .conf import conf
from .durations import in_words, rounded_up
from .forms import CODE_SHAPE, MailboxField
from .reporting import RedactingReporter
from .visitors import visitor_of

logger = logging.getLogger("password_reset")

Response = TypeVar("Response", bound=HttpResponseBase)

#: What every answer carries.
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "strict-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
#: Codes of requests that no rule of the flow has seen; in the metric they are one
#: status.
MALFORMED = {"invalid_request", "unsupported_media_type"}
TOKEN_PROBLEMS = {
    "invalid": ("token_invalid", 404),
    "expired": ("token_expired", 410),
    "used": ("token_used", 410),
}


class Problem(Exception):
    """An answer of RFC 9457 with a stable ``code``."""

    def __init__(self, code: str, status: int, detail: str, **members: Any) -> None:
        super().__init__(code)
        self.code, self.status, self.detail, self.members = (
            code,
            status,
            detail,
            members,
        )

    def response(self) -> JsonResponse:
        """Return the problem as ``application/problem+json``."""
        title = HTTPStatus(self.status).phrase  # as RFC 9457 asks of about:blank
        body = {
            "type": "about:blank",
            "title": title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        response = JsonResponse(
            body | self.members,
            status=self.status,
            content_type="application/problem+json",
        )
        if "retry_after" in self.members:
            response["Retry-After"] = str(self.members["retry_after"])
        return response


def secured(response: Response) -> Response:
    """Add the headers that every answer of an endpoint carries."""
    for name, value in HEADERS.items():
        response[name] = value
    return response


class Endpoint(View):
    """What the endpoints share: one method, one media type, and problems for everything
    else.
    """

    http_method_names = ["post"]
    #: What a body may hold; anything else is refused before it is parsed.
    body_limit = BodyLimit()

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        view = transaction.non_atomic_requests(super().as_view(**initkwargs))
        return login_not_required(csrf_exempt(view))

    def dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        request.exception_reporter_class = RedactingReporter
        try:
            check_request(request, self.body_limit)
            response = self.answer(request)
        except BadBody as error:
            self.count("invalid_request")
            response = self.refused(error)
        except Problem as problem:
            self.count(problem.code)
            response = problem.response()
        return secured(response)

    @classmethod
    def refused(cls, error: BadBody, brand: Brand | None = None) -> JsonResponse:
        """Say what is wrong with a body that is not parsed."""
        problem = Problem("invalid_request", error.status, _of_body(error))
        return secured(problem.response())

    def answer(self, request: HttpRequest) -> HttpResponseBase:
        """Return the answer, or raise ``Problem`` for whatever stands in its way."""
        if request.method != "POST":
            return self.not_allowed()
        if not conf.enabled:
            raise unavailable()
        try:
            return self.post(request, body_of(request))
        except services.TokenError as error:
            raise Problem(
                *TOKEN_PROBLEMS[error.reason], _token_detail(error.reason)
            ) from error
        except ratelimit.RateLimited as limited:
            raise too_many(limited.retry_after) from limited
        except services.DEPENDENCY_DOWN as error:
            services.record_outage(error)
            raise unavailable() from error

    def post(self, request: HttpRequest, body: dict[str, Any]) -> JsonResponse:
        """Do the work of this endpoint."""
        raise NotImplementedError

    def count(self, code: str) -> None:
        """Count a problem; only requests for a link are."""

    def not_allowed(self) -> JsonResponse:
        """Name the one method that works."""
        response = Problem("method_not_allowed", 405, _("Use POST.")).response()
        response["Allow"] = "POST"
        return response


class RequestEndpoint(Endpoint):
    """Ask for a link; the answer is the same for everybody."""

    def post(self, request: HttpRequest, body: dict[str, Any]) -> JsonResponse:
        flows.request_link(self.email_of(body), visitor_of(request), source="api")
        message = _(
            "If there is an account for this address, a mail with a link is on its way."
        )
        return JsonResponse({"message": message}, status=202)

    def email_of(self, body: dict[str, Any]) -> str:
        """Return the address, by the same rules as the form's."""
        try:
            email: str = MailboxField().clean(text_of(body, "email"))
        except ValidationError as error:
            raise invalid(" ".join(error.messages)) from error
        return email

    def count(self, code: str) -> None:
        metrics.requests_total.labels(
            status="invalid" if code in MALFORMED else code
        ).inc()


class VerifyEndpoint(Endpoint):
    """Look at a token; nothing changes."""

    @sensitive_variables("body")
    def post(self, request: HttpRequest, body: dict[str, Any]) -> JsonResponse:
        token = flows.look_at(text_of(body, "token"), visitor_of(request))
        answer = {"valid": True, "expires_at": _with_offset(token.expires_at)}
        return JsonResponse(answer | _second_factor_of(token.user))


class CodeEndpoint(RequestEndpoint):
    """Turn the code of an email into a token, from the network that asked for it."""

    @sensitive_variables("body", "opened", "code")
    def post(self, request: HttpRequest, body: dict[str, Any]) -> JsonResponse:
        email, code = self.email_of(body), codes.clean(text_of(body, "code"))
        if not conf.codes:
            raise Problem("token_invalid", 404, _("Codes are switched off."))
        if code is None:
            raise invalid(str(CODE_SHAPE))
        try:
            opened = flows.open_with_code_for(email, code, visitor_of(request))
        except codes.CodeError as error:
            detail = _("This code does not work.")
            left = error.tries_left
            raise Problem("token_invalid", 404, detail, tries_left=left) from error
        expires_at = _with_offset(opened.token.expires_at)
        answer = {"token": opened.raw, "expires_at": expires_at}
        try:
            factor = _second_factor_of(opened.token.user)
        except services.SecondFactorUnavailable:
            # The code is spent: better a field too many than no answer.
            factor = {"second_factor": True}
        return JsonResponse(answer | factor)

    def count(self, code: str) -> None:
        """Count nothing: this is no request for a link."""


class ResetEndpoint(Endpoint):
    """Spend a token and set the password."""

    @sensitive_variables("raw", "password", "body", "code")
    def post(self, request: HttpRequest, body: dict[str, Any]) -> JsonResponse:
        raw, password = text_of(body, "token"), text_of(body, "password")
        code = second_factor_in(body)
        try:
            result = flows.reset_password(raw, password, visitor_of(request), code)
        except services.SecondFactorError as error:
            raise Problem(*_of_second_factor(error.reason)) from error
        except ValidationError as error:
            detail = _("Choose another password.")
            raise Problem(
                "weak_password", 400, detail, errors=error.messages
            ) from error
        return JsonResponse(
            {
                "message": _("Your password has been changed."),
                "sessions_deleted": result.sessions_deleted,
            }
        )


@sensitive_variables()
def body_of(request: HttpRequest) -> dict[str, Any]:
    """Return the JSON object in a request's body. Raises ``Problem``."""
    if request.content_type != "application/json":
        raise Problem("unsupported_media_type", 415, _("Send application/json."))
    try:
        body = json.loads(
            request.body.decode("utf-8"),
            object_pairs_hook=_unique,
            parse_constant=_refuse,
        )
    except (ValueError, RecursionError, UnreadablePostError) as error:
        raise invalid(_("The body is not valid JSON.")) from error
    if not isinstance(body, dict):
        raise invalid(_("The body is not a JSON object."))
    return body


@sensitive_variables()
def text_of(body: dict[str, Any], name: str) -> str:
    """Return a field that must be a text. Raises ``Problem``."""
    value = body.get(name)
    if (
        not isinstance(value, str)
        or not value
        or "\x00" in value
        or not _is_unicode(value)
    ):
        raise invalid(
            _("The field %(name)s must be a text that is not empty.") % {"name": name}
        )
    return value


@sensitive_variables()
def second_factor_in(body: dict[str, Any]) -> str:
    """Return the code of a second factor; nothing where a client sends none, or a blank
    text. Raises ``Problem``.
    """
    if body.get("second_factor", "") == "":
        return ""
    code = text_of(body, "second_factor")
    if len(code) > factors.MAX_LENGTH:
        raise invalid(_("The field %(name)s is too long.") % {"name": "second_factor"})
    return code


def invalid(detail: str) -> Problem:
    """Return the problem of a request that is not well formed."""
    return Problem("invalid_request", 400, detail)


def too_many(retry_after: int) -> Problem:
    """Return the problem of a limit that is reached, and say when to come back."""
    detail = _("Too many attempts. Try again in %(wait)s.") % {
        "wait": in_words(rounded_up(retry_after))
    }
    return Problem("rate_limited", 429, detail, retry_after=retry_after)


def unavailable() -> Problem:
    """Return the problem of a flow that is switched off, or that lacks something it
    needs.
    """
    detail = _("Password reset is not available at the moment. Try again later.")
    return Problem("unavailable", 503, detail, retry_after=services.RETRY_AFTER)


def _second_factor_of(user: AbstractBaseUser) -> dict[str, bool]:
    """Return whether an account's reset asks for a second factor, as a member of an
    answer; nothing where the site never does, so that clients of old see no change.
    """
    if conf.second_factor is None:
        return {}
    return {"second_factor": factors.is_asked(user)}


def _of_second_factor(reason: str) -> tuple[str, int, str]:
    detail = {
        "required": _("This account has a second factor: send a code of it."),
        "invalid": _("This code is not right, too old, or used already."),
    }
    return f"second_factor_{reason}", 400, detail[reason]


def _token_detail(reason: str) -> str:
    return {
        "invalid": _("This link is not valid."),
        "expired": _("This link has expired."),
        "used": _("This link no longer works."),
    }[reason]


def _of_body(error: BadBody) -> str:
    return {
        "charset": _("Send the body in UTF-8."),
        "size": _("The body is too large."),
        "malformed": _("The body cannot be read."),
    }[error.reason]


def _with_offset(moment: datetime) -> datetime:
    """Return a moment as RFC 3339 wants it, also where the host has USE_TZ off."""
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a key that comes twice: two readers could understand two things (GitLab
    CVE-2023-7028).
    """
    body = dict(pairs)
    if len(body) != len(pairs):
        raise ValueError("a key comes twice")
    return body


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True
