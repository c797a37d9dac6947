"""Django's PostgreSQL for visitors who cannot wait: ``"ENGINE": "project.postgresql"``.

Within ``deadlines.waiting_at_most`` a database that is away, or accepts connections and
says nothing, keeps a thread for that long at most, and whoever comes after that is
refused at once until it is back. Commands and workers wait as with Django's own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

import psycopg
from django.db.backends.postgresql import base
from psycopg.abc import PQGen

from project.circuit import CircuitBreaker
from project.deadlines import WaitBudget, wait_budget

Result = TypeVar("Result")
#: Seconds that the probe waits for a connection; libpq knows no shorter time.
PROBE_TIMEOUT = 2
#: Seconds between two looks at whether there is an answer.
INTERVAL = 0.05


class Connection(psycopg.Connection[Any]):
    """A connection that gives up with the request that waits for it."""

    on_timeout: Callable[[], object] | None = None

    def wait(
        self,
        gen: PQGen[Result],
        interval: float = INTERVAL,
        timeout: float | None = None,
    ) -> Result:
        budget = wait_budget()
        if budget is None or timeout is not None:
            return super().wait(gen, interval, timeout)
        with budget.spending() as left:
            try:
                return super().wait(gen, min(interval, INTERVAL), left)
            except psycopg.errors._WaitTimeout as error:
                self._give_up()
                raise psycopg.OperationalError("no answer in time") from error

    def _give_up(self) -> None:
        """Close: an answer that comes later is nobody's."""
        self.close()
        if self.on_timeout is not None:
            self.on_timeout()


class PatientPool:
    """A pool whose caller waits no longer than its request may."""

    def __init__(self, pool: Any, budget: WaitBudget) -> None:
        self._pool, self._budget = pool, budget

    def getconn(self) -> Any:
        with self._budget.spending() as left:
            return self._pool.getconn(timeout=left)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pool, name)


class DatabaseWrapper(base.DatabaseWrapper):
    """One thread's connection; the circuit breaker is its process's."""

    _connection_pools: dict[str, Any]  # Django's own
    _breakers: dict[str, CircuitBreaker] = {}
    _lock = threading.Lock()

    @property
    def breaker(self) -> CircuitBreaker:
        with self._lock:
            new = CircuitBreaker("database", self._probe)
            return self._breakers.setdefault(self.alias, new)

    @property
    def pool(self) -> Any:
        options = self.settings_dict["OPTIONS"].get("pool")
        if isinstance(options, dict):
            options.setdefault("connection_class", Connection)
        pool, budget = super().pool, wait_budget()
        return pool if pool is None or budget is None else PatientPool(pool, budget)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if wait_budget() is None:
            return super().get_new_connection(conn_params)
        if self.breaker.is_open:
            raise psycopg.OperationalError("the database is away")
        try:
            connection = super().get_new_connection(conn_params)
        except psycopg.OperationalError:
            self.breaker.trip()
            raise
        connection.on_timeout = self.breaker.trip
        return connection

    def _probe(self) -> None:
        """Connect as a newcomer does, then let go of a pool that pauses longer and
        longer between its own attempts.
        """
        params = self.get_connection_params() | {"connect_timeout": PROBE_TIMEOUT}
        psycopg.connect(**params).close()
        old = self._connection_pools.pop(self.alias, None)
        if old is not None:
            old.close(timeout=0)
