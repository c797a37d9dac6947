"""Threads that work on one queue of emails, each with connections of its own."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from threading import Condition, Thread
from types import TracebackType
from typing import Generic, Self, TypeVar

from django.db import OperationalError, connections, router

from .mail_connection import MailConnection
from .models import PasswordResetRequest

logger = logging.getLogger("password_reset")

Job = TypeVar("Job")
Work = Callable[[Job, MailConnection], object]


class Senders(Generic[Job]):
    """A queue, and the threads that work on it from the first batch to the last.

    The thread that fills the queue is one of them. The queue ends for all of them when
    ``stopped`` says so, when no email can be sent at present, and when one has failed.
    """

    def __init__(
        self, count: int, work: Work[Job], stopped: Callable[[], bool]
    ) -> None:
        self._work, self._stopped = work, stopped
        self._jobs: deque[Job] = deque()
        self._changed = Condition()
        self._closed = False
        self._threads: list[_Thread] = []
        self._channels = [MailConnection() for _ in range(_possible(count))]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def ready(self) -> int:
        """How many threads work beside the calling one: so many jobs are not left
        lying.
        """
        return sum(thread.is_ready for thread in self._threads)

    @property
    def waiting(self) -> int:
        """How many jobs nobody has taken."""
        return len(self._jobs)

    @property
    def is_outage(self) -> bool:
        """Whether one has found that no email can be sent at present."""
        return any(connection.unavailable for connection in self._channels)

    @property
    def is_ended(self) -> bool:
        """Whether no other job is taken from the queue."""
        failed = any(thread.error for thread in self._threads)
        return failed or self.is_outage or self._stopped()

    def add(self, jobs: Sequence[Job]) -> None:
        """Put jobs into the queue.

        The first goes alone, unless an email was just sent: while none can be sent,
        only one row is tried.
        """
        alone = 0 if any(each.is_open for each in self._channels) else 1
        with self._changed:
            self._jobs.extend(jobs)
        for _job in jobs[:alone]:
            self._work_on_next()
        self._start(self.waiting - 1)
        with self._changed:
            self._changed.notify_all()

    def drain(self, down_to: int = 0) -> None:
        """Work beside the threads until so many jobs are left, or the queue has
        ended.
        """
        while self.waiting > down_to and self._work_on_next():
            pass

    def close(self) -> list[Job]:
        """Wait for what is on its way; return the jobs that nobody has taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
        for connection in self._channels:
            connection.close()
        return list(self._jobs)

    def check(self) -> None:
        """Raise what a thread has failed with."""
        for thread in self._threads:
            if thread.error:
                raise thread.error

    def _serve(self, connection: MailConnection) -> None:
        while (job := self._wait_for_next()) is not None:
            self._work(job, connection)

    def _wait_for_next(self) -> Job | None:
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closed)
            return self._next()

    def _work_on_next(self) -> bool:
        with self._changed:
            job = self._next()
        if job is not None:
            self._work(job, self._channels[0])
        return job is not None

    def _next(self) -> Job | None:
        return self._jobs.popleft() if self._jobs and not self.is_ended else None

    def _start(self, wanted: int) -> None:
        """Start threads for so many jobs, as far as there are connections for them."""
        while len(self._threads) < min(wanted, len(self._channels) - 1):
            connection = self._channels[len(self._threads) + 1]
            thread = _Thread(partial(self._serve, connection))
            try:
                thread.start()
            except RuntimeError:  # the system has no thread left: fewer work
                return
            self._threads.append(thread)


class _Thread(Thread):
    """A sender with a database connection of its own."""

    def __init__(self, serve: Callable[[], None]) -> None:
        super().__init__(name="password-reset-sender", daemon=True)
        self._serve = serve
        self.error: Exception | None = None
        self.is_ready = False

    def run(self) -> None:
        try:
            # Before it has a row in hand: a pool may be smaller than all senders.
            self.is_ready = can_reach_database()
            if self.is_ready:
                self._serve()
        except Exception as error:
            self.error = error
        finally:
            self.is_ready = False
            connections.close_all()


def can_reach_database() -> bool:
    """Return whether this thread has a database connection; log when it has not."""
    try:
        connections[router.db_for_write(PasswordResetRequest)].ensure_connection()
    except OperationalError as error:
        name = type(error.__cause__ or error).__name__
        logger.warning("A sender of password reset has no database: %s", name)
        return False
    return True


def _possible(count: int) -> int:
    """Return how many may send at once: one where other threads could not see the
    rows.
    """
    database = connections[router.db_for_write(PasswordResetRequest)]
    alone = database.in_atomic_block or database.vendor == "sqlite"
    return 1 if alone else count
