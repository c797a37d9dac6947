"""Ask the site over HTTP, as a visitor does: no redirect is followed, no proxy of the
environment used.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import Message
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

from django.core import signing
from django.urls import NoReverseMatch

from password_reset.pages import Page, path_of

#: Of a page no more is read than tells whose it is.
READ = 200_000
SALT = "password_reset.doctor"
#: An address of nobody (RFC 5737), to see whether the site believes whoever names one.
NOBODY = "203.0.113.77"


class WebError(Exception):
    """The site does not answer, or not as this app does; the text says how."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, and over what it came."""

    status: int
    headers: Message
    body: str = ""
    #: When the certificate ends; None without TLS.
    certificate_ends: datetime | None = None
    #: How far the answer's sender's clock may be read off: seconds of the round trip.
    took: float = 0.0


@dataclass(frozen=True)
class Diagnosis:
    """What the web process says of itself and of this caller."""

    said: dict[str, Any] = field(default_factory=dict)
    answer: Answer | None = None
    asked_at: datetime | None = None


def get(url: str, timeout: float, headers: Mapping[str, str] | None = None) -> Answer:
    """Return what an address answers. Raises ``WebError``."""
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    started = datetime.now(UTC)
    connection = _connection(parts.scheme, parts.hostname or "", parts.port, timeout)
    try:
        connection.request("GET", path, headers={**(headers or {}), "Accept": "*/*"})
        ends = _certificate_ends(connection)
        response = connection.getresponse()
        body = response.read(READ).decode("utf-8", "replace")
        took = (datetime.now(UTC) - started).total_seconds()
        return Answer(response.status, response.msg, body, ends, took)
    except ssl.SSLCertVerificationError as error:
        raise WebError(f"its certificate is refused: {error.verify_message}") from error
    except (OSError, HTTPException) as error:
        raise WebError(f"it does not answer ({type(error).__name__})") from error
    finally:
        connection.close()


def diagnose(
    base_url: str, timeout: float, *, wake: int | None = None, forged: bool = False
) -> Diagnosis:
    """Ask the web process about itself, by a signed question that no stranger can ask.

    ``wake`` names a request for which it is to wake a worker; ``forged`` claims to come
    from an address of nobody.
    """
    question = signing.dumps({"wake": wake}, salt=SALT)
    try:
        path = path_of(Page.DOCTOR).lstrip("/")
    except NoReverseMatch:
        raise WebError("no page of this app is in its URLs") from None
    now = datetime.now(UTC)
    headers = {"X-Forwarded-For": NOBODY} if forged else {}
    answer = get(f"{base_url}/{path}?q={question}", timeout, headers)
    return Diagnosis(_said(answer), answer, now)


def _said(answer: Answer) -> dict[str, Any]:
    if answer.status in {301, 302, 307, 308}:
        raise WebError(f"it redirects to {answer.headers.get('Location', '')}")
    try:
        said = json.loads(answer.body)
        return dict(said)
    except ValueError:
        reason = (
            "it runs under another SECRET_KEY, or an older release of this app"
            if answer.status == 404
            else f"it answers {answer.status}"
        )
        raise WebError(reason) from None


def _connection(
    scheme: str, host: str, port: int | None, timeout: float
) -> HTTPConnection:
    if scheme == "https":
        context = ssl.create_default_context()
        return HTTPSConnection(host, port, timeout=timeout, context=context)
    return HTTPConnection(host, port, timeout=timeout)


def _certificate_ends(connection: HTTPConnection) -> datetime | None:
    sock = connection.sock
    if not isinstance(sock, ssl.SSLSocket):
        return None
    ends = (sock.getpeercert() or {}).get("notAfter")
    if not isinstance(ends, str):
        return None
    return datetime.fromtimestamp(ssl.cert_time_to_seconds(ends), tz=UTC)
