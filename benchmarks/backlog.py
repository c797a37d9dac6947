"""A long queue: addresses of nobody, everybody at once, and real people behind junk."""

import json
import time
from itertools import count

from benchmarks.beside import Beside
from benchmarks.client import Client
from benchmarks.doors import OURS, WITHOUT_QUEUE
from benchmarks.links import fresh_address
from benchmarks.machine import Machine, unknown_address
from benchmarks.report import Check, Report, Row
from benchmarks.rows import write_notice, write_pending

PEOPLE = 15
#: Between two people.
SECONDS = 0.4
JUNK_A_SECOND = 60
PATIENCE = 5
#: An hour's junk at 20 rows a second.
AN_HOUR = 72_000
RUNS = 2
LEFT = """
    SELECT count(*) FROM password_reset_requests
    WHERE processed_at IS NULL AND failed_at IS NULL
"""


class Stranger(Beside):
    """Somebody who asks for addresses of nobody, again and again."""

    def __init__(self, machine: Machine) -> None:
        super().__init__()
        self.machine = machine
        self.asked = 0

    def run(self) -> None:
        """Ask until told to stop, each time from another network."""
        client = Client(self.machine.ports[WITHOUT_QUEUE.name])
        started = time.monotonic()
        for number in count(1):
            if self.done.wait(
                max(started + number / JUNK_A_SECOND - time.monotonic(), 0)
            ):
                break
            client.send(WITHOUT_QUEUE.prepare(client, unknown_address()))
            self.asked = number


def measure(machine: Machine, unknown: int, burst: int, junk: int) -> Report:
    """Time a run over rows of nobody, a burst, and people behind junk."""
    report = Report()
    report.add(_unknown(machine, unknown))
    report.add(_burst(machine, burst))
    report.add(_buried(machine, junk))
    report.add(_by_cron(machine))
    machine.forget_requests(WITHOUT_QUEUE)
    return report


def _unknown(machine: Machine, number: int) -> Report:
    machine.forget_requests(WITHOUT_QUEUE)
    write_pending(machine, WITHOUT_QUEUE, "none", number)
    seconds = _run_of_cron(machine)
    rate = (number - _left(machine)) / seconds
    return Report(
        [Row("rows of unknown addresses a second", {OURS.name: f"{rate:,.0f}"})],
        [
            Check(
                "at least 5,000 rows of unknown addresses a second",
                rate >= 5000,
                f"{rate:,.0f}",
            )
        ],
    )


def _left(machine: Machine) -> int:
    return int(str(machine.sql(WITHOUT_QUEUE, LEFT)[0][0]))


def _burst(machine: Machine, people: int) -> Report:
    seconds = [_seconds_until_last(machine, people, workers) for workers in (1, 2)]
    title = f"{people:,} people at once: seconds to the last email, 1; 2 workers"
    return Report([Row(title, {OURS.name: "; ".join(f"{s:.0f}" for s in seconds)})])


def _seconds_until_last(machine: Machine, people: int, workers: int) -> float:
    machine.forget_requests(WITHOUT_QUEUE)
    with machine.loop(WITHOUT_QUEUE, count=workers):
        machine.mailbox.receive()
        started = time.monotonic()
        write_pending(machine, WITHOUT_QUEUE, "user", people)
        machine.sql(WITHOUT_QUEUE, "NOTIFY password_reset")
        return machine.mailbox.wait_for_more(people, timeout=900)[-1].at - started


def _buried(machine: Machine, junk: int) -> Report:
    machine.forget_requests(WITHOUT_QUEUE)
    write_pending(machine, WITHOUT_QUEUE, "none", junk)
    asked = {"request": dict[str, float](), "notice": dict[str, float]()}
    with machine.loop(WITHOUT_QUEUE), Stranger(machine) as stranger:
        before = stranger.asked, time.monotonic()
        _ask(machine, asked)
        came = {kind: _waited(machine, all_) for kind, all_ in asked.items()}
        left = _left(machine)
        junk_rate = (stranger.asked - before[0]) / (time.monotonic() - before[1])
    return _buried_report(junk, junk_rate, left, came)


def _by_cron(machine: Machine) -> Report:
    """Have cron alone find somebody who asked in the middle of an hour's junk."""
    machine.forget_requests(WITHOUT_QUEUE)
    machine.mailbox.receive()
    for whose, number in (("none", AN_HOUR // 2), ("user", 1), ("none", AN_HOUR // 2)):
        write_pending(machine, WITHOUT_QUEUE, whose, number)
    seconds, mails = list[float](), 0
    while len(seconds) < RUNS and not mails:
        seconds.append(_run_of_cron(machine))
        mails = len(machine.mailbox.receive())
    row = Row(
        f"cron alone, somebody amid {AN_HOUR:,} rows of junk: runs; seconds of each",
        {OURS.name: f"{len(seconds)}; " + ", ".join(f"{s:.0f}" for s in seconds)},
    )
    what = f"an hour's junk delays nobody by more than {RUNS} runs of cron"
    return Report([row], [Check(what, mails == 1, f"{len(seconds)}")])


def _run_of_cron(machine: Machine) -> float:
    """Run the command with its defaults; return its seconds."""
    arguments = ("benchmarks.timed", "process_reset_requests")
    run = machine.python(WITHOUT_QUEUE, *arguments, WITHOUT_POOL="1")
    return float(json.loads(run)["seconds"])


def _ask(machine: Machine, asked: dict[str, dict[str, float]]) -> None:
    """Have people ask one after the other, each beside another's changed password."""
    client = Client(machine.ports[WITHOUT_QUEUE.name])
    for _ in range(PEOPLE):
        time.sleep(SECONDS)
        one, other = fresh_address(), fresh_address()
        asked["request"][one] = asked["notice"][other] = time.monotonic()
        client.send(WITHOUT_QUEUE.prepare(client, one))
        write_notice(machine, WITHOUT_QUEUE, other)


def _waited(machine: Machine, asked: dict[str, float]) -> list[float]:
    mails = {one: machine.mailbox.wait(one, since) for one, since in asked.items()}
    return [
        mail.at - asked[one] if mail else float("inf") for one, mail in mails.items()
    ]


def _buried_report(
    junk: int, rate: float, left: int, came: dict[str, list[float]]
) -> Report:
    title = f"behind {junk:,} rows of junk and {rate:.0f} a second: slowest, s"
    worst = "; ".join(f"{kind} {max(all_):.2f}" for kind, all_ in came.items())
    checks = [
        Check(
            f"{PEOPLE} of {PEOPLE} have their {kind} email within {PATIENCE} s",
            all(seconds < PATIENCE for seconds in all_),
            f"{sum(seconds < PATIENCE for seconds in all_)} of {PEOPLE}",
        )
        for kind, all_ in came.items()
    ]
    enough = Check("junk is left when the last is served", left > 0, f"{left:,}", True)
    return Report([Row(title, {OURS.name: worst})], [*checks, enough])
