"""Calls to servers that may never answer, and how long to wait for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

from django.db import connections

Result = TypeVar("Result")


class BoundedCall(Generic[Result]):
    """Call a function in a thread of its own and wait for a limited time.

    A server that does not respond keeps one thread, however often the call is started:
    callers that come meanwhile wait for the same result.
    """

    def __init__(self, function: Callable[[], Result]) -> None:
        self._function = function
        self._lock = threading.Lock()
        self._pending: Future[Result] | None = None

    def start(self) -> Future[Result]:
        """Start the call, unless it is still running."""
        with self._lock:
            if self._pending is None or self._pending.done():
                self._pending = Future()
                threading.Thread(
                    target=self._run, args=(self._pending,), daemon=True
                ).start()
            return self._pending

    def result(self, seconds: float) -> Result:
        """Return the result. Raises ``TimeoutError``, or what the function raised."""
        return self.start().result(seconds)

    def _run(self, pending: Future[Result]) -> None:
        try:
            result = self._call_and_close()
        except Exception as error:  # it belongs to whoever waits
            pending.set_exception(error)
        else:
            pending.set_result(result)

    def _call_and_close(self) -> Result:
        try:
            return self._function()
        finally:
            connections.close_all()
