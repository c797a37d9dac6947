"""The id that ties the log lines of one request together."""

from __future__ import annotations

import re
import uuid
from contextvars import ContextVar

#: The id of the request that is being answered; empty elsewhere.
request_id: ContextVar[str] = ContextVar("request_id", default="")
#: What is taken from a proxy: too short for a reset token, and nothing that could forge
#: a log line.
SHAPE = re.compile(r"[A-Za-z0-9._-]{8,48}")


def accepted(proposed: str) -> str:
    """Return the id that a proxy proposes if it is harmless, otherwise a new one."""
    return proposed if SHAPE.fullmatch(proposed) else uuid.uuid4().hex
