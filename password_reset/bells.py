"""The bell that wakes a worker: a task of the host's queue, which carries a number and
may get lost.
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
from django.utils import timezone

from .conf import conf

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

#: Rows in a second, from one process, that are a flood: from here on they share bells.
FLOOD = 20
#: Seconds by which a shared bell is put off, to ring for the rows that come until then.
PAUSE = 0.5
#: Seconds before a shared bell rings in which rows get another: the clock of the
#: worker's host may be ahead.
CLOCK_SKEW = 0.25


def bell(function: Callable[[int], None]) -> Task[[int], None]:
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
    """Tell whether a task back end does its work inside the web request."""
    return type(task_backends[alias]).__name__ == "ImmediateBackend"


def ring(bell: Task[[int], None], pk: int) -> None:
    """Ask the task back end, where there is one, to work on a row that is committed.

    In a flood most rows are left to a bell that is going to ring: whoever hears one
    works on all that is due.
    """
    alias = conf.task_backend
    if alias is None:
        return
    if not settings.DEBUG and is_immediate(alias):
        _warn_of_immediate()
    aimed = _aimed(bell, alias, queue_of(alias))
    flood = _flood(aimed)
    if not flood.rises() or not _can_wait(alias):
        aimed.enqueue(pk)
    elif not flood.is_covered:
        now, clock = timezone.now(), monotonic()
        aimed.using(run_after=now + timedelta(seconds=PAUSE)).enqueue(pk)
        # Only now: a bell that could not be hung rings for nobody.
        flood.covered_until = clock + PAUSE - CLOCK_SKEW


class Flood:
    """How fast this process writes rows, and until when a shared bell rings for them.

    Needs no lock: of two threads at the same moment each may hang a shared bell, and
    one of them is spare.
    """

    def __init__(self) -> None:
        self.covered_until = 0.0
        self._recent: deque[float] = deque(maxlen=FLOOD)

    def rises(self) -> bool:
        """Count one row; tell whether a second has brought ``FLOOD`` of them."""
        now = monotonic()
        self._recent.append(now)
        return len(self._recent) == FLOOD and now - self._recent[0] < 1

    @property
    def is_covered(self) -> bool:
        """Whether a shared bell will ring after this moment."""
        return monotonic() < self.covered_until


@lru_cache(maxsize=8)
def _flood(aimed: Task[[int], None]) -> Flood:
    return Flood()


@lru_cache(maxsize=8)
def _aimed(bell: Task[[int], None], alias: str, queue: str) -> Task[[int], None]:
    return bell.using(backend=alias, queue_name=queue)


def _can_wait(alias: str) -> bool:
    """Tell whether a back end can put a task off. Django's Dummy is for tests, which
    look for each task.
    """
    backend = task_backends[alias]
    return backend.supports_defer and type(backend).__name__ != "DummyBackend"


@lru_cache(maxsize=1)
def _warn_of_immediate() -> None:
    logger.warning(
        "TASKS names no background worker, so reset mails are sent inside the web "
        "request and its time tells "
        "who has an account (password_reset.W001)."
    )
