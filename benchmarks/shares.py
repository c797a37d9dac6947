"""Where the rest of a POST goes: the same load with one part switched off at a time."""

from collections import defaultdict
from collections.abc import Sequence

from benchmarks.doors import FLOOR, OURS, WITHOUT_QUEUE, Pages, Site
from benchmarks.load import hammer, shuffled
from benchmarks.machine import Machine
from benchmarks.report import Report
from benchmarks.throughput import BURN_IN_SECONDS, Loads, ratio

SITES = (
    FLOOR,
    OURS,
    WITHOUT_QUEUE,
    Pages("without limits", "benchmarks.sites.ours.without_limits", OURS.request_path),
    Pages("without either", "benchmarks.sites.ours.bare", OURS.request_path),
)


def measure(
    machine: Machine, sites: Sequence[Site], rounds: int, seconds: float
) -> Report:
    """Load each variant in turn and compare it with the floor."""
    loads: Loads = defaultdict(list)
    for site in sites:
        hammer(machine, site, BURN_IN_SECONDS)
    for _ in range(rounds):
        for site in shuffled(sites):
            loads[site.name].append(hammer(machine, site, seconds))
    for site in sites:
        machine.forget_requests(site)
    listing = [
        f"    {name}: {ratio(all_, loads[FLOOR.name]):.2f}"
        for name, all_ in loads.items()
    ]
    return Report(
        notes=["POSTs in units of the floor's, parts switched off:", "", *listing, ""]
    )
