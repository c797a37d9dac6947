"""The counters of the limits: django-ratelimit's windows and keys, read and counted
many at a time.

On Redis each call is one round trip, on a Cluster one for each node that has a key. Any
other cache is asked key by key, as django-ratelimit does.
"""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.redis import RedisCache
from django.utils.crypto import salted_hmac
from django_ratelimit import core

#: Digits of a key's digest that are kept: two of a billion keys are the same once in
#: 10**11 years, and Redis keeps each key in memory.
DIGITS = 24


class CounterError(Exception):
    """The cache has neither counted nor said so."""


@dataclass(frozen=True)
class Window:
    """A counter that is open while it has counted less than its limit."""

    key: str
    limit: int
    period: int
    ends: int

    @property
    def lifetime(self) -> int:
        """Seconds for which the cache keeps the counter."""
        return self.period + int(core.EXPIRATION_FUDGE)

    @property
    def wait(self) -> int:
        """Seconds until the next window; the last second of this one belongs to it."""
        return max(self.ends - int(time.time()) + 1, 1)


@dataclass(frozen=True)
class Count:
    """A window that is counted, or only looked at for the same work."""

    window: Window
    is_counted: bool


class Store(Protocol):
    """A cache that counts."""

    def read(self, windows: Sequence[Window]) -> dict[str, int]:
        """Return what was counted so far, by key."""

    def count(self, counts: Sequence[Count]) -> dict[str, int]:
        """Count, atomically for each key, and return the new numbers of all."""

    def take_back(self, windows: Sequence[Window]) -> None:
        """Undo a count that was one too many."""


def windows(scope: str, value: str, rates: Iterable[str]) -> tuple[Window, ...]:
    """Return the windows, now, of what is counted under a scope and a value."""
    return tuple(_window(f"password-reset:{scope}", value, rate) for rate in rates)


def store() -> Store:
    """Return the cache that django-ratelimit counts in."""
    cache = caches[getattr(settings, "RATELIMIT_USE_CACHE", "default")]
    if isinstance(cache, RedisCache):
        return RedisStore(cache._cache.get_client(write=True), cache.make_key)
    # django-redis: its other clients spread keys over several servers.
    client: Any = getattr(cache, "client", None)
    if type(client).__name__ in {"DefaultClient", "SentinelClient"}:
        return RedisStore(client.get_client(write=True), client.make_key)
    return CacheStore(cache)


def address_key(email: str, *, secret: str | bytes | None = None) -> str:
    """Return the key under which an address is counted: one for all its spellings, and
    not readable.
    """
    folded = unicodedata.normalize("NFKC", email.strip()).casefold()
    return salted_hmac(
        "password_reset.ratelimit", folded, secret=secret, algorithm="sha256"
    ).hexdigest()


class RedisStore:
    """Counters in Redis, one round trip for each call."""

    def __init__(self, client: Any, make_key: Any) -> None:
        self._client = client
        self._make_key = make_key

    def read(self, windows: Sequence[Window]) -> dict[str, int]:
        """Return what was counted so far, by key."""
        pipeline = self._pipeline()
        for window in windows:
            # Not MGET: in a Cluster the keys lie on several nodes.
            pipeline.get(self._make_key(window.key))
        return _by_key(windows, pipeline.execute())

    def count(self, counts: Sequence[Count]) -> dict[str, int]:
        """Count, and return the new numbers; the same commands' number either way."""
        pipeline = self._pipeline()
        for each in counts:
            key = self._make_key(each.window.key)
            if each.is_counted:
                pipeline.set(key, 0, ex=each.window.lifetime, nx=True)
                pipeline.incr(key)
            else:
                pipeline.exists(key)
                pipeline.get(key)
        return _by_key([each.window for each in counts], pipeline.execute()[1::2])

    def take_back(self, windows: Sequence[Window]) -> None:
        """Undo a count that was one too many."""
        pipeline = self._pipeline()
        for window in windows:
            pipeline.decr(self._make_key(window.key))
            # Should it have ended this moment, no key stays for ever.
            pipeline.expire(self._make_key(window.key), window.lifetime)
        pipeline.execute()

    def _pipeline(self) -> Any:
        # No transaction: each key is counted for itself.
        return self._client.pipeline(transaction=False)


class CacheStore:
    """Counters in any other cache."""

    def __init__(self, cache: Any) -> None:
        self._cache = cache

    def read(self, windows: Sequence[Window]) -> dict[str, int]:
        """Return what was counted so far, by key."""
        found = self._cache.get_many([window.key for window in windows])
        return {window.key: int(found.get(window.key, 0)) for window in windows}

    def count(self, counts: Sequence[Count]) -> dict[str, int]:
        """Count, and return the new numbers of what is counted."""
        return {
            each.window.key: self._add(each.window)
            for each in counts
            if each.is_counted
        }

    def take_back(self, windows: Sequence[Window]) -> None:
        """Undo a count that was one too many."""
        for window in windows:
            self._cache.decr(window.key)

    def _add(self, window: Window) -> int:
        if self._cache.add(window.key, 1, window.lifetime):
            return 1
        try:
            number = self._cache.incr(window.key)
        except ValueError as error:  # the key ended meanwhile, or a hidden outage
            raise CounterError from error
        if not number:
            raise CounterError
        return int(number)


def _window(group: str, value: str, rate: str) -> Window:
    limit, period = core._split_rate(rate)
    ends = core._get_window(value, period)
    key = core._make_cache_key(group, ends, rate, value, core.ALL)
    prefix = len(getattr(settings, "RATELIMIT_CACHE_PREFIX", "rl:"))
    return Window(key[: prefix + DIGITS], limit, period, ends)


def _by_key(windows: Iterable[Window], numbers: Iterable[Any]) -> dict[str, int]:
    return {
        window.key: int(number or 0)
        for window, number in zip(windows, numbers, strict=True)
    }
