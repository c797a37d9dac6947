"""Start everything once, take the measures, print one report."""

import argparse
import dataclasses
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks import (
    backlog,
    delivery,
    growth,
    onecore,
    paint,
    purging,
    revision,
    sending,
    shares,
    spending,
    statements,
    throughput,
    timing,
)
from benchmarks.doors import DEMO, EMBEDDED, FLOOR, OURS, PEERS, WITHOUT_QUEUE, Site
from benchmarks.machine import Machine
from benchmarks.report import Report

RESETTING = (OURS, *PEERS)
SITES = (FLOOR, *RESETTING)
WITH_DEMO = (FLOOR, OURS, DEMO, *PEERS)


@dataclass(frozen=True)
class Size:
    """How much of everything a run does."""

    rounds: int
    seconds: float
    probes: int
    few_probes: int
    windows: int
    mails: int
    outage: int
    sending_rounds: int
    sending_seconds: float
    unknown: int
    burst: int
    junk: int
    race_tokens: int
    resets: int
    few_resets: int
    purge: int
    small: int
    large: int
    visits: int


FULL = Size(
    rounds=15,
    seconds=1,
    probes=2000,
    few_probes=100,
    windows=300,
    mails=30,
    outage=50,
    sending_rounds=5,
    sending_seconds=6,
    unknown=50_000,
    burst=10_000,
    junk=1_000_000,
    race_tokens=3,
    resets=30,
    few_resets=10,
    purge=1_000_000,
    small=10_000,
    large=1_000_000,
    visits=9,
)
QUICK = Size(
    rounds=1,
    seconds=1,
    # Fewer would call the floor a leak now and then, by chance.
    probes=600,
    few_probes=20,
    windows=20,
    mails=3,
    outage=5,
    sending_rounds=1,
    sending_seconds=4,
    unknown=20_000,
    burst=500,
    junk=100_000,
    race_tokens=1,
    resets=3,
    few_resets=2,
    purge=50_000,
    small=10_000,
    large=50_000,
    visits=3,
)
#: Take long, and wait for a quiet machine: run by name alone.
ON_REQUEST = {"sending", "backlog", "onecore"}
Measure = Callable[[Machine, Sequence[Site], Size], Report]
MEASURES: dict[str, tuple[Sequence[Site], Measure]] = {
    "statements": (WITH_DEMO, lambda m, sites, _: statements.measure(m, sites)),
    "throughput": (
        WITH_DEMO,
        lambda m, sites, s: throughput.measure(m, sites, s.rounds, s.seconds),
    ),
    "shares": (
        shares.SITES,
        lambda m, sites, s: shares.measure(m, sites, s.rounds, s.seconds),
    ),
    "timing": (
        (*SITES, EMBEDDED),
        lambda m, sites, s: timing.measure(m, sites, s.probes, s.few_probes),
    ),
    "onecore": (onecore.SITES, lambda m, _, s: onecore.measure(m, s.windows)),
    "race": (RESETTING, lambda m, sites, s: spending.race(m, sites, s.race_tokens)),
    "cost": (
        RESETTING,
        lambda m, sites, s: spending.cost(m, sites, s.resets, s.few_resets),
    ),
    "delivery": (
        delivery.SITES,
        lambda m, sites, s: delivery.measure(m, sites, s.mails, s.outage),
    ),
    "sending": (
        sending.SITES,
        lambda m, sites, s: sending.measure(
            m, sites, s.sending_rounds, s.sending_seconds
        ),
    ),
    "backlog": (
        (WITHOUT_QUEUE,),
        lambda m, _, s: backlog.measure(m, s.unknown, s.burst, s.junk),
    ),
    "purge": ((OURS, purging.REST), lambda m, _, s: purging.measure(m, s.purge)),
    "paint": ((), lambda m, sites, s: paint.measure(s.visits)),
    "growth": ((OURS,), lambda m, _, s: growth.measure(m, s.small, s.large)),
}


def main() -> int:
    """Run the measures that were asked for; exit 1 when the harness cannot be trusted."""
    arguments = _arguments()
    size = QUICK if arguments.quick else FULL
    report = Report()
    with ExitStack() as stack:
        machine = Machine(stack)
        # What was found is printed even when a later measure fails.
        stack.callback(
            lambda: print(report.markdown(WITH_DEMO), machine.versions(), sep="\n")
        )
        if arguments.against:
            machine.before = _before(machine, arguments.against)
        usual = [name for name in MEASURES if name not in ON_REQUEST]
        for name in arguments.only or usual:
            sites, measure = MEASURES[name]
            _say(f"measuring {name}")
            for site in sites:
                machine.open(site)
            report.add(measure(machine, sites, size))
    return 0 if report.trustworthy else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick",
        action="store_true",
        help="see that all of it works, in a minute or two",
    )
    parser.add_argument(
        "--only",
        action="append",
        choices=list(MEASURES),
        help="one measure; may be repeated",
    )
    parser.add_argument(
        "--against",
        metavar="REVISION",
        help="let the worker of this older revision send beside today's",
    )
    return parser.parse_args()


def _before(machine: Machine, name: str) -> Site:
    """Return this app as a revision has it, with a database of its own."""
    folder = revision.unpack(name, machine.folder / "before")
    site = dataclasses.replace(OURS, name="before", root=folder)
    machine.create_database(site)
    return site


def _say(what: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
