"""How a loop waits for the next row: by LISTEN on PostgreSQL, by polling elsewhere."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from django.db import Error, connections, router

from .models import PasswordResetRequest
from .wakeup import CHANNEL

#: Seconds after which a wait checks whether to stop.
SLICE = 1.0

logger = logging.getLogger("password_reset")


class Listener:
    """A database connection that listens, beside those that do the work.

    Where LISTEN is not available (another database than PostgreSQL, a driver older than
    psycopg 3.2, a pooler that forbids it) it waits for the interval instead.
    """

    def __init__(self, interval: float) -> None:
        """``interval`` is in seconds; a notification ends a wait at once."""
        self._interval = interval
        self._connection: Any = None
        self._can_listen = _database().vendor == "postgresql"

    def wait(self, stopped: Callable[[], bool] = lambda: False) -> None:
        """Return when a row may have come, or when the interval is over, or soon after
        ``stopped`` says so.
        """
        until = time.monotonic() + self._interval
        while not stopped() and (left := until - time.monotonic()) > 0:
            if self._is_woken(min(left, SLICE)):
                return

    def _is_woken(self, seconds: float) -> bool:
        if not self._can_listen:
            time.sleep(seconds)
            return False
        try:
            return self._is_notified(seconds)
        except Error as error:
            self.close()
            self._check_refusal(error)
            time.sleep(seconds)
        except (AttributeError, TypeError):  # psycopg2, or psycopg before 3.2
            self._poll_instead("its driver has no notifications")
        return False

    def close(self) -> None:
        """Close the connection; the next wait opens another."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _is_notified(self, seconds: float) -> bool:
        if self._connection is None:
            self._connection = _database().copy()
            # Not one of a pool, which those that work would miss.
            self._connection.settings_dict["OPTIONS"].pop("pool", None)
            if self._is_pooled():
                self._poll_instead("a pooler stands in front of it")
            else:
                with self._connection.cursor() as cursor:
                    cursor.execute(f"LISTEN {CHANNEL}")
            return True  # what came before it listened
        raw = self._connection.connection
        with self._connection.wrap_database_errors:
            found = list(raw.notifies(timeout=seconds, stop_after=1))
            # A burst sends one for each row, and one query serves them all.
            while found and list(raw.notifies(timeout=0.001)):
                pass
        return bool(found)

    def _is_pooled(self) -> bool:
        """Return whether a pooler stands between. PgBouncer in transaction mode takes
        LISTEN, and then the notifications go to nobody.
        """
        with self._connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        # Who lends its sessions to many gives each client a number of its own.
        return bool(pid != self._connection.connection.info.backend_pid)

    def _check_refusal(self, error: Error) -> None:
        # 0A000, feature not supported, and poolers' 08P01: retrying is useless.
        state = getattr(error.__cause__, "sqlstate", None)
        if state in {"0A000", "08P01", "42501"}:
            self._poll_instead(f"it refuses LISTEN ({state})")

    def _poll_instead(self, reason: str) -> None:
        self._can_listen = False
        seconds = self._interval
        logger.info(
            "The database cannot wake a loop, which now looks every %s s: %s",
            seconds,
            reason,
        )
        self.close()


def _database() -> Any:
    return connections[router.db_for_write(PasswordResetRequest)]
