"""POST forgot-password: requests per second and latency, without and with a worker."""

from collections import defaultdict
from collections.abc import Sequence
from statistics import median

from benchmarks.doors import CONTRIB_AUTH, FLOOR, OURS, Site
from benchmarks.load import Load, hammer, shuffled
from benchmarks.machine import Machine
from benchmarks.report import Check, Report, Row

BURN_IN_SECONDS = 1.0
Loads = dict[str, list[Load]]


def measure(
    machine: Machine, sites: Sequence[Site], rounds: int, seconds: float
) -> Report:
    """Load each site in turn, in another order each round."""
    for site in sites:
        hammer(machine, site, BURN_IN_SECONDS)
    stopped: Loads = defaultdict(list)
    running: Loads = defaultdict(list)
    for _ in range(rounds):
        for site in shuffled(sites):
            stopped[site.name].append(hammer(machine, site, seconds))
        for site in shuffled([site for site in sites if site.has_worker]):
            with machine.worker(site):
                running[site.name].append(hammer(machine, site, seconds))
    report = _report(stopped, running)
    for site in sites:
        machine.forget_requests(site)
    return report


def _report(stopped: Loads, running: Loads) -> Report:
    floor = stopped[FLOOR.name]
    rows = [
        Row("POST per second, 8 connections (× floor)", _rates(stopped, floor)),
        Row("… with one worker running", _rates(running, floor)),
        Row("p50 ms", _latencies(stopped, 50)),
        Row("p99 ms", _latencies(stopped, 99)),
        Row("p99 ms with one worker running", _latencies(running, 99)),
        Row(
            "refused or failed POSTs",
            {name: _failures(all_) for name, all_ in stopped.items()},
        ),
    ]
    return Report(rows, _checks(stopped, running))


def ratio(loads: list[Load], others: list[Load]) -> float:
    """Return the median of the rounds' ratios: what slows the machine slows both."""
    return median(a.rate / b.rate for a, b in zip(loads, others, strict=True))


def _rates(loads: Loads, floor: list[Load]) -> dict[str, str]:
    return {
        name: f"{median(load.rate for load in all_):.0f} ({ratio(all_, floor):.2f})"
        for name, all_ in loads.items()
    }


def _latencies(loads: Loads, percent: int) -> dict[str, str]:
    return {name: f"{_latency(all_, percent):.0f}" for name, all_ in loads.items()}


def _latency(loads: list[Load], percent: int) -> float:
    return median(load.percentile(percent) for load in loads)


def _failures(loads: list[Load]) -> str:
    return str(
        sum(n for load in loads for status, n in load.statuses.items() if status >= 400)
    )


def _checks(stopped: Loads, running: Loads) -> list[Check]:
    floor, ours, auth = (stopped[site.name] for site in (FLOOR, OURS, CONTRIB_AUTH))
    busy = median(load.client_seconds / load.seconds for load in floor)
    with_worker = running[OURS.name]
    p99 = _latency(ours, 99) / _latency(floor, 99)
    return [
        Check(
            "the client takes under a third of one core",
            busy < 1 / 3,
            f"{busy:.2f}",
            True,
        ),
        _at_least("× the floor's POSTs", 0.4, ratio(ours, floor)),
        _at_least("× contrib.auth's POSTs", 3, ratio(ours, auth)),
        _at_least("× contrib.auth's, with a worker", 2, ratio(with_worker, auth)),
        Check("p99 below 3 × the floor's", p99 < 3, f"{p99:.2f}"),
    ]


def _at_least(sentence: str, wanted: float, measured: float) -> Check:
    return Check(f"at least {wanted} {sentence}", measured >= wanted, f"{measured:.2f}")
