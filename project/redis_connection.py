"""redis-py's connections for visitors who cannot wait.

A socket's time-out is for one answer, and a request asks several times: by the
handshake of a connection, and for its counters. Within ``deadlines.waiting_at_most``
that counts towards the same seconds as what the request waits for the database.
"""

from __future__ import annotations

from typing import Any

import redis

from .deadlines import wait_budget

#: Seconds for a connection, and for an answer.
TIMEOUT = 0.5


class _Budgeted:
    """Wait for an answer no longer than the request may."""

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        read: Any = super().read_response  # type: ignore[misc]
        budget = wait_budget()
        if budget is None:
            return read(*args, **kwargs)
        with budget.spending() as left:
            return read(*args, **{"timeout": min(left, TIMEOUT), **kwargs})


class Connection(_Budgeted, redis.Connection):
    """By TCP."""


class TlsConnection(_Budgeted, redis.SSLConnection):
    """By TLS."""


class UnixConnection(_Budgeted, redis.UnixDomainSocketConnection):
    """By a socket of this machine."""


#: By the scheme of an address.
CONNECTIONS = {"redis": Connection, "rediss": TlsConnection, "unix": UnixConnection}
