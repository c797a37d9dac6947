"""Emails a second of one worker process, and the processor time of a request with its
email, beside contrib.auth, which sends inside the request.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from statistics import median

from benchmarks.doors import CONTRIB_AUTH, OURS, WITHOUT_QUEUE, Site
from benchmarks.load import CONNECTIONS, hammer
from benchmarks.machine import Machine, Process
from benchmarks.report import Check, Report, Row
from benchmarks.rows import write_pending

SITES = (OURS, WITHOUT_QUEUE, CONTRIB_AUTH)
#: Threads that gunicorn has for contrib.auth.
ALL_THREADS = 40
#: More than one worker sends in a round.
BACKLOG = 5000
# From a worker's first connection to its first email.
SETTLE_SECONDS = 2.0
RECOMMENDED_INTERVAL = 0.1
Figures = dict[str, list[float]]


def measure(
    machine: Machine, sites: Sequence[Site], rounds: int, seconds: float
) -> Report:
    """Let each in turn send for some seconds, then count the processor time of each."""
    report = Report()
    for at_once in (CONNECTIONS, ALL_THREADS):
        found: Figures = defaultdict(list)
        for _ in range(rounds):
            _add_rates(machine, found, at_once, seconds)
        report.add(_rate_report(found, at_once))
    costs: Figures = defaultdict(list)
    for _ in range(rounds):
        _add_costs(machine, costs, seconds / 4)
    report.add(_cost_report(costs))
    for site in sites:
        machine.forget_requests(site)
    return report


def ratio(ones: list[float], others: list[float]) -> float:
    """Return the median of the rounds' ratios: what slows the machine slows both."""
    return median(one / other for one, other in zip(ones, others, strict=True))


def _add_rates(machine: Machine, found: Figures, at_once: int, seconds: float) -> None:
    found[CONTRIB_AUTH.name].append(
        hammer(machine, CONTRIB_AUTH, seconds, at_once).rate
    )
    many = ("--concurrency", str(at_once))
    found[OURS.name].append(_rate(machine, WITHOUT_QUEUE, seconds, *many))
    if machine.before is not None:
        found["before"].append(_rate(machine, machine.before, seconds))


def _rate(machine: Machine, site: Site, seconds: float, *options: str) -> float:
    """Return the emails a second of one worker with more than enough to do."""
    machine.forget_requests(site)
    write_pending(machine, site, "user", BACKLOG)
    with machine.loop(site, *options):
        time.sleep(SETTLE_SECONDS)
        machine.mailbox.receive()
        started = time.monotonic()
        time.sleep(seconds)
        return len(machine.mailbox.receive()) / (time.monotonic() - started)


def _rate_report(found: Figures, at_once: int) -> Report:
    ours, auth = found[OURS.name], found[CONTRIB_AUTH.name]
    cells = {name: f"{median(rates):.0f}" for name, rates in found.items()}
    row = Row(f"emails a second, {at_once} at once, one worker process", cells)
    what = f"× contrib.auth's emails a second, {at_once} at once"
    checks = [_at_least(what, 0.9, ratio(ours, auth))]
    if before := found.get("before"):
        cells[OURS.name] += f" (before: {median(before):.0f})"
        what = f"× the emails a second of the older revision, {at_once} at once"
        checks.append(_at_least(what, 5, ratio(ours, before)))
    return Report([row], checks)


def _at_least(what: str, wanted: float, measured: float) -> Check:
    return Check(f"at least {wanted} {what}", measured >= wanted, f"{measured:.2f}")


def _add_costs(machine: Machine, costs: Figures, seconds: float) -> None:
    costs[CONTRIB_AUTH.name].append(_milliseconds(machine, CONTRIB_AUTH, seconds, []))
    # Before they start: a db_worker ends when the task in its hands has gone.
    for site in (WITHOUT_QUEUE, OURS):
        machine.forget_requests(site)
    with machine.loop(WITHOUT_QUEUE) as workers:
        costs[WITHOUT_QUEUE.name].append(
            _milliseconds(machine, WITHOUT_QUEUE, seconds, workers)
        )
    with machine.worker(OURS, RECOMMENDED_INTERVAL) as workers:
        costs[OURS.name].append(_milliseconds(machine, OURS, seconds, workers))


def _milliseconds(
    machine: Machine, site: Site, seconds: float, workers: Sequence[Process]
) -> float:
    """Return the processor time of a request until its email has left."""
    _ask_and_wait(machine, site, seconds / 4)
    before = machine.processor_seconds(site, workers)
    asked = _ask_and_wait(machine, site, seconds)
    return 1000 * (machine.processor_seconds(site, workers) - before) / asked


def _ask_and_wait(machine: Machine, site: Site, seconds: float) -> int:
    """Send requests for some seconds; return how many once all emails have come."""
    machine.mailbox.receive()
    asked = len(hammer(machine, site, seconds).latencies)
    machine.mailbox.wait_for_more(asked)
    return asked


def _cost_report(costs: Figures) -> Report:
    loop, queue = costs[WITHOUT_QUEUE.name], costs[OURS.name]
    auth = costs[CONTRIB_AUTH.name]
    cells = {
        OURS.name: f"{median(loop):.1f}; {median(queue):.1f}",
        CONTRIB_AUTH.name: f"{median(auth):.1f}",
    }
    row = Row("processor ms of a request with its email (--loop; db_worker)", cells)
    found = ratio(loop, auth)
    check = Check(
        "processor time with the email at most contrib.auth's",
        found <= 1,
        f"{found:.2f}; {ratio(queue, auth):.2f}",
    )
    return Report([row], [check])
