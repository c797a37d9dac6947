"""Visitors at a steady rate, and what they were told."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from queue import SimpleQueue

PATHS = (
    "/forgot-password",
    "/login",
    "/health/live",
    "/reset-password",
    "/health/live",
)
SECONDS = 35
VISITORS = 40


@dataclass
class Load:
    """Ask a site `rate` times a second between `with` and its end.

    A request is due at its time, however long those before it take. A visitor keeps a
    connection to nginx, as browsers do; nginx has connections of its own to the site.
    """

    name: str
    ca: Path
    rate: int = 50
    #: Ask again, as browsers do (RFC 9112, 9.3.1), where a kept connection is closed.
    again: bool = False
    port: int = 443
    answers: Counter[str] = field(default_factory=Counter)
    times: list[float] = field(default_factory=list)

    def __enter__(self) -> Load:
        self.trust = ssl.create_default_context(cafile=str(self.ca))
        self.due: SimpleQueue[str | None] = SimpleQueue()
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self._tick)]
        self.threads += [threading.Thread(target=self._visit) for _ in range(VISITORS)]
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.ended.set()
        for thread in self.threads:
            thread.join()

    @property
    def total(self) -> int:
        return sum(self.answers.values())

    @property
    def failed(self) -> int:
        """How many were answered with a 5xx, or not at all."""
        return self.total - sum(n for what, n in self.answers.items() if what < "500")

    def slowest(self) -> float:
        return max(self.times, default=0.0)

    def _tick(self) -> None:
        started = time.monotonic()
        for number in count(1):
            self.due.put(PATHS[number % len(PATHS)])
            wait = started + number / self.rate - time.monotonic()
            if self.ended.wait(max(0.0, wait)):
                break
        for _visitor in range(VISITORS):
            self.due.put(None)

    def _visit(self) -> None:
        connection = http.client.HTTPSConnection(self.name, timeout=SECONDS)
        while (path := self.due.get()) is not None:
            started = time.monotonic()
            try:
                what = str(self._status_at_last(connection, path))
            except (OSError, http.client.HTTPException) as fault:
                connection.close()
                what = type(fault).__name__
            self.answers[what] += 1
            self.times.append(time.monotonic() - started)
        connection.close()

    def _status_at_last(
        self, connection: http.client.HTTPSConnection, path: str
    ) -> int:
        kept = connection.sock is not None
        try:
            return self._status(connection, path)
        except http.client.RemoteDisconnected:
            if not (kept and self.again):
                raise
            connection.close()
            return self._status(connection, path)

    def _status(self, connection: http.client.HTTPSConnection, path: str) -> int:
        if connection.sock is None:
            plain = socket.create_connection(("127.0.0.1", self.port), SECONDS)
            connection.sock = self.trust.wrap_socket(plain, server_hostname=self.name)
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        return answer.status
