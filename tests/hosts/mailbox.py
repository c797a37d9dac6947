"""The folder in which a host leaves its mails, read as its people's mail program would."""

import re
from collections.abc import Iterator
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path

from tests.tools.servers import wait_until

#: What Django's file back end writes after each mail.
END = b"\n" + b"-" * 79 + b"\n"
LINK = re.compile(r"https?://\S+\?token=[0-9a-f]{64}")
SECONDS = 20


class Mailbox:
    """The mails of all people of a host."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mails(self, address: str) -> list[EmailMessage]:
        """Return the complete mails to an address, in no order."""
        return [mail for mail in self.all_mails() if mail["To"] == address]

    def links(self, address: str) -> list[str]:
        """Return the links of all mails to an address that have one."""
        texts = [
            mail.get_body(("plain",)).get_content() for mail in self.mails(address)
        ]
        return [match[0] for text in texts if (match := LINK.search(text))]

    def wait_for_link(self, address: str, count: int = 1) -> str:
        """Wait until that many mails with a link have come; return the newest's link,
        which only the first time is sure to be it.
        """
        wait_until(
            lambda: len(self.links(address)) >= count,
            lambda: f"no mail with a link for {address}",
            SECONDS,
        )
        return self.links(address)[-1]

    def all_mails(self) -> Iterator[EmailMessage]:
        """Yield the complete mails, in the order of their files."""
        for path in sorted(
            self.folder.glob("*.log"), key=lambda path: path.stat().st_mtime_ns
        ):
            for raw in path.read_bytes().split(END)[:-1]:
                yield message_from_bytes(raw, policy=policy.default)
