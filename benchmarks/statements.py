"""SQL statements and Redis round trips of one request, counted by the servers
themselves.
"""

import re
import time
from collections.abc import Sequence

import psycopg

from benchmarks.client import Client
from benchmarks.doors import OURS, Site
from benchmarks.machine import Machine, database_name, known_address
from benchmarks.report import Check, Report, Row
from tests.tools.servers import ask_redis

REQUESTS = 10
STATEMENT = re.compile(r"LOG:  (?:statement|execute [^:]*): (.*)")
# Between two looks the server also reads the end of the first and the question of the
# second.
OWN_READS = 2


def measure(machine: Machine, sites: Sequence[Site]) -> Report:
    """Count what each site's POST asks of PostgreSQL and Redis."""
    _log_statements(machine, "all")
    seen = {site.name: _statements(machine, site) for site in sites}
    _log_statements(machine, "none")
    trips = {site.name: _round_trips(machine, site) for site in sites}
    for site in sites:
        machine.forget_requests(site)
    rows = [
        Row(
            "SQL statements of one POST",
            {name: str(len(all_)) for name, all_ in seen.items()},
        ),
        Row(
            "Redis round trips of one POST",
            {name: f"{n:.1f}" for name, n in trips.items()},
        ),
    ]
    ours, redis = len(seen[OURS.name]), trips[OURS.name]
    checks = [
        Check("at most 5 SQL statements in a POST", ours <= 5, str(ours)),
        Check("at most 3 Redis round trips in a POST", redis <= 3, f"{redis:.1f}"),
    ]
    listing = [f"    {line[:110]}" for line in seen[OURS.name]]
    return Report(
        rows, checks, ["The SQL statements of one POST to this app:", "", *listing, ""]
    )


def _log_statements(machine: Machine, which: str) -> None:
    with psycopg.connect(machine.postgres.url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET log_line_prefix = '%d|'")
        connection.execute(f"ALTER SYSTEM SET log_statement = '{which}'")
        connection.execute("SELECT pg_reload_conf()")
    time.sleep(0.5)


def _statements(machine: Machine, site: Site) -> list[str]:
    """Return the statements of one POST: the last of several, when everything is warm."""
    client, log = Client(machine.ports[site.name]), machine.postgres.folder / "log"
    for _ in range(REQUESTS):
        time.sleep(0.2)
        start = log.stat().st_size
        client.send(site.prepare(client, known_address()))
    time.sleep(0.2)
    with log.open(errors="replace") as file:
        file.seek(start)
        mine = [line for line in file if line.startswith(f"{database_name(site)}|")]
    return [found[1] for line in mine if (found := STATEMENT.search(line))]


def _round_trips(machine: Machine, site: Site) -> float:
    client = Client(machine.ports[site.name])
    for _ in range(REQUESTS):
        client.send(site.prepare(client, known_address()))
    before = _reads(machine)
    for _ in range(REQUESTS):
        client.send(site.prepare(client, known_address()))
    return (_reads(machine) - before - OWN_READS) / REQUESTS


def _reads(machine: Machine) -> int:
    found = re.search(
        r"total_reads_processed:(\d+)", ask_redis(machine.redis.url, "INFO stats")
    )
    return int(found[1]) if found else 0
