"""The database and the cache: reachable, complete, and right for counting."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.cache import caches
from django.db import connections, router
from django.db.migrations.executor import MigrationExecutor

from password_reset import counters
from password_reset.checks.accounts import check_address_index
from password_reset.checks.limits import WEAK_CACHES
from password_reset.models import PasswordResetRequest

from .findings import Finding, Patient, fault, good, note, warning

#: So many threads count at once, so often each.
THREADS, TIMES = 8, 25
#: Redis policies under which a counter may vanish before its time.
EVICTING = ("allkeys", "volatile")


def check_database(patient: Patient) -> Iterator[Finding]:
    """The database answers, and has this release's tables."""
    alias = router.db_for_write(PasswordResetRequest)
    try:
        executor = MigrationExecutor(connections[alias])
    except Exception as error:
        name = type(error.__cause__ or error).__name__
        yield fault(
            f"The database cannot be used ({name}).",
            "Start it; look at DATABASES, the network, and the role's password.",
        )
        return
    targets = [
        node
        for node in executor.loader.graph.leaf_nodes()
        if node[0] == "password_reset"
    ]
    missing = [str(migration) for migration, _back in executor.migration_plan(targets)]
    if missing:
        yield fault(
            f"Migrations are missing: {', '.join(missing)}.", "Run manage.py migrate."
        )
        return
    yield good(f"The database answers, and has all tables ({alias}).")


def check_index(patient: Patient) -> Iterator[Finding]:
    """The look-up by address has an index."""
    found = check_address_index(None, databases=list(settings.DATABASES))
    for message in found:
        yield warning(message.msg, str(message.hint))
    if connections[router.db_for_read(get_user_model())].vendor != "postgresql":
        yield note("Whether an index serves the look-up is known of PostgreSQL only.")
    elif not found:
        yield good("The look-up of a user by address has an index.")


def check_cache(patient: Patient) -> Iterator[Finding]:
    """The counters' cache is shared, and counts each of many at once."""
    alias = getattr(settings, "RATELIMIT_USE_CACHE", "default")
    path = settings.CACHES[alias]["BACKEND"]
    if path in WEAK_CACHES:
        text = f"The limits count in CACHES[{alias!r}], where {WEAK_CACHES[path]}."
        yield (
            note(text)
            if settings.DEBUG
            else fault(text, "Use Redis or Memcached (W004).")
        )
        return
    try:
        counted = _count_at_once(alias)
    except Exception as error:
        yield fault(
            f"The counters cannot be used ({type(error).__name__}): nobody may ask "
            "for a link.",
            f"Start what CACHES[{alias!r}] names; look at the network and the "
            "password. A full Redis needs more memory.",
        )
        return
    if counted != THREADS * TIMES:
        yield fault(
            f"Of {THREADS * TIMES} counts at once {counted} were counted.",
            "Use a cache whose incr() is atomic, such as Redis.",
        )
        return
    yield good(f"The counters count {counted} of {counted} at once.")


def check_eviction(patient: Patient) -> Iterator[Finding]:
    """No counter is thrown away to make room."""
    client = getattr(counters.store(), "_client", None)
    if client is None:
        yield note("Whether the cache throws counters away cannot be asked of it.")
        return
    policy, most = _asked(client, "maxmemory-policy"), _asked(client, "maxmemory")
    if policy is None:
        yield note(
            "Redis does not say whether it throws counters away (CONFIG is not "
            "allowed): maxmemory-policy should be noeviction."
        )
        return
    if policy.startswith(EVICTING) and most not in {"0", None}:
        yield fault(
            f"Redis throws keys away when it is full ({policy}): a flood of addresses "
            "would empty the counters.",
            "Set maxmemory-policy noeviction, or give the counters a Redis of their "
            "own.",
        )
        return
    yield good("Redis throws no counter away.")


def _count_at_once(alias: str) -> int:
    """Count in many threads, each with a connection of its own, and return the sum."""
    cache, key = caches[alias], f"password-reset:doctor:{secrets.token_hex(8)}"
    cache.set(key, 0, timeout=60)

    def count(_thread: int) -> None:
        mine = caches.create_connection(alias)
        for _time in range(TIMES):
            mine.incr(key)
        mine.close()

    try:
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(count, range(THREADS)))
        return int(cache.get(key))
    finally:
        cache.delete(key)


def _asked(client: Any, name: str) -> str | None:
    try:
        found = client.config_get(name)
    except Exception:  # a managed Redis forbids it
        return None
    value = found.get(name, found.get(name.encode()))
    return value.decode() if isinstance(value, bytes) else value
