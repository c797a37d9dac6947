"""What the body of a request may be, judged before anything decodes or parses it.

Django decodes a form with the charset that the client names, and some of Python's
codecs take time that grows with the square of the text.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from django.core.exceptions import BadRequest, RequestDataTooBig, SuspiciousOperation
from django.http import HttpRequest
from django.http.multipartparser import MultiPartParserError
from django.http.request import RawPostDataException, UnreadablePostError
from django.utils.http import parse_header_parameters

#: The largest body in bytes: the fields of a reset fit many times over.
BODY_LIMIT = 16 * 1024
#: A media type with its boundary is a quarter of it.
CONTENT_TYPE_LENGTH = 512
#: The fields of a form: ours have five, a host adds a few.
FIELD_LIMIT = 20
UTF_8 = frozenset({"", "utf-8", "utf8"})
#: Charsets that other views of a site may be sent: plain tables, decoded in no time.
PLAIN = UTF_8 | {"us-ascii", "ascii", "iso-8859-1", "latin-1", "latin1", "windows-1252"}
FORM, MULTIPART = "application/x-www-form-urlencoded", "multipart/form-data"
WITHOUT_BODY = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
#: What Django's parsers raise for what they cannot read.
UNREADABLE = (
    BadRequest,
    LookupError,
    MultiPartParserError,
    OSError,
    SuspiciousOperation,
    UnreadablePostError,
    ValueError,
)


@dataclass(frozen=True)
class BodyLimit:
    """What a form may hold: bytes, fields, and whether files."""

    size: int = BODY_LIMIT
    fields: int = FIELD_LIMIT
    files: bool = False


class BadBody(Exception):
    """A body is refused; ``reason`` is ``charset``, ``size`` or ``malformed``."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def status(self) -> HTTPStatus:
        """The status of the answer: 413 for the size, 400 for everything else."""
        too_large = self.reason == "size"
        return (
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE if too_large else HTTPStatus.BAD_REQUEST
        )


def check_request(request: HttpRequest, limit: BodyLimit | None = None) -> None:
    """Judge a request and parse what it carries. Raises ``BadBody``.

    Afterwards ``GET``, ``POST`` and ``body`` raise nothing.
    """
    content_type = request.META.get("CONTENT_TYPE", "")
    check_charset(content_type, UTF_8)
    if request.method not in WITHOUT_BODY:
        _check_body_of(request, content_type, limit or BodyLimit())
    _parse(request)


def check_charset(content_type: str, allowed: frozenset[str]) -> None:
    """Refuse a media type whose charset is none of those allowed, or that Django could
    not read. Raises ``BadBody``.
    """
    # RFC 2231's charset*=… is decoded as it is read; no client needs it (RFC 9110).
    if "*" in content_type or len(content_type) > CONTENT_TYPE_LENGTH:
        raise BadBody("malformed")
    charset = parse_header_parameters(content_type)[1].get("charset", "")
    if charset.lower() not in allowed:
        raise BadBody("charset")


def declared_size(length: str, encoding: str, limit: BodyLimit) -> int:
    """Return the declared size of a body in bytes. Raises ``BadBody`` where it is over
    the limit, no number, or missing where there is a body.
    """
    if not length:
        if encoding:  # sent in chunks of any number
            raise BadBody("malformed")
        return 0
    if not (length.isascii() and length.isdigit()):
        raise BadBody("malformed")
    if len(length) > len(str(limit.size)) or int(length) > limit.size:
        raise BadBody("size")
    return int(length)


def check_body(content_type: str, body: bytes, limit: BodyLimit) -> None:
    """Count what a body holds, without parsing it. Raises ``BadBody``."""
    if len(body) > limit.size:
        raise BadBody("size")
    media_type, parameters = parse_header_parameters(content_type)
    if media_type == MULTIPART:
        _check_parts(parameters.get("boundary", ""), body, limit)
    elif body.count(b"&") >= limit.fields and media_type == FORM:
        raise BadBody("malformed")


def _check_parts(boundary: str, body: bytes, limit: BodyLimit) -> None:
    if not boundary or not boundary.isascii():
        raise BadBody("malformed")
    # The same separator as Django's parser; after the last part "--" follows.
    parts = body.split(b"--" + boundary.encode())[1:]
    if len(parts) > limit.fields + 1:
        raise BadBody("malformed")
    for part in parts:
        header = part.partition(b"\r\n\r\n")[0].lower()
        # RFC 7578 4.2 forbids name*=…, which has a charset of its own.
        if b"*" in header or (b"filename" in header and not limit.files):
            raise BadBody("malformed")


def _check_body_of(request: HttpRequest, content_type: str, limit: BodyLimit) -> None:
    declared_size(
        request.META.get("CONTENT_LENGTH", ""),
        request.META.get("HTTP_TRANSFER_ENCODING", ""),
        limit,
    )
    try:
        body = request.body
    except RawPostDataException:  # middleware of the host has parsed it before us
        return
    except (OSError, RequestDataTooBig) as error:
        raise _as_bad_body(error) from error
    check_body(content_type, body, limit)


def _parse(request: HttpRequest) -> None:
    try:
        _ = request.GET, request.POST
    except UNREADABLE as error:
        raise _as_bad_body(error) from error


def _as_bad_body(error: Exception) -> BadBody:
    return BadBody("size" if isinstance(error, RequestDataTooBig) else "malformed")
