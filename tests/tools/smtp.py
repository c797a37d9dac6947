"""A real SMTP server for tests: it keeps what it accepts and misbehaves on request."""

import asyncio
import email
import email.policy
import logging
import threading
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

WAIT_SECONDS = 20

# The test server's own chatter must not stand among the log lines of a test.
logging.getLogger("mail.log").setLevel(logging.WARNING)


@dataclass(frozen=True)
class Delivery:
    """One accepted mail: the envelope's addresses and the message in it."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage

    @property
    def text(self) -> str:
        part = self.message.get_body(("plain",))
        return part.get_content() if part else ""

    @property
    def html(self) -> str:
        part = self.message.get_body(("html",))
        return part.get_content() if part else ""


class SmtpServer:
    """Accept mail on 127.0.0.1, or on `host`.

    `replies` maps a recipient to the answer it gets (`"550 No such user"`, `"451 Try
    later"`), `"*"` any other; `delay` makes each DATA that many seconds slow;
    `connections` counts those accepted; between `hold()` and `release()` a client that
    has sent its DATA waits for an answer. `stop()` refuses connections until `start()`.
    After `quota` mails `over_quota` is the answer to every other; `refused` counts those.
    """

    def __init__(self, port: int, host: str = "127.0.0.1", **smtp_options: Any) -> None:
        self.port, self.host = port, host
        self.smtp_options = smtp_options
        self.deliveries: list[Delivery] = []
        self.replies: dict[str, str] = {}
        self.delay = 0.0
        self.quota: int | None = None
        self.over_quota = "421 4.7.0 Try again later"
        self.refused = 0
        self.smtputf8 = True
        self.connections = 0
        self.held = threading.Event()
        self._open = threading.Event()
        self._open.set()
        self._arrived = threading.Condition()
        self._connections: list[SMTP] = []
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Return the demo's environment for sending here."""
        return {
            "EMAIL_PROVIDER": "smtp",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.port),
            "SMTP_SECURE": "false",
            "SMTP_USER": "",
            "SMTP_PASSWORD": "",
        }

    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(self._listen(self._loop))
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def _listen(self, loop: asyncio.AbstractEventLoop) -> Any:
        return loop.create_server(self._accept, self.host, self.port)

    def _accept(self) -> SMTP:
        connection = SMTP(self, enable_SMTPUTF8=self.smtputf8, **self.smtp_options)
        self._connections.append(connection)
        self.connections += 1
        return connection

    def open_connections(self) -> int:
        """Return how many clients have not hung up."""
        return sum(one.transport is not None for one in self._connections)

    def stop(self) -> None:
        """Cut every connection and refuse new ones."""
        if self._loop is None:
            return
        asyncio.run_coroutine_threadsafe(self._hang_up(), self._loop).result(
            WAIT_SECONDS
        )
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(WAIT_SECONDS)
        self._loop.close()
        self._loop = None

    async def _hang_up(self) -> None:
        self._server.close()
        for connection in self._connections:
            if connection.transport is not None:
                connection.transport.abort()
        self._connections.clear()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    def close(self) -> None:
        self.release()
        self.stop()

    def hold(self) -> None:
        """Keep clients waiting after DATA; `held` is set when the first one waits."""
        self.held.clear()
        self._open.clear()

    def release(self) -> None:
        self._open.set()

    def wait_for(self, count: int, seconds: float = WAIT_SECONDS) -> list[Delivery]:
        """Return the deliveries once there are so many; raise TimeoutError otherwise."""
        with self._arrived:
            if self._arrived.wait_for(lambda: len(self.deliveries) >= count, seconds):
                return list(self.deliveries)
        raise TimeoutError(f"{len(self.deliveries)} of {count} mails after {seconds} s")

    async def handle_RCPT(  # noqa: N802 - the name is aiosmtpd's
        self,
        server: SMTP,
        session: Session,
        envelope: Envelope,
        address: str,
        options: list[str],
    ) -> str:
        reply = self._reply(address)
        if reply is None:
            envelope.rcpt_tos.append(address)
        return reply or "250 OK"

    def _reply(self, address: str) -> str | None:
        if self.quota is not None and len(self.deliveries) >= self.quota:
            self.refused += 1
            return self.over_quota
        return self.replies.get(address, self.replies.get("*"))

    async def handle_DATA(  # noqa: N802 - the name is aiosmtpd's
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        await asyncio.sleep(self.delay)
        while not self._open.is_set():
            self.held.set()
            await asyncio.sleep(0.02)
        self._keep(envelope)
        return "250 OK"

    def _keep(self, envelope: Envelope) -> None:
        message = email.message_from_bytes(
            envelope.content, policy=email.policy.default
        )
        recipients = tuple(envelope.rcpt_tos)
        with self._arrived:
            self.deliveries.append(
                Delivery(envelope.mail_from or "", recipients, message)
            )
            self._arrived.notify_all()
