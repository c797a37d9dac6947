"""The emails that were sent in development: a folder of files, seen by every process.

A table would do as well, but a table would hold the secrets of the links.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes
from email.message import EmailMessage as Letter
from email.policy import default
from pathlib import Path

from django.conf import settings
from django.core.mail import EmailMessage

#: The newest ones that are kept.
LIMIT = 50


@dataclass(frozen=True)
class SentMail:
    """An email as it left, read back from its file."""

    name: str
    letter: Letter

    @property
    def subject(self) -> str:
        return str(self.letter["Subject"])

    @property
    def to(self) -> str:
        return str(self.letter["To"])

    @property
    def sent_at(self) -> datetime:
        return datetime.fromtimestamp(int(self.name.split("-")[0]) / 1e9, UTC)

    @property
    def text(self) -> str:
        return self._body("plain")

    @property
    def lines(self) -> list[str]:
        return self.text.strip().split("\n")

    @property
    def html(self) -> str:
        return self._body("html")

    def _body(self, subtype: str) -> str:
        part = self.letter.get_body((subtype,))
        return str(part.get_content()) if part else ""


def keep(message: EmailMessage) -> None:
    """Write an email to the folder and remove the oldest ones beyond the limit."""
    folder = _folder()
    folder.mkdir(mode=0o700, exist_ok=True)  # links that work, nobody else's to read
    name = f"{time.time_ns()}-{secrets.token_hex(4)}"
    # Under its name only when it is whole: another process may be reading.
    draft = folder / f"{name}.draft"
    draft.write_bytes(message.message().as_bytes())
    draft.rename(folder / f"{name}.eml")
    for path in _newest_first()[LIMIT:]:
        path.unlink(missing_ok=True)


def newest_first() -> list[SentMail]:
    """Return the emails that are kept."""
    return [mail for path in _newest_first() if (mail := _read(path))]


def find(name: str) -> SentMail | None:
    """Return one of the emails that are kept, or None."""
    return next((mail for mail in newest_first() if mail.name == name), None)


def _folder() -> Path:
    return Path(settings.SENT_MAILS)


def _newest_first() -> list[Path]:
    # Nanoseconds since 1970 have 19 digits until the year 2286: names sort by time.
    return sorted(_folder().glob("*.eml"), reverse=True)


def _read(path: Path) -> SentMail | None:
    try:
        letter = message_from_bytes(path.read_bytes(), policy=default)
    except FileNotFoundError:  # another process has just removed the oldest
        return None
    return SentMail(path.stem, letter)
