"""The mailbox of the test's account: IMAP, or the HTTP API of a mail catcher."""

import email
import email.policy
import imaplib
import os
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import requests

SECONDS = 20


class Mailbox:
    """Emails to one address, oldest first."""

    #: How long an email may take.
    patience = float(os.environ.get("E2E_PATIENCE", "120"))

    def __init__(self, address: str, recipient: str) -> None:
        self.where = urlsplit(address)
        self.recipient = recipient

    def mails(self) -> Iterator[EmailMessage]:
        raise NotImplementedError

    def ids(self) -> set[str]:
        return {str(mail["Message-ID"]) for mail in self.mails()}

    def wait_for_new(self, known: set[str]) -> EmailMessage:
        """Return the first email that was not there before; raise TimeoutError when none
        comes.
        """
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            for mail in self.mails():
                if str(mail["Message-ID"]) not in known:
                    return mail
            time.sleep(1)
        raise TimeoutError(
            f"no mail to {self.recipient} within {self.patience:.0f} seconds"
        )

    def close(self) -> None:
        """Close the connection."""


class Imap(Mailbox):
    """imaps://user:password@host[:port][/folder]; percent-encode special characters."""

    def __init__(self, address: str, recipient: str) -> None:
        super().__init__(address, recipient)
        trust = ssl.create_default_context(cafile=os.environ.get("E2E_MAILBOX_CA"))
        self.server = imaplib.IMAP4_SSL(
            self.where.hostname or "",
            self.where.port or 993,
            ssl_context=trust,
            timeout=SECONDS,
        )
        self.server.login(
            unquote(self.where.username or ""), unquote(self.where.password or "")
        )
        self.folder = unquote(self.where.path.strip("/")) or "INBOX"

    def mails(self) -> Iterator[EmailMessage]:
        # Selected anew each time: some servers show what has come only then.
        self.server.select(f'"{self.folder}"', readonly=True)
        since = (datetime.now(UTC) - timedelta(days=1)).strftime("%d-%b-%Y")
        found = self.server.search(None, "SINCE", since, "TO", f'"{self.recipient}"')[
            1
        ][0]
        for number in found.split():
            content = self.server.fetch(number, "(BODY.PEEK[])")[1][0]
            if isinstance(content, tuple):
                yield parse(content[1])

    def close(self) -> None:
        self.server.logout()


class Maildev(Mailbox):
    """maildev+http://host:1080, the HTTP API of the catcher in compose.yaml."""

    def __init__(self, address: str, recipient: str) -> None:
        super().__init__(address, recipient)
        self.base = address.partition("+")[2].rstrip("/")

    def mails(self) -> Iterator[EmailMessage]:
        for entry in requests.get(f"{self.base}/email", timeout=SECONDS).json():
            source = requests.get(
                f"{self.base}/email/{entry['id']}/download", timeout=SECONDS
            )
            mail = parse(source.content)
            if self.recipient in str(mail["To"]):
                yield mail


KINDS = {"imaps": Imap, "maildev+http": Maildev, "maildev+https": Maildev}


def open_mailbox(address: str, recipient: str) -> Mailbox:
    """Return the mailbox at an address; its scheme says what kind it is."""
    scheme = address.partition("://")[0]
    if scheme not in KINDS:
        raise ValueError(f"E2E_MAILBOX must begin with one of {', '.join(KINDS)}")
    return KINDS[scheme](address, recipient)


def parse(source: bytes) -> EmailMessage:
    message = email.message_from_bytes(source, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message
