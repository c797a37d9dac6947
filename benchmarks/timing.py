"""Can the time of an answer tell who has an account? Known against unknown, in random
order.
"""

import random
import time
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.client import Client
from benchmarks.doors import CONTRIB_AUTH, EMBEDDED, FLOOR, OURS, Site
from benchmarks.machine import Machine, known_address, unknown_address
from benchmarks.report import Check, Report, Row

CAREFUL = (FLOOR, OURS, EMBEDDED)


@dataclass(frozen=True)
class Probe:
    """One request of the measure."""

    site: Site
    known: bool
    address: str


def measure(machine: Machine, sites: Sequence[Site], probes: int, few: int) -> Report:
    """Ask `probes` times for known and for unknown addresses, `few` times where the
    leak is plain.
    """
    times: dict[tuple[str, bool], list[float]] = defaultdict(list)
    clients = {site.name: Client(machine.ports[site.name]) for site in sites}
    plan = [
        p for site in sites for p in _probes(site, probes if site in CAREFUL else few)
    ]
    with machine.worker(OURS):
        for probe in random.sample(plan, len(plan)):
            client = clients[probe.site.name]
            message = probe.site.prepare(client, probe.address)
            before = time.perf_counter()
            client.send(message)
            times[probe.site.name, probe.known].append(time.perf_counter() - before)
    for site in (OURS, EMBEDDED):
        machine.forget_requests(site)
    return _report(
        {s.name: auc(times[s.name, True], times[s.name, False]) for s in sites}
    )


def auc(known: list[float], unknown: list[float]) -> float:
    """Return how often a known address takes longer than an unknown one; 0.5 tells
    nothing.
    """
    ordered = sorted(unknown)
    wins = sum(bisect_left(ordered, t) + bisect_right(ordered, t) for t in known)
    return wins / 2 / len(known) / len(unknown)


def _probes(site: Site, count: int) -> list[Probe]:
    numbers = random.sample(range(100_000), count)
    return [Probe(site, True, known_address(n)) for n in numbers] + [
        Probe(site, False, unknown_address(n)) for n in numbers
    ]


def _report(found: dict[str, float]) -> Report:
    cells = {name: f"{value:.3f}" for name, value in found.items()}
    embedded = {OURS.name: cells.pop(EMBEDDED.name)}
    leak = {name: abs(value - 0.5) for name, value in found.items()}
    ours, floor = leak[OURS.name], leak[FLOOR.name]
    seen, shown = leak[CONTRIB_AUTH.name], cells[CONTRIB_AUTH.name]
    checks = [
        Check("timing sees contrib.auth's leak (AUC > 0.95)", seen > 0.45, shown, True),
        Check(
            "timing is blind on the floor (|AUC − 0.5| < 0.05)",
            floor < 0.05,
            f"{floor:.3f}",
            True,
        ),
        Check("|AUC − 0.5| below 0.05", ours < 0.05, f"{ours:.3f}"),
        Check(
            "… and with the embedded worker in the same process",
            leak[EMBEDDED.name] < 0.05,
            f"{leak[EMBEDDED.name]:.3f}",
        ),
        Check(
            "at most 0.03 above the floor's",
            ours - floor <= 0.03,
            f"{ours - floor:+.3f}",
        ),
    ]
    rows = [
        Row("known against unknown by time, AUC", cells),
        Row("… with the embedded worker", embedded),
    ]
    return Report(rows, checks)
