"""A brake on guessing passwords, at every log-in form of the demo."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django_ratelimit.core import get_usage

from password_reset.visitors import client_network, visitor_of

logger = logging.getLogger(__name__)

FORMS = frozenset({"login", "admin:login"})


class SignInLimitMiddleware:
    """Refuse log-ins from a network that has tried too often (``SIGN_IN_RATE``).

    Where the counters cannot be reached, log-ins go on: staff must get into the admin
    during an outage, and nginx has a limit of its own.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """Count a log-in before its view sees the password."""
        seconds = seconds_to_wait(request) if is_log_in(request) else 0
        return too_many(request, seconds) if seconds else None


def is_log_in(request: HttpRequest) -> bool:
    """Return whether a log-in form is sent, the site's or the admin's."""
    match = request.resolver_match
    return request.method == "POST" and match is not None and match.view_name in FORMS


def seconds_to_wait(request: HttpRequest) -> int:
    """Count a log-in; return 0, or after how many seconds the next one may come."""
    network = client_network(visitor_of(request).ip_address)
    try:
        usage = get_usage(
            request,
            group="sign-in",
            key=lambda group, request: network,
            rate=settings.SIGN_IN_RATE,
            increment=True,
        )
    except Exception as error:  # each cache client raises its own
        logger.error("Log-ins cannot be counted: %s", type(error).__name__)
        return 0
    return usage["time_left"] + 1 if usage and usage["should_limit"] else 0


def too_many(request: HttpRequest, seconds: int) -> HttpResponse:
    """Answer 429 with a page that says when to come back."""
    when = timezone.now() + timedelta(seconds=seconds)
    context = {"retry_after": seconds, "retry_at": when}
    response = render(request, "password_reset/rate_limited.html", context, status=429)
    response["Retry-After"] = str(seconds)
    response["Cache-Control"] = "no-store"
    return response
