"""Web and worker on one core: do visits right after a request tell who has an account?

The worker has more to do for an address that somebody has. Here it has to share the
core with those who answer, and somebody else visits a page as often as they can.
"""

import os
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from statistics import fmean

from benchmarks.client import Client
from benchmarks.doors import EMBEDDED, OURS, WITHOUT_QUEUE, Site
from benchmarks.machine import Machine, Process, known_address, unknown_address
from benchmarks.processes import threads_of
from benchmarks.report import Check, Report, Row
from benchmarks.timing import auc

#: As the units of deploy/ have it for the worker.
NICENESS = 10
LEAK = 0.07
WARM_UP = 20
#: Of the visits of one window: all of them, and those that met the worker.
STATISTICS: dict[str, Callable[[list[float]], float]] = {"mean": fmean, "worst": max}
SETTLED = """
    SELECT count(*) FROM password_reset_requests
    WHERE processed_at IS NULL AND failed_at IS NULL
"""
#: Two groups of unknown addresses: what chance alone makes of so few.
GROUPS: dict[str, Callable[[], str]] = {
    "known": known_address,
    "unknown": unknown_address,
    "control": unknown_address,
}
Windows = dict[str, list[list[float]]]


@dataclass(frozen=True)
class Way:
    """A worker beside the web, and how many seconds after a request are looked at."""

    title: str
    site: Site
    start: Callable[[Machine], AbstractContextManager[list[Process]]]
    seconds: float = 0.3


@contextmanager
def _in_the_web(machine: Machine) -> Iterator[list[Process]]:
    # The embedded worker starts with the first request.
    yield []


WAYS = (
    Way("--loop", WITHOUT_QUEUE, lambda m: m.loop(WITHOUT_QUEUE)),
    Way("db_worker 0.1 s", OURS, lambda m: m.worker(OURS, 0.1)),
    # It works up to 0.9 s later.
    Way("embedded", EMBEDDED, _in_the_web, 1.2),
)
SITES = tuple(way.site for way in WAYS)


def measure(machine: Machine, number: int, ways: Sequence[Way] = WAYS) -> Report:
    """Ask so many times for addresses of each group, and visit after each request."""
    report = Report()
    for way in ways:
        machine.open(way.site)
        report.add(_report(way, _windows(machine, way, number)))
        machine.forget_requests(way.site)
    return report


def _windows(machine: Machine, way: Way, number: int) -> Windows:
    """Return the seconds of each visit, by window and group."""
    plan = [group for group in GROUPS for _ in range(number)]
    found: Windows = defaultdict(list)
    visitor = Client(machine.ports[way.site.name])
    with _one_core(machine, way):
        for _ in range(WARM_UP):
            _window(machine, way, visitor, known_address())
        for group in random.sample(plan, len(plan)):
            found[group].append(_window(machine, way, visitor, GROUPS[group]()))
    return found


def _window(machine: Machine, way: Way, visitor: Client, email: str) -> list[float]:
    """Ask for an address; return how long the visits that follow take."""
    asking = Client(machine.ports[way.site.name])
    asking.send(way.site.prepare(asking, email))
    asking.close()
    message, taken = visitor.message("GET", way.site.request_path), []
    until = time.perf_counter() + way.seconds
    while (before := time.perf_counter()) < until:
        visitor.send(message)
        taken.append(time.perf_counter() - before)
    _wait_for_worker(machine, way.site)
    return taken


def _wait_for_worker(machine: Machine, site: Site, seconds: float = 20) -> None:
    """Wait until nothing is left to send, so that no window sees the one before."""
    until = time.monotonic() + seconds
    while machine.sql(site, SETTLED) != [(0,)] and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.05)


@contextmanager
def _one_core(machine: Machine, way: Way) -> Iterator[None]:
    """Put web and worker on one core, the worker at low priority; this process and the
    servers keep off it where the machine has another.
    """
    core, *others = sorted(os.sched_getaffinity(0), reverse=True)
    with way.start(machine) as processes:
        workers = [worker.pid for worker in processes]
        web = machine.web[way.site.name].pid
        _pin([web, *workers], {core})
        for thread in threads_of(workers):
            os.setpriority(os.PRIO_PROCESS, thread, NICENESS)
        rest = [*machine.servers(), *machine.mailbox.processes]
        _pin(rest, set(others) or {core})
        # This thread alone: its children are the servers, web and worker.
        os.sched_setaffinity(0, set(others) or {core})
        try:
            yield
        finally:
            os.sched_setaffinity(0, {core, *others})
            _pin([web, *rest], {core, *others})


def _pin(roots: list[int], cores: set[int]) -> None:
    for thread in threads_of(roots):
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.sched_setaffinity(thread, cores)


def _report(way: Way, found: Windows) -> Report:
    seen = {
        group: {
            name: auc(
                [figure(w) for w in found[group]],
                [figure(w) for w in found["unknown"]],
            )
            for name, figure in STATISTICS.items()
        }
        for group in ("known", "control")
    }
    names = ", ".join(STATISTICS)
    title = f"one core, {way.title}: AUC of the visits that follow ({names}; control)"
    cells = "; ".join(
        ", ".join(f"{value:.3f}" for value in all_.values()) for all_ in seen.values()
    )
    leak = max(abs(value - 0.5) for value in seen["known"].values())
    check = Check(
        f"one core, {way.title}: |AUC − 0.5| at most {LEAK}",
        leak <= LEAK,
        f"{leak:.3f}",
    )
    return Report([Row(title, {OURS.name: cells})], [check])
