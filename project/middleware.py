"""Middleware of the demo."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import resolve

from .requestid import accepted, request_id

type_get_response = Callable[[HttpRequest], HttpResponse]

PROBES = frozenset({"/health", "/health/live", "/metrics"})
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
