"""A filter for log handlers that takes reset tokens out of everything they write."""

from __future__ import annotations

import copy
import logging
import re
import traceback
from typing import Any

#: Any run of 64 hexadecimal digits is treated as a secret; upper case too, since mail
#: apps and proxies rewrite links.
#: In a path also what django.contrib.auth and its like mail: a moment in base 36 and a
#: digest of 32 digits.
SECRET = re.compile(
    r"([0-9a-fA-F]{8})[0-9a-fA-F]{56,}|(?<=[/-])([0-9a-z]{6})-[0-9a-f]{32}(?![\w.])"
)


def redact(text: str) -> str:
    """Return a text in which each token is cut to its first digits."""
    return SECRET.sub(r"\1\2...", text)


class RedactResetTokens(logging.Filter):
    """Remove reset tokens from a record: message, arguments, extra fields, exception
    and request.

    Attach it to *handlers*: a logger's own filters are not asked about the records of
    its children.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        self._redact_message(record)
        self._redact_exception(record)
        for name, value in list(record.__dict__.items()):
            if isinstance(value, str):
                record.__dict__[name] = redact(value)
            elif hasattr(value, "META"):
                record.__dict__[name] = _without_secrets(value)
        return True

    def _redact_message(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except (
            TypeError,
            ValueError,
            KeyError,
        ):  # logging reports a bad format itself, with the arguments
            message = f"{record.msg} {record.args}"
        if SECRET.search(message) or SECRET.search(str(record.args)):
            record.msg, record.args = redact(message), ()

    def _redact_exception(self, record: logging.LogRecord) -> None:
        if not record.exc_info or record.exc_info[1] is None:
            return
        kind, error, trace = record.exc_info
        if SECRET.search("".join(traceback.format_exception(kind, error, trace))):
            record.exc_info = _stand_in(error, trace)
            record.exc_text = None


def scrub(request: Any) -> None:
    """Take tokens out of a request for good, when its work has failed and somebody will
    report it.
    """
    clean = _without_secrets(request)
    request.META.update(clean.META)
    request.path, request.path_info = clean.path, clean.path_info
    request.GET = clean.GET


def _stand_in(
    error: BaseException, trace: Any
) -> tuple[type[Exception], Exception, Any]:
    """Return the exception info of an error with the same name and place, but no secret
    and no chain.
    """
    kind = type(
        type(error).__name__, (Exception,), {"__module__": type(error).__module__}
    )
    return kind, kind(redact(str(error))), trace


def _without_secrets(request: Any) -> Any:
    """Return a copy of a request that error emails can show: the query string and the
    referer hold tokens.
    """
    clone = copy.copy(request)
    clone.META = {
        key: redact(value) if isinstance(value, str) else value
        for key, value in request.META.items()
    }
    clone.path, clone.path_info = redact(request.path), redact(request.path_info)
    clone.GET = _redacted_values(_query_of(request))
    clone._post = _redacted_values(getattr(request, "_post", {}))
    clone.__dict__.pop("_body", None)
    return clone


def _query_of(request: Any) -> Any:
    try:
        return request.GET
    except Exception:  # it may be what the record is about: too many fields, a charset
        return {}


def _redacted_values(values: Any) -> Any:
    redacted = copy.deepcopy(values)
    if hasattr(redacted, "setlist"):
        redacted._mutable = True
        for key in list(redacted):
            redacted.setlist(key, [redact(value) for value in values.getlist(key)])
    return redacted
