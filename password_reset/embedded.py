"""The embedded worker: a thread of the web process, where the host configured no task
back end.

Without it Django's default back end would send the email inside the request, whose
time would then tell who has an account.
"""

from __future__ import annotations

import logging
import os
import random
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import chain
from threading import Event, Lock, Thread, get_native_id

from django.db import connections

logger = logging.getLogger("password_reset")

#: Seconds between a request and its work, at random, also while the thread is busy:
#: what a visitor measures right after a request says nothing about the account.
DELAY = (0.1, 0.9)
#: Seconds between two looks without a wake-up: what was put off comes due by time.
POLL = 15.0
#: Seconds before another look when the last one failed, as while the database is away.
PAUSE = 5.0
#: How much the thread gives way to those that answer requests (Linux: nice, per
#: thread).
NICENESS = 10


class EmbeddedWorker:
    """One daemon thread for each web process, started by the first wake-up.

    It ends with its process; the rows stay due.
    """

    def __init__(self, work: Callable[[Callable[[], float]], object]) -> None:
        """``work`` asks before each batch for the age that its rows must have."""
        self._work = work
        self._lock = Lock()
        self._awake = Event()
        self._thread: Thread | None = None
        self._pid = 0
        self._stopped = False

    def wake(self) -> None:
        """Have the thread look for work soon; start it where it is not running."""
        with self._lock:
            if not self._is_running():
                self._start()
        self._awake.set()

    def stop(self) -> None:
        """End the thread once its current work is done; a wake-up starts another."""
        with self._lock:
            thread, self._thread = self._thread, None
        if thread is not None:
            self._stopped = True
            self._awake.set()
            thread.join()

    def _is_running(self) -> bool:
        # A server may have forked since: threads do not survive that.
        alive = self._thread is not None and self._thread.is_alive()
        return alive and self._pid == os.getpid()

    def _start(self) -> None:
        self._pid, self._awake, self._stopped = os.getpid(), Event(), False
        self._thread = Thread(target=self._run, name="password-reset", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        _yield_to_visitors()
        while not self._stopped:
            self._awake.wait(POLL)
            self._awake.clear()
            delay = _random_delay()
            time.sleep(delay)
            # The row of this wake-up is that old now. A row that comes later, to this
            # process or another, has a wake-up of its own, and a backlog is old enough.
            self._try(chain([delay], iter(_random_delay, None)).__next__)

    def _try(self, age: Callable[[], float]) -> None:
        try:
            self._work(age)
        except Exception as error:
            name = type(error).__name__
            logger.warning("The worker of password reset could not work: %s", name)
            time.sleep(PAUSE)
        finally:
            connections.close_all()


def _random_delay() -> float:
    return random.uniform(*DELAY)  # noqa: S311 (no secret)


def _yield_to_visitors() -> None:
    # A green thread has the process's own number: it must not slow the whole server.
    if sys.platform == "linux" and get_native_id() != os.getpid():
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, get_native_id(), NICENESS)
