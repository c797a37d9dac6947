"""Numbers on a command line."""

from __future__ import annotations

import math
from argparse import ArgumentTypeError


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
