"""What a check has found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import cached_property

from .web import Answer, Diagnosis, WebError, diagnose, get

#: Seconds for which a check may wait for whatever it asks.
TIMEOUT = 5.0


class Level(IntEnum):
    """How bad it is. The worst of all is the command's exit code, notes aside."""

    GOOD = -1
    NOTE = 0
    WARNING = 1
    FAULT = 2


@dataclass(frozen=True)
class Finding:
    """A sentence and, where something should change, what to do."""

    level: Level
    text: str
    remedy: str = ""


def good(text: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(Level.GOOD, text)


def note(text: str) -> Finding:
    """Return what was not examined, or what is only to be known."""
    return Finding(Level.NOTE, text)


def warning(text: str, remedy: str) -> Finding:
    """Return what works, but not as well as it should."""
    return Finding(Level.WARNING, text, remedy)


def fault(text: str, remedy: str) -> Finding:
    """Return what does not work, or is not safe."""
    return Finding(Level.FAULT, text, remedy)


@dataclass
class Patient:
    """The site that is examined: where it answers, and what earlier checks learnt."""

    base_url: str
    #: The address that a test email goes to; nobody where it is empty.
    to: str = ""
    #: Seconds for which a worker may leave a row lying.
    wait: float = 20.0
    #: When a worker says that it has settled the row of the check.
    settled_at: datetime | None = None

    @cached_property
    def diagnosis(self) -> Diagnosis:
        """What the web process says of itself. Raises ``WebError``."""
        return diagnose(self.base_url, TIMEOUT)

    def get(self, path: str) -> Answer:
        """Return what the site answers. Raises ``WebError``."""
        return get(f"{self.base_url}/{path.lstrip('/')}", TIMEOUT)


Found = Iterable[Finding]
Check = Callable[[Patient], Found]

__all__ = [
    "TIMEOUT",
    "Check",
    "Finding",
    "Found",
    "Level",
    "Patient",
    "WebError",
    "fault",
    "good",
    "note",
    "warning",
]
