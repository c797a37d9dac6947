"""How the site writes its log: one line for each event, as JSON or for people, and
never a reset token.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from .requestid import request_id

LEVELS = {
    "error": "ERROR",
    "warn": "WARNING",
    "warning": "WARNING",
    "info": "INFO",
    "debug": "DEBUG",
}
#: What Django adds for its error emails: the whole request, whose text shows the query
#: string.
OBJECTS = frozenset({"request", "taskName", "server_time"})


class AddRequestId(logging.Filter):
    """Add the id of the request that is being answered."""

    def filter(self, record: logging.LogRecord) -> bool:
        if request_id.get():
            record.requestId = request_id.get()
        return True


class Json(JsonFormatter):
    """One JSON object for each record, with the fields given as ``extra``."""

    def __init__(self) -> None:
        super().__init__(
            "%(levelname)s %(name)s %(message)s",
            rename_fields={"levelname": "level", "name": "logger"},
            reserved_attrs=[*RESERVED_ATTRS, *OBJECTS],
            json_default=str,
            # Terminals and viewers of logs obey U+009B, NEL and U+2028 as they stand.
            json_ensure_ascii=True,
        )

    def add_fields(
        self,
        log_data: dict[str, Any],
        record: logging.LogRecord,
        message_dict: dict[str, Any],
    ) -> None:
        log_data["time"] = _moment(record)
        super().add_fields(log_data, record, message_dict)


class Pretty(logging.Formatter):
    """One line for people: time, level, logger, message, fields; a traceback follows,
    indented.
    """

    def format(self, record: logging.LogRecord) -> str:
        known = {*RESERVED_ATTRS, *OBJECTS}
        fields = "".join(
            f" {name}={_plain(value)}"
            for name, value in vars(record).items()
            if name not in known
        )
        text = _escaped(record.getMessage()) + fields
        line = f"{_moment(record)} {record.levelname:7} {record.name}: {text}"
        if record.exc_info:
            for each in self.formatException(record.exc_info).split("\n"):
                line += f"\n    {_escaped(each)}"
        return line


def config(style: str, level: str) -> dict[str, Any]:
    """Return ``LOGGING`` for one style (json or pretty) and one level (error, warn,
    info or debug).
    """
    console = {"handlers": ["console"], "propagate": False}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "tokens": {"()": "password_reset.redaction.RedactResetTokens"},
            "request_id": {"()": "project.logs.AddRequestId"},
        },
        "formatters": {
            "line": {"()": f"project.logs.{'Json' if style == 'json' else 'Pretty'}"}
        },
        "handlers": {
            # A filter of a handler sees the records of every logger; a filter of a
            # logger only its own.
            "console": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "filters": ["request_id", "tokens"],
                "level": LEVELS[level],
            }
        },
        "root": {"handlers": ["console"], "level": LEVELS[level]},
        "loggers": {
            # These two come with handlers of Django's own, which know nothing of
            # tokens.
            "django": {"handlers": [], "level": LEVELS[level], "propagate": True},
            "django.server": console | {"level": LEVELS[level]},
            "gunicorn.error": console | {"level": LEVELS[level]},
            "gunicorn.access": console | {"level": LEVELS[level]},
        },
    }


def _moment(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(
        timespec="milliseconds"
    )


def _plain(value: object) -> str:
    return (
        json.dumps(value, default=str)
        if not isinstance(value, int | float)
        else str(value)
    )


def _escaped(text: str) -> str:
    """Return a text that cannot begin a line of its own (CWE-117)."""
    return "".join(
        character if character.isprintable() else repr(character)[1:-1]
        for character in text
    )
