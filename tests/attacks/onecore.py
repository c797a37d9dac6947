"""Web and worker on one core: whether the time of a request tells who has an account.

The measure is `benchmarks.onecore`, which is asked for where it exists.
"""

import importlib
from importlib.util import find_spec

from . import Promise

LIMIT = 0.07


def run() -> list[Promise]:
    if find_spec("benchmarks.onecore") is None:
        print("  benchmarks.onecore is not here, so nothing was measured")
        return []
    area = float(importlib.import_module("benchmarks.onecore").measure())
    text = f"area under the curve within {LIMIT} of 0.5"
    return [Promise(text, f"{area:.3f}", abs(area - 0.5) <= LIMIT)]
