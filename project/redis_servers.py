"""One Redis, a primary that Sentinels watch over, or a Cluster: what django-redis is
told of each.
"""

from __future__ import annotations

from threading import Lock
from typing import Any
from urllib.parse import urlsplit

from django_redis.pool import ConnectionFactory
from redis.backoff import NoBackoff
from redis.cluster import ClusterNode, RedisCluster
from redis.connection import SSLConnection, parse_url
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from .parsers import Values
from .redis_connection import CONNECTIONS, TIMEOUT

SENTINEL_FACTORY = "django_redis.pool.SentinelConnectionFactory"
CLUSTER_FACTORY = "project.redis_servers.ClusterConnectionFactory"

Address = tuple[str, int]
_parse: Any = parse_url
_node: Any = ClusterNode


def cache(values: Values) -> dict[str, Any]:
    """Return the entry of ``CACHES`` for the servers that the environment names."""
    # DefaultClient, also with Sentinel: django-redis' own SentinelClient reads from
    # replicas, which lag, and a limit is what was counted a moment ago.
    return {
        "BACKEND": "django_redis.cache.RedisCache",
        "LOCATION": _location(values),
        "OPTIONS": {
            "PASSWORD": values["REDIS_PASSWORD"] or None,
            "SOCKET_CONNECT_TIMEOUT": TIMEOUT,
            "SOCKET_TIMEOUT": TIMEOUT,
            **(_sentinels(values) or _cluster(values) or _single(values)),
        },
    }


def _retry() -> Retry:
    # redis-py would retry for seconds. One immediate retry is right after a restart;
    # none after a time-out.
    return Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))


def _single(values: Values) -> dict[str, Any]:
    return {
        "CONNECTION_POOL_KWARGS": {
            "connection_class": CONNECTIONS[urlsplit(values["REDIS_URL"]).scheme],
            "retry": _retry(),
            # A handshake of few round trips: it delays whoever needs a connection.
            "protocol": 2,
            "driver_info": None,
        }
    }


def _sentinels(values: Values) -> dict[str, Any]:
    if not values["REDIS_SENTINELS"]:
        return {}
    tls = {"ssl": True} if urlsplit(values["REDIS_URL"]).scheme == "rediss" else {}
    of_sentinels = {
        "password": values["REDIS_SENTINEL_PASSWORD"] or None,
        "socket_connect_timeout": TIMEOUT,
        "socket_timeout": TIMEOUT,
        "retry": _retry(),
    }
    return {
        "CONNECTION_FACTORY": SENTINEL_FACTORY,
        "CONNECTION_POOL_KWARGS": {"retry": _retry(), **tls},
        "SENTINELS": values["REDIS_SENTINELS"],
        "SENTINEL_KWARGS": of_sentinels | tls,
    }


def _cluster(values: Values) -> dict[str, Any]:
    if not values["REDIS_CLUSTER_NODES"]:
        return {}
    nodes = values["REDIS_CLUSTER_NODES"]
    return {"CONNECTION_FACTORY": CLUSTER_FACTORY, "NODES": nodes}


def _location(values: Values) -> str:
    url, number = values["REDIS_URL"], values["REDIS_DB"]
    if values["REDIS_SENTINELS"]:
        # rediss:// would have redis-py connect to the primary's name, not ask for it.
        url = urlsplit(url)._replace(scheme="redis").geturl()
    if (
        number is None
        or urlsplit(url).scheme == "unix"
        or urlsplit(url).path.strip("/")
    ):
        return str(url)
    return urlsplit(url)._replace(path=f"/{number}").geturl()


class Cluster(RedisCluster):
    """A cluster of which several keys can be read at once, whatever node has them."""

    def mget(self, keys: Any, *more: Any) -> Any:
        """Ask each node for its keys; django-redis' ``get_many`` calls this."""
        return self.mget_nonatomic(keys, *more)


class ClusterConnectionFactory(ConnectionFactory):  # type: ignore[misc] # Any
    """Connect django-redis to a Redis Cluster, which it has no client for.

    A process has one client for each address, which keeps a pool for each node and is
    safe for threads. One that could not be made is tried again by the next caller.
    """

    _clusters: dict[str, Cluster] = {}
    _lock = Lock()

    def connect(self, url: str) -> Any:
        """Return the client of the cluster that a node with this URL belongs to.

        Raises what redis-py raises while no node answers.
        """
        if url not in self._clusters:
            made = self._make(url)
            with self._lock:
                self._clusters.setdefault(url, made)
        return self._clusters[url]

    def disconnect(self, connection: Any) -> None:
        """Close the connections to all nodes; the next command opens them again."""
        connection.disconnect_connection_pools()

    def _make(self, url: str) -> Cluster:
        options = self.make_connection_params(url)
        for name in ("url", "parser_class"):
            options.pop(name)
        own: dict[str, Any] = dict(_parse(url))
        own.pop("db", None)
        if own.pop("connection_class", None) is SSLConnection:
            options["ssl"] = True
        first = (own.pop("host"), own.pop("port", 6379))
        nodes: list[Address] = [first, *self.options.get("NODES", ())]
        return Cluster(
            startup_nodes=[_node(*node) for node in dict.fromkeys(nodes)],
            retry=_retry(),
            **(own | options),
        )
