"""Questions to servers that may never answer."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from django.db import connections

Answer = TypeVar("Answer")


class Question(Generic[Answer]):
    """Ask in a thread of its own and wait only so long.

    A server that hangs keeps one thread, however often it is asked: who asks meanwhile
    waits for the same answer.
    """

    def __init__(self, ask: Callable[[], Answer]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._pending: Future[Answer] | None = None

    def start(self) -> Future[Answer]:
        """Ask, unless the question stands already."""
        with self._lock:
            if self._pending is None or self._pending.done():
                self._pending = Future()
                threading.Thread(
                    target=self._run, args=(self._pending,), daemon=True
                ).start()
            return self._pending

    def answer(self, seconds: float) -> Answer:
        """Return the answer. Raises ``TimeoutError``, or whatever asking raised."""
        return self.start().result(seconds)

    def _run(self, pending: Future[Answer]) -> None:
        try:
            result = self._ask_and_hang_up()
        except Exception as error:  # it belongs to whoever waits
            pending.set_exception(error)
        else:
            pending.set_result(result)

    def _ask_and_hang_up(self) -> Answer:
        try:
            return self._ask()
        finally:
            connections.close_all()
