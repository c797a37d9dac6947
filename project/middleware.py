"""Middleware of the demo."""

from __future__ import annotations

import logging
from collections.abc import Callable

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import resolve

from .deadlines import waiting_at_most
from .requestid import accepted, request_id

logger = logging.getLogger("project.middleware")

type_get_response = Callable[[HttpRequest], HttpResponse]

PROBES = frozenset({"/health", "/health/live", "/metrics"})
#: Seconds that a visitor's request waits for the database altogether before it looks
#: whether that is away.
PATIENCE = 1.2
#: Staff look through a million rows.
STAFF_PATIENCE = 25.0
#: Seconds after which a page for a database that is away may be tried again.
RETRY_AFTER = 5
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
    "font-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class RequestIdMiddleware:
    """Give each request an id: the one of the proxy in front, or a new one."""

    def __init__(self, get_response: type_get_response) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        name = accepted(request.headers.get("X-Request-ID", ""))
        reset = request_id.set(name)
        try:
            response = self.get_response(request)
        finally:
            request_id.reset(reset)
        response.headers["X-Request-ID"] = name
        return response


class ProbeMiddleware:
    """Answer probes before anything that asks for a host name or for HTTPS: they come
    by address, on the inner port.
    """

    def __init__(self, get_response: type_get_response) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info in PROBES:
            return resolve(request.path_info).func(request)  # type: ignore[no-any-return]
        return self.get_response(request)


class DatabaseAwayMiddleware:
    """Answer within two seconds while the database is away, on every page: threads
    that wait for it would be all there are.
    """

    def __init__(self, get_response: type_get_response) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        staff = request.path_info.startswith("/admin/")
        with waiting_at_most(STAFF_PATIENCE if staff else PATIENCE):
            return self.get_response(request)

    def process_exception(
        self, request: HttpRequest, error: Exception
    ) -> HttpResponse | None:
        """Say so on the pages that are not the flow's, which do by themselves."""
        if not isinstance(error, OperationalError | InterfaceError):
            return None
        logger.error("No answer from the database", exc_info=error)
        # Without the request: who is logged in stands in the database.
        html = render_to_string(
            "password_reset/unavailable.html", {"retry_after": RETRY_AFTER}
        )
        headers = {"Retry-After": str(RETRY_AFTER), "Cache-Control": "no-store"}
        return HttpResponse(html, status=503, headers=headers)


class ContentSecurityPolicyMiddleware:
    """Let pages load nothing from elsewhere; a page's own policy stays."""

    def __init__(self, get_response: type_get_response) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not (
            settings.DEBUG and response.status_code >= 400
        ):  # Django's debug pages bring their own styles
            response.headers.setdefault(
                "Content-Security-Policy", CONTENT_SECURITY_POLICY
            )
        return response
