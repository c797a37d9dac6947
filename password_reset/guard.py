"""A guard around the whole site: it refuses a bad body before any middleware reads it.

The pages and endpoints of this app refuse such bodies by themselves. But middleware of
the host may read the form earlier, and Django reads the ``Content-Type`` before any
middleware; what those raise is an answer that nobody has designed.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from io import BytesIO
from typing import Any, Protocol, cast

from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.urls import (
    NoReverseMatch,
    Resolver404,
    get_script_prefix,
    resolve,
    set_script_prefix,
)
from django.utils import translation
from django.utils.log import log_response

from .bodies import (
    PLAIN,
    UTF_8,
    BadBody,
    BodyLimit,
    check_body,
    check_charset,
    declared_size,
)
from .brands import Brand
from .pages import Page, path_of
from .redaction import redact
from .visitors import brand_of

__all__ = ["AsyncBodyGuard", "BodyGuard", "BodyLimit"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
#: What ASGI calls a body that has come whole.
WHOLE = {"type": "http.request", "more_body": False}


class GuardedView(Protocol):
    """A view that says what its body may be, and what it answers to any other."""

    body_limit: BodyLimit

    @classmethod
    def refused(cls, error: BadBody, brand: Brand | None = None) -> HttpResponse:
        """Return the answer to a body that is refused, as a brand has it."""


class _Guard:
    """What both guards share; ``limits`` maps the beginning of a path to its limit."""

    def __init__(
        self,
        application: Callable[..., Any],
        limits: Mapping[str, BodyLimit] | None = None,
    ) -> None:
        self.application = application
        self.limits = dict(limits or {})

    def limit_of(self, path: str) -> BodyLimit | None:
        """Return the limit of a path; ``None`` where any body may come."""
        if view := _guarded_view(path):
            return view.body_limit
        fitting = [start for start in self.limits if path.startswith(start)]
        return self.limits[max(fitting, key=len)] if fitting else None

    def check(
        self, path: str, headers: Mapping[str, Any]
    ) -> tuple[BodyLimit | None, int]:
        """Judge the headers of a request; return the limit of its body and how large it
        says it is. Raises ``BadBody``.
        """
        _check_query(headers.get("QUERY_STRING", ""))
        limit = self.limit_of(path)
        check_charset(
            headers.get("CONTENT_TYPE", ""), PLAIN if limit is None else UTF_8
        )
        if limit is None:
            return None, 0
        length = headers.get("CONTENT_LENGTH", "")
        encoding = headers.get("HTTP_TRANSFER_ENCODING", "")
        return limit, declared_size(length, encoding, limit)


class BodyGuard(_Guard):
    """The guard of a WSGI application."""

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        if not _has_content(environ):
            return self._pass_on(environ, start_response)
        request = WSGIRequest({**environ, "CONTENT_TYPE": "", "CONTENT_LENGTH": ""})
        try:
            limit, size = self.check(request.path_info, environ)
            if limit is not None:
                body = _read(environ["wsgi.input"], size)
                check_body(environ.get("CONTENT_TYPE", ""), body, limit)
                environ["wsgi.input"] = BytesIO(body)
        except BadBody as error:
            response = refusal(request, error)
            start_response(
                f"{response.status_code} {response.reason_phrase}",
                list(response.items()),
            )
            return [] if request.method == "HEAD" else [response.content]
        return self._pass_on(environ, start_response)

    def _pass_on(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        answer: Iterable[bytes] = self.application(environ, start_response)
        return answer


class AsyncBodyGuard(_Guard):
    """The guard of an ASGI application."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            headers = _headers(scope)
            request = ASGIRequest(
                {**scope, "headers": _without_content(scope), "query_string": b""},
                BytesIO(),
            )
            try:
                limit, _size = self.check(request.path_info, headers)
                if limit is not None:
                    body = await _received(receive, limit)
                    check_body(headers.get("CONTENT_TYPE", ""), body, limit)
                    receive = _replay(body, receive)
            except BadBody as error:
                await _send(send, refusal(request, error), request.method == "HEAD")
                return
        await self.application(scope, receive, send)


