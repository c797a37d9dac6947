"""The servers that the site cannot work without, each asked whether it answers."""

from __future__ import annotations

import secrets

from django.core.cache import cache
from django.db import connection
from redis.exceptions import OutOfMemoryError

from .deadlines import BoundedCall


def _check_database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return "ok"


def _check_cache() -> str:
    """Read, then write: a full Redis answers, and holders of links need no more.

    A site that everybody's junk could take out of the balancer would be no site.
    """
    written = secrets.token_hex(4)
    cache.get(f"health:{written}")
    try:
        cache.set(f"health:{written}", written, timeout=5)
    except OutOfMemoryError:
        return "full"
    if cache.get(f"health:{written}") != written:
        raise RuntimeError("the cache does not keep what it is given")
    return "ok"


DEPENDENCIES = {
    "database": BoundedCall(_check_database),
    "cache": BoundedCall(_check_cache),
}
