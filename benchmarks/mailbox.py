"""An SMTP server that takes 50 ms for a message, in a process of its own, and what it
received.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from email import message_from_string
from email.policy import default
from pathlib import Path
from typing import IO, Any

from aiosmtpd.controller import UnthreadedController

from benchmarks.processes import spawn, stop, wait_for_port

SECONDS_PER_MESSAGE = 0.05
LINK = re.compile(r"https?://\S+")


@dataclass(frozen=True)
class Mail:
    """One message; `at` is on the machine's monotonic clock, which all processes share."""

    at: float
    recipient: str
    source: str

    @property
    def link(self) -> str:
        """Return the path and query of the first link in the text."""
        message = message_from_string(self.source, policy=default)
        text = message.get_body(("plain",)) or message
        for link in LINK.findall(text.get_content()):
            path = "/" + link.split("/", 3)[3] if link.count("/") > 2 else "/"
            if len(path) > 20:
                return path
        raise ValueError("a mail without a link")


class SlowHandler:
    """Keep every message, after a pause."""

    def __init__(self, file: IO[str]) -> None:
        self.file = file

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        """Accept a message."""
        await asyncio.sleep(SECONDS_PER_MESSAGE)
        text = envelope.content.decode()
        record = [time.monotonic(), envelope.rcpt_tos[0], text]
        self.file.write(json.dumps(record) + "\n")
        return "250 kept"


def serve(port: int, path: Path) -> None:
    """Receive mail until this process is ended."""
    loop = asyncio.new_event_loop()
    with path.open("a", buffering=1) as file:
        controller = UnthreadedController(
            SlowHandler(file), hostname="127.0.0.1", port=port, loop=loop
        )
        controller.begin()  # type: ignore[no-untyped-call]
        loop.run_forever()


@dataclass
class Mailbox:
    """The server's process and the mails read so far."""

    port: int
    path: Path
    mails: list[Mail] = field(default_factory=list)
    _process: subprocess.Popen[bytes] | None = None
    _read: int = 0

    def open(self) -> None:
        """Start the server."""
        command = [
            sys.executable,
            "-m",
            "benchmarks.mailbox",
            str(self.port),
            str(self.path),
        ]
        self._process = spawn(command, self.path.with_suffix(".log"))
        wait_for_port(self.port)

    @property
    def processes(self) -> list[int]:
        """Return the number of the server's process while it runs."""
        return [self._process.pid] if self._process else []

    def close(self) -> None:
        """Stop the server: connections are refused from now on."""
        if self._process is not None:
            stop(self._process)
            self._process = None

    def receive(self) -> list[Mail]:
        """Return the mails that came since the last call."""
        if not self.path.exists():
            return []
        with self.path.open() as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind("\n") + 1]
        self._read += len(whole.encode())
        new = [Mail(*json.loads(line)) for line in whole.splitlines()]
        self.mails += new
        return new

    def wait(self, recipient: str, since: float, timeout: float = 20) -> Mail | None:
        """Return the first mail to an address that came after a moment."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            self.receive()
            for mail in reversed(self.mails):
                if mail.at < since:
                    break
                if mail.recipient == recipient:
                    return mail
            time.sleep(0.002)
        return None

    def wait_for_more(self, number: int, timeout: float = 120) -> list[Mail]:
        """Return so many mails that were not received before."""
        start, end = len(self.mails), time.monotonic() + timeout
        while len(self.mails) < start + number:
            if time.monotonic() > end:
                came = len(self.mails) - start
                raise TimeoutError(f"{came} of {number} mails came")
            self.receive()
            time.sleep(0.02)
        return self.mails[start:]

    def wait_for_silence(self, seconds: float = 2, timeout: float = 120) -> None:
        """Wait until no mail has come for a while."""
        last, end = time.monotonic(), time.monotonic() + timeout
        while time.monotonic() < min(last + seconds, end):
            if self.receive():
                last = time.monotonic()
            time.sleep(0.1)


if __name__ == "__main__":
    serve(int(sys.argv[1]), Path(sys.argv[2]))
