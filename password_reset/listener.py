"""How a loop waits for the next row: PostgreSQL tells it, elsewhere it looks."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from django.db import Error, connections, router

from .models import PasswordResetRequest
from .wakeup import CHANNEL

#: Seconds after which a wait asks whether to stop.
SLICE = 1.0

logger = logging.getLogger("password_reset")


class Listener:
    """A connection that listens, beside those that work.

    Where the database cannot tell (another one than PostgreSQL, a driver older than
    psycopg 3.2, a pooler that forbids LISTEN) it waits for the interval instead.
    """

    def __init__(self, interval: float) -> None:
        """``interval`` is in seconds; a notification ends a wait at once."""
        self._interval = interval
        self._connection: Any = None
        self._is_told = _database().vendor == "postgresql"

    def wait(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Return when a row may have come, or when the interval is over, or soon after
        ``stopped`` says so.
        """
        until = time.monotonic() + self._interval
        while not stopped() and (left := until - time.monotonic()) > 0:
            if self._is_woken(min(left, SLICE)):
                return

    def _is_woken(self, seconds: float) -> bool:
        if not self._is_told:
            time.sleep(seconds)
            return False
        try:
            return self._is_notified(seconds)
        except Error as error:
            self.close()
            self._check_refusal(error)
            time.sleep(seconds)
        except (AttributeError, TypeError):  # psycopg2, or psycopg before 3.2
            self._look_instead("its driver has no notifications")
        return False

    def close(self) -> None:
        """Give the connection up; the next wait opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _is_notified(self, seconds: float) -> bool:
        if self._connection is None:
            self._connection = _database().copy()
            with self._connection.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
            return True  # what came before it listened
        raw = self._connection.connection
        with self._connection.wrap_database_errors:
            found = list(raw.notifies(timeout=seconds, stop_after=1))
            # A burst leaves one for each row, and one look serves them all.
            while found and list(raw.notifies(timeout=0.001)):
                pass
        return bool(found)

    def _check_refusal(self, error: Error) -> None:
        # 0A000, feature not supported, and poolers' 08P01: it will not get better.
        state = getattr(error.__cause__, "sqlstate", None)
        if state in {"0A000", "08P01", "42501"}:
            self._look_instead(f"it refuses LISTEN ({state})")

    def _look_instead(self, reason: str) -> None:
        self._is_told = False
        seconds = self._interval
        logger.info(
            "The database cannot wake a loop, which now looks every %s s: %s",
            seconds,
            reason,
        )
        self.close()


def _database() -> Any:
    return connections[router.db_for_write(PasswordResetRequest)]
