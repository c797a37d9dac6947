"""Simulations of attacks: what is promised, and what was found."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Promise:
    """A sentence of the docs, what a simulation found, and whether it holds."""

    text: str
    found: str
    holds: bool

    def __str__(self) -> str:
        return f"{'yes' if self.holds else 'NO':<4} {self.text}: {self.found}"
