"""Numbers on a command line."""

from __future__ import annotations

import math
import re
from argparse import ArgumentTypeError

RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?)/([smh])")
SECONDS = {"s": 1, "m": 60, "h": 3600}


def positive_integer(text: str) -> int:
    """Return a whole number above zero."""
    if not (text.isascii() and text.isdigit()) or int(text) < 1:
        raise ArgumentTypeError(f"{text} is not a whole number above zero")
    return int(text)


def positive_seconds(text: str) -> float:
    """Return a number of seconds above zero."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise ArgumentTypeError(f"{text} is not a number of seconds above zero")
    return seconds


def rate(text: str) -> float:
    """Return emails a second, of a number a second, minute or hour such as ``50/s``."""
    match = RATE.fullmatch(text)
    if not match or float(match[1]) <= 0:
        raise ArgumentTypeError(f"{text} is not a rate such as 50/s, 600/m or 1000/h")
    return float(match[1]) / SECONDS[match[2]]
