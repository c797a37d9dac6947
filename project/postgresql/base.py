"""Django's PostgreSQL for visitors who cannot wait: ``"ENGINE": "project.postgresql"``.

Within ``deadlines.waiting_at_most`` a database that is away, or accepts connections and
says nothing, keeps a thread for that long at most, and whoever comes after that is
refused at once until it is back. Commands and workers wait as with Django's own.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import Any, TypeVar

import psycopg
from django.db.backends.postgresql import base
from psycopg.abc import PQGen
from psycopg.waiting import Ready
from psycopg_pool import PoolTimeout

from project.circuit import CircuitBreaker
from project.deadlines import WaitBudget, wait_budget

Result = TypeVar("Result")
#: Seconds that the probe waits for a connection; libpq knows no shorter time.
PROBE_TIMEOUT = 2
#: Seconds between two looks at whether there is an answer.
INTERVAL = 0.05


class Connection(psycopg.Connection[Any]):
    """A connection that gives up with the request that waits for it, unless the server
    is only busy.
    """

    is_away: Callable[[], bool] = staticmethod(lambda: False)

    def wait(
        self,
        gen: PQGen[Result],
        interval: float = INTERVAL,
        timeout: float | None = None,
    ) -> Result:
        budget = wait_budget()
        if budget is None or timeout is not None:
            return super().wait(gen, interval, timeout)
        with budget.spending():
            watched = self._watched(gen, budget)
            return super().wait(watched, min(interval, INTERVAL))

    def _watched(self, gen: PQGen[Result], budget: WaitBudget) -> PQGen[Result]:
        """Pass a conversation on, and end it where the other side has left."""
        since, left, ready = monotonic(), budget.left, None
        while True:
            try:
                wants = next(gen) if ready is None else gen.send(ready)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            ready = yield wants
            if ready == Ready.NONE and monotonic() - since > left:
                if self.is_away():
                    self.close()  # an answer that comes later is nobody's
                    raise psycopg.OperationalError("no answer in time")
                budget.renew()
                since, left = monotonic(), budget.left


class PatientPool:
    """A pool whose caller waits no longer than its request may, unless all connections
    are only busy.
    """

    def __init__(
        self, pool: Any, budget: WaitBudget, is_away: Callable[[], bool]
    ) -> None:
        self._pool, self._budget, self._is_away = pool, budget, is_away

    def getconn(self) -> Any:
        try:
            with self._budget.spending() as left:
                return self._pool.getconn(timeout=left)
        except PoolTimeout:
            if self._is_away():
                raise
        self._budget.renew()
        return self._pool.getconn()

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
            new = CircuitBreaker("database", self._probe, self._let_go)
            return self._breakers.setdefault(self.alias, new)

    @property
    def pool(self) -> Any:
        options = self.settings_dict["OPTIONS"].get("pool")
        if isinstance(options, dict):
            options.setdefault("connection_class", self._connection_class())
        pool, budget = super().pool, wait_budget()
        if pool is None or budget is None:
            return pool
        return PatientPool(pool, budget, self.breaker.is_away)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        if wait_budget() is None:
            return super().get_new_connection(conn_params)
        if self.breaker.is_open:
            raise psycopg.OperationalError("the database is away")
        try:
            return super().get_new_connection(conn_params)
        except KeyError:  # Django looks for a pool that was let go meanwhile
            raise psycopg.OperationalError("the pool is made anew") from None

    def _connection_class(self) -> type[Connection]:
        is_away = staticmethod(self.breaker.is_away)
        return type("Connection", (Connection,), {"is_away": is_away})

    def _probe(self) -> None:
        params = self.get_connection_params() | {"connect_timeout": PROBE_TIMEOUT}
        psycopg.connect(**params).close()

    def _let_go(self) -> None:
        """Leave a pool that pauses longer and longer between its own attempts."""
        old = self._connection_pools.pop(self.alias, None)
        if old is not None:
            old.close(timeout=0)
