"""Write events as JSON lines or as a table for spreadsheets."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from typing import Any, Protocol

__all__ = ["COLUMNS", "FORMATS", "harmless"]

#: What makes a formula of a cell, or ends it (OWASP, "CSV Injection"); and how other
#: keyboards write the same.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class Out(Protocol):
    """What text is written to: a file, or the output of a command."""

    def write(self, text: str, /) -> Any: ...


COLUMNS = (
    "time_dt",
    "activity_id",
    "activity_name",
    "status",
    "status_code",
    "severity",
    "message",
    "user.uid",
    "user.email_addr",
    "src_endpoint.ip",
    "http_request.user_agent",
    "metadata.uid",
    "class_uid",
    "type_uid",
    "time",
)


def write_jsonl(events: Iterable[dict[str, Any]], out: Out, *, new: bool) -> int:
    """Write a line for each event; return how many."""
    lines = (out.write(json.dumps(event, sort_keys=True) + "\n") for event in events)
    return sum(1 for _written in lines)


def write_csv(events: Iterable[dict[str, Any]], out: Out, *, new: bool) -> int:
    """Write a row for each event, below the names of the columns where the file is new;
    return how many.
    """
    writer = csv.writer(out, quoting=csv.QUOTE_ALL)
    if new:
        writer.writerow(COLUMNS)
    cells = ([_cell(event, column) for column in COLUMNS] for event in events)
    lines = (writer.writerow(map(harmless, row)) for row in cells)
    return sum(1 for _written in lines)


def harmless(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text.lstrip(" \0").startswith(FORMULA) else text


def _cell(event: dict[str, Any], path: str) -> str:
    found: Any = event
    for name in path.split("."):
        found = found.get(name, "") if isinstance(found, dict) else ""
    return str(found)


FORMATS = {"jsonl": write_jsonl, "csv": write_csv}
