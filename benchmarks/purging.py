"""A million dead rows: rows per second, memory, and what the site feels meanwhile."""

import json
import statistics
import time
from dataclasses import dataclass

import psycopg

from benchmarks.beside import Beside
from benchmarks.doors import OURS, PEERS, Site
from benchmarks.machine import Machine
from benchmarks.report import Check, Report, Row
from benchmarks.rows import write_rest_tokens, write_tokens

REST = next(site for site in PEERS if site.distribution == "django-rest-passwordreset")
NAIVE = "DELETE FROM password_reset_tokens WHERE expires_at <= now()"
LIVE = 1000
PROBE = """
    INSERT INTO password_reset_requests (email, source, user_agent, language, created_at, attempts,
        mails_sent, last_error)
    VALUES ('probe@example.com', 'web', '', '', now(), 0, 0, '') RETURNING id
"""
LOOK = "SELECT * FROM password_reset_tokens WHERE token_hash = %s"


class Neighbour(Beside):
    """A visitor beside the purge: an INSERT and a SELECT, again and again."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self.url = url
        self.latencies: list[float] = []

    def run(self) -> None:
        """Probe until told to stop."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            while not self.done.wait(0.002):
                before = time.perf_counter()
                connection.execute(PROBE)
                connection.execute(LOOK, ["0" * 64]).fetchall()
                self.latencies.append(time.perf_counter() - before)

    @property
    def p99(self) -> float:
        """Return milliseconds."""
        return 1000 * statistics.quantiles(self.latencies, n=100)[98]


@dataclass(frozen=True)
class Run:
    """What a command took."""

    seconds: float
    megabytes: float


def measure(machine: Machine, rows: int) -> Report:
    """Delete dead rows by one naive DELETE, by this app's command and by a peer's."""
    machine.forget_requests(OURS)
    with Neighbour(machine.database_url(OURS)) as idle:
        time.sleep(4)
    _fill(machine, rows)
    naive = rows / _seconds_of(machine, NAIVE)
    empty = _command(machine, OURS, "purge_reset_tokens")
    _fill(machine, rows)
    with Neighbour(machine.database_url(OURS)) as busy:
        full = _command(machine, OURS, "purge_reset_tokens")
    left = int(
        str(machine.sql(OURS, "SELECT count(*) FROM password_reset_tokens")[0][0])
    )
    ours = rows / full.seconds
    machine.forget_requests(OURS)
    return _report(
        naive, ours, _rest(machine, rows), empty, full, idle.p99, busy.p99, left
    )


def _fill(machine: Machine, rows: int) -> None:
    machine.sql(OURS, "TRUNCATE password_reset_tokens")
    write_tokens(machine, rows, "2 hours")
    # All of the live ones have most of their hour before them.
    write_tokens(machine, LIVE, "0 hours")
    machine.sql(OURS, "VACUUM ANALYZE password_reset_tokens")
    machine.sql(OURS, "CHECKPOINT")


def _seconds_of(machine: Machine, statement: str) -> float:
    before = time.perf_counter()
    machine.sql(OURS, statement)
    return time.perf_counter() - before


def _command(machine: Machine, site: Site, name: str) -> Run:
    return Run(
        **json.loads(machine.python(site, "benchmarks.timed", name, WITHOUT_POOL="1"))
    )


def _rest(machine: Machine, rows: int) -> float:
    """Return the peer's rows per second."""
    write_rest_tokens(machine, REST, rows)
    machine.sql(REST, "CHECKPOINT")
    return rows / _command(machine, REST, "clearresetpasswodtokens").seconds


def _report(
    naive: float,
    ours: float,
    rest: float,
    empty: Run,
    full: Run,
    idle: float,
    busy: float,
    left: int,
) -> Report:
    rows = [
        Row(
            "purge, rows per second (one naive DELETE under floor)",
            {
                "floor": f"{naive:,.0f}",
                OURS.name: f"{ours:,.0f}",
                REST.name: f"{rest:,.0f}",
            },
        ),
        Row(
            "purge, peak memory MB: nothing; all",
            {OURS.name: f"{empty.megabytes:.0f}; {full.megabytes:.0f}"},
        ),
        Row(
            "INSERT + SELECT p99 ms: idle; beside the purge",
            {OURS.name: f"{idle:.1f}; {busy:.1f}"},
        ),
    ]
    checks = [
        Check(
            "purge at least 1/4 of a naive DELETE",
            ours >= naive / 4,
            f"{ours / naive:.2f}",
        ),
        Check(
            "peak memory within 10 % of an empty purge",
            full.megabytes <= 1.1 * empty.megabytes,
            f"{full.megabytes / empty.megabytes:.2f}",
        ),
        Check("p99 beside it at most 3 × idle", busy <= 3 * idle, f"{busy / idle:.2f}"),
        Check("no live token is touched", left == LIVE, f"{left} of {LIVE} left"),
    ]
    return Report(rows, checks)
