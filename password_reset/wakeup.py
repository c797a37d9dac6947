"""The wake-up of a worker: a task of the host's queue, which carries a number and may
get lost, or a NOTIFY of PostgreSQL.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import lru_cache
from time import monotonic
from typing import TYPE_CHECKING

import django
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router
from django.utils import timezone

from .conf import conf
from .models import PasswordResetRequest

if TYPE_CHECKING or django.VERSION >= (6, 0):
    from django.tasks import (
        DEFAULT_TASK_BACKEND_ALIAS,
        DEFAULT_TASK_QUEUE_NAME,
        Task,
        task,
        task_backends,
    )
else:
    from django_tasks import (
        DEFAULT_TASK_BACKEND_ALIAS,
        DEFAULT_TASK_QUEUE_NAME,
        task,
        task_backends,
    )

logger = logging.getLogger("password_reset")

DEFAULT_QUEUE: str = DEFAULT_TASK_QUEUE_NAME

#: Rows in a second, from one process, from which on they share wake-ups.
THRESHOLD = 20
#: Seconds by which a shared wake-up is delayed, to cover the rows that come until then.
DELAY = 0.5
#: Seconds before a shared wake-up in which rows get another: the clock of the worker's
#: host may be ahead.
CLOCK_SKEW = 0.25
#: The channel on which PostgreSQL notifies a loop of a new row.
CHANNEL = "password_reset"


def worker_task(function: Callable[[int], None]) -> Task[[int], None]:
    """Make a task of a function. A task is checked when it is made, and a host whose
    TASKS has neither the alias nor the queue ``default`` must be able to start all the
    same; a system check says what is missing.
    """
    for alias in sorted(
        aliases(), key=lambda alias: alias != DEFAULT_TASK_BACKEND_ALIAS
    ):
        with suppress(ImproperlyConfigured):
            return task(backend=alias, queue_name=queue_of(alias))(function)
    return task()(function)


def aliases() -> set[str]:
    """Return the task back ends that the host has."""
    return set(task_backends)


def queue_of(alias: str) -> str:
    """Return the queue of a back end that our tasks go to: ``default`` where it has
    one.
    """
    queues = task_backends[alias].queues
    return DEFAULT_QUEUE if not queues or DEFAULT_QUEUE in queues else min(queues)


def is_immediate(alias: str) -> bool:
    """Return whether a task back end does its work inside the web request."""
    return type(task_backends[alias]).__name__ == "ImmediateBackend"


def wake_by_task(task: Task[[int], None], pk: int) -> None:
    """Ask the task back end, where there is one, to work on a row that is committed.

    In a burst most rows are left to a wake-up that is to come: the worker that gets it
    works on all that is due. Without a back end PostgreSQL notifies a listening loop.
    """
    alias = conf.task_backend
    if alias is None:
        notify_loop()
        return
    if not settings.DEBUG and is_immediate(alias):
        _warn_of_immediate()
    aimed = _aimed(task, alias, queue_of(alias))
    throttle = _throttle(aimed)
    if not throttle.is_exceeded() or not _can_delay(alias):
        aimed.enqueue(pk)
    elif not throttle.is_covered:
        now, clock = timezone.now(), monotonic()
        aimed.using(run_after=now + timedelta(seconds=DELAY)).enqueue(pk)
        # Only now: a wake-up that could not be enqueued covers nobody.
        throttle.covered_until = clock + DELAY - CLOCK_SKEW


def notify_loop() -> None:
    """Wake ``process_reset_requests --loop`` where the database can (PostgreSQL)."""
    connection = connections[router.db_for_write(PasswordResetRequest)]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])


class WakeupThrottle:
    """How fast this process writes rows, and until when a shared wake-up covers them.

    Needs no lock: of two threads at the same moment each may enqueue a shared wake-up,
    and one of them is redundant.
    """

    def __init__(self) -> None:
        self.covered_until = 0.0
        self._recent: deque[float] = deque(maxlen=THRESHOLD)

    def is_exceeded(self) -> bool:
        """Count one row; return whether a second has brought ``THRESHOLD`` of them."""
        now = monotonic()
        self._recent.append(now)
        return len(self._recent) == THRESHOLD and now - self._recent[0] < 1

    @property
    def is_covered(self) -> bool:
        """Whether a shared wake-up comes after this moment."""
        return monotonic() < self.covered_until


@lru_cache(maxsize=8)
def _throttle(aimed: Task[[int], None]) -> WakeupThrottle:
    return WakeupThrottle()


@lru_cache(maxsize=8)
def _aimed(task: Task[[int], None], alias: str, queue: str) -> Task[[int], None]:
    return task.using(backend=alias, queue_name=queue)


def _can_delay(alias: str) -> bool:
    """Return whether a back end can delay a task. Django's Dummy is for tests, which
    expect each task.
    """
    backend = task_backends[alias]
    return backend.supports_defer and type(backend).__name__ != "DummyBackend"


@lru_cache(maxsize=1)
def _warn_of_immediate() -> None:
    logger.warning(
        "TASKS names no background worker, so reset emails are sent inside the web "
        "request and its time tells "
        "who has an account (password_reset.W001)."
    )
