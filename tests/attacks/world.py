"""What simulations share: moved clocks, networks, and questions that leave no trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.http import HttpResponse
from django.test import Client, override_settings

#: Room for all counters of a week, in memory: a snapshot is a copy.
MEMORY = {
    "default": {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": "attacks",
        "OPTIONS": {"MAX_ENTRIES": 1_000_000},
    }
}


@contextmanager
def counters_in_memory() -> Iterator[None]:
    """Count in a cache that can be put back as it was."""
    with override_settings(CACHES=MEMORY):
        cache.clear()
        yield


@contextmanager
def without_a_trace() -> Iterator[None]:
    """Undo in the end what happens in rows and counters; no email leaves."""
    kept = cache._cache.copy(), cache._expire_info.copy()
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    cache._cache.clear()
    cache._cache.update(kept[0])
    cache._expire_info.clear()
    cache._expire_info.update(kept[1])


def network(number: int) -> str:
    """Return an address in one of many IPv4 networks, each a /24 of its own."""
    return f"{11 + number // 65536}.{number // 256 % 256}.{number % 256}.1"


def ask(email: str, address: str, browser: Client | None = None) -> HttpResponse:
    """Send the form from an address."""
    client: Any = browser or Client()
    return client.post("/forgot-password", {"email": email}, REMOTE_ADDR=address)


def most_within(moments: list[datetime], hours: int) -> int:
    """Return how many moments lie within some hours, at most."""
    ends = sorted(moments)
    return max(
        (
            sum((end - each).total_seconds() < hours * 3600 for each in ends[: at + 1])
            for at, end in enumerate(ends)
        ),
        default=0,
    )
