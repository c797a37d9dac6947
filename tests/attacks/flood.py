"""One IPv6 /48 with a new client for each request: rows and keys that it can make.

Counted on Redis and PostgreSQL. Redis keeps the keys of all simulated hours, where a
real one forgets most of them after an hour.
"""

import time_machine
from django.core.cache import cache
from django.db import connection
from django.test import override_settings
from redis import Redis as Client

from password_reset.conf import conf
from password_reset.models import PasswordResetRequest
from tests.tools.servers import Redis, ask_redis

from . import Promise
from .world import ask

#: A seconds-long flood by the limits of a /48, a little more each hour than may be.
TRIES = 64


def client(hour: int, number: int) -> str:
    """Return a client of one /48, in a /56 of its own within an hour."""
    return f"2001:db8:1:{number:x}{hour:02x}::{number + 1:x}"


def bytes_of_keys(redis: Redis) -> int:
    """Return what all keys take, as Redis itself counts it."""
    store = Client.from_url(redis.url)
    return sum(store.memory_usage(key) or 0 for key in store.scan_iter(count=1000))


def keys(redis: Redis) -> int:
    return int(ask_redis(redis.url, "DBSIZE").strip().lstrip(":"))


def bytes_of_rows() -> int:
    with connection.cursor() as cursor:
        cursor.execute("VACUUM FULL password_reset_requests")
        cursor.execute("SELECT pg_total_relation_size('password_reset_requests')")
        return int(cursor.fetchone()[0])


def run(hours: int = 6) -> list[Promise]:
    redis = Redis()
    redis.start()
    caches = {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": redis.url,
        }
    }
    try:
        with override_settings(CACHES=caches):
            return _flood(redis, hours)
    finally:
        cache.close()
        redis.close()


def _flood(redis: Redis, hours: int) -> list[Promise]:
    rows = PasswordResetRequest.objects.count()
    for hour in range(hours):
        # Windows begin at a second of their own: past the edge, so in the next one.
        moment = f"2026-11-{23 + hour // 24}T{hour % 24:02}:00:00Z"
        with time_machine.travel(moment, tick=False):
            answers = [
                ask(f"junk{hour}-{n}@example.com", client(hour, n))
                for n in range(TRIES)
            ]
    accepted = PasswordResetRequest.objects.count() - rows
    made, memory = keys(redis), bytes_of_keys(redis)
    last = hours - 1
    with time_machine.travel(moment, tick=False):
        refused = {
            ask(f"more{n}@example.com", client(last, n)).status_code for n in range(50)
        }
    size = bytes_of_rows() / max(PasswordResetRequest.objects.count(), 1)
    kept = conf.unmailed_retention.days
    a_day = accepted * 24 // hours
    return [
        Promise(
            "a /48 makes at most 60 rows an hour, 1,440 a day",
            f"{accepted} in {hours} h",
            accepted <= 60 * hours,
        ),
        Promise(
            "what is too much is refused",
            f"{answers[-1].status_code}",
            answers[-1].status_code == 429,
        ),
        Promise(
            f"rows that mail nobody are kept for {kept} days: below 10 MB for a /48",
            f"{a_day * kept:,} rows of {size:.0f} bytes, {a_day * kept * size / 1e6:.1f} MB",
            a_day * kept * size < 10e6,
        ),
        Promise(
            "a request makes at most 16 keys, 3 KB in Redis",
            f"{made / accepted:.1f} keys, {memory / accepted:.0f} bytes",
            made / accepted <= 16 and memory / accepted < 3000,
        ),
        Promise(
            "a refused request makes no row and no key",
            f"{keys(redis) - made} keys after 50, status {refused}",
            keys(redis) == made and refused == {429},
        ),
    ]
