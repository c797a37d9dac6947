"""Calls to servers that may never answer, and how long to wait for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic
from typing import Generic, TypeVar

from django.db import connections

Result = TypeVar("Result")
#: The shortest time that is worth a wait, in seconds.
MOMENT = 0.01


class WaitBudget:
    """The seconds that a request may spend waiting for a server, altogether.

    Its own work does not count: a busy machine is no reason to refuse anybody.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = self.left = seconds

    def renew(self) -> None:
        """Begin anew: what was waited for is only busy."""
        self.left = self._seconds

    @contextmanager
    def spending(self) -> Iterator[float]:
        """Yield the time-out of a wait, in seconds, and take what it lasted."""
        started = monotonic()
        try:
            yield max(self.left, MOMENT)
        finally:
            self.left -= monotonic() - started


_budget: ContextVar[WaitBudget | None] = ContextVar("wait_budget", default=None)


@contextmanager
def waiting_at_most(seconds: float) -> Iterator[None]:
    """Give this thread a budget for its waits."""
    token = _budget.set(WaitBudget(seconds))
    try:
        yield
    finally:
        _budget.reset(token)


def wait_budget() -> WaitBudget | None:
    """Return this thread's budget, or ``None`` where it may wait for ever."""
    return _budget.get()


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
