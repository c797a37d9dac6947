"""Web and worker on one core: whether visits after a request tell who has an account.

The measure is `benchmarks.onecore`; on a machine that does something else it says
nothing, and it takes about half an hour, so it is run by name alone.
"""

from contextlib import ExitStack

from benchmarks import onecore
from benchmarks.machine import Machine

from . import Promise


def run(windows: int = 300) -> list[Promise]:
    with ExitStack() as stack:
        report = onecore.measure(Machine(stack), windows)
    return [Promise(one.sentence, one.measured, one.holds) for one in report.checks]