def refusal(request: HttpRequest, error: BadBody) -> HttpResponse:
    """Return the answer of the view at a path, or of this app's form for all others."""
    set_script_prefix(request.META.get("SCRIPT_NAME") or "/")
    view = _guarded_view(request.path_info) or _form_view()
    with translation.override(translation.get_language_from_request(request)):
        response = view.refused(error, brand_of(request)) if view else _plain(error)
    response["Content-Length"] = str(len(response.content))
    path = redact(request.path)
    log_response("%s: %s", response.reason_phrase, path, response=response)
    return response


def _guarded_view(path: str) -> type[GuardedView] | None:
    try:
        view = getattr(resolve(path).func, "view_class", None)
    except Resolver404:
        return None
    return cast(type[GuardedView], view) if hasattr(view, "body_limit") else None


def _form_view() -> type[GuardedView] | None:
    try:
        path = path_of(Page.REQUEST).removeprefix(get_script_prefix())
        return _guarded_view(f"/{path}")
    except NoReverseMatch:
        return None


def _plain(error: BadBody) -> HttpResponse:
    """Return the answer of a site that does not include the pages."""
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
    }
    return HttpResponse(
        error.status.phrase, "text/plain", error.status, headers=headers
    )


def _check_query(query: str) -> None:
    """Refuse what Django would, which reads the query before any middleware where the
    media type has a charset.
    """
    most = settings.DATA_UPLOAD_MAX_NUMBER_FIELDS
    if most is not None and query.count("&") >= most:
        raise BadBody("malformed")


def _has_content(headers: Mapping[str, Any]) -> bool:
    return bool(
        headers.get("CONTENT_TYPE")
        or headers.get("CONTENT_LENGTH")
        or headers.get("HTTP_TRANSFER_ENCODING")
    )


def _read(stream: Any, size: int) -> bytes:
    try:
        body: bytes = stream.read(size) if size else b""
    except Exception as error:  # each server raises its own
        raise BadBody("malformed") from error
    if len(body) < size:  # whoever sent it is gone
        raise BadBody("malformed")
    return body


def _headers(scope: Scope) -> dict[str, str]:
    """Return what is judged, under WSGI's names and joined as Django joins it."""
    names = {
        b"content-type": "CONTENT_TYPE",
        b"content-length": "CONTENT_LENGTH",
        b"transfer-encoding": "HTTP_TRANSFER_ENCODING",
    }
    found: dict[str, list[str]] = {}
    for name, value in scope.get("headers", []):
        if name in names:
            found.setdefault(names[name], []).append(value.decode("latin-1"))
    joined = {name: ",".join(values) for name, values in found.items()}
    query: bytes = scope.get("query_string", b"")
    return joined | {"QUERY_STRING": query.decode("latin-1")}


def _without_content(scope: Scope) -> list[tuple[bytes, bytes]]:
    return [
        (name, value)
        for name, value in scope.get("headers", [])
        if not name.startswith(b"content-")
    ]


async def _received(receive: Receive, limit: BodyLimit) -> bytes:
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] != "http.request":  # whoever sent it is gone
            raise BadBody("malformed")
        body += message.get("body", b"")
        if len(body) > limit.size:
            raise BadBody("size")
        more = message.get("more_body", False)
    return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    messages = [{**WHOLE, "body": body}]

    async def replayed() -> Any:
        return messages.pop() if messages else await receive()

    return replayed


async def _send(send: Send, response: HttpResponse, without_body: bool) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.items()
    ]
    start = {"type": "http.response.start", "status": response.status_code}
    await send({**start, "headers": headers})
    body = b"" if without_body else response.content
    await send({"type": "http.response.body", "body": body})
