"""Rows of figures, what they must show, and one Markdown table of it all."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version

from benchmarks.doors import Site


@dataclass(frozen=True)
class Row:
    """One measure; cells by site."""

    title: str
    cells: dict[str, str]


@dataclass(frozen=True)
class Check:
    """A sentence that the figures bear out or not; one about the harness must hold."""

    sentence: str
    holds: bool
    measured: str
    about_harness: bool = False


@dataclass
class Report:
    """All that a run found."""

    rows: list[Row] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, other: "Report") -> None:
        """Take over another report's findings."""
        self.rows += other.rows
        self.checks += other.checks
        self.notes += other.notes

    @property
    def trustworthy(self) -> bool:
        """Say whether the harness saw what it must see."""
        return all(check.holds for check in self.checks if check.about_harness)

    def markdown(self, sites: Sequence[Site]) -> str:
        """Return the whole report."""
        names = [site.name for site in sites]
        lines = [_line("", *names), "|---|" + "---:|" * len(names)]
        lines.append(_line("version", *map(site_version, sites)))
        lines += [
            _line(row.title, *(row.cells.get(n, "–") for n in names))
            for row in self.rows
        ]
        checks = [
            "| must show | measured | |",
            "|---|---|---|",
            *map(_check, self.checks),
        ]
        return "\n".join([*lines, "", *checks, "", *self.notes])


def site_version(site: Site) -> str:
    """Return the version of what a site measures, where it is installed."""
    try:
        return version(site.distribution) if site.distribution else ""
    except PackageNotFoundError:
        return "–"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _check(check: Check) -> str:
    subject = "(harness) " if check.about_harness else ""
    return _line(
        subject + check.sentence, check.measured, "yes" if check.holds else "**no**"
    )
