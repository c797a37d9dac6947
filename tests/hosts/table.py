"""The table at the end of a run: each host on each Django, and how far it went."""

from collections.abc import Callable, Iterable, Iterator

from tests.hosts.environments import DJANGOS
from tests.hosts.host import Host
from tests.hosts.shapes import HOSTS

NAME = "hosts-cell"
Cell = tuple[str, str]


def noting(record_property: Callable, host: Host, django: str) -> Callable[[str], None]:
    """Return what notes the content of one cell; the last note counts."""
    return lambda text: record_property(NAME, (host.name, django, text))


def result(passed: int, planned: int, failed: list[str]) -> str:
    """Return what a cell says about a host that started."""
    return f"{passed}/{planned} " + (f"FAILED {', '.join(failed)}" if failed else "ok")


def cells(reports: Iterable) -> dict[Cell, str]:
    """Return what the tests noted."""
    found = {}
    for report in reports:
        for name, value in getattr(report, "user_properties", ()):
            if name == NAME:
                host, django, text = value
                found[host, django] = text
    return found


def lines(found: dict[Cell, str]) -> Iterator[str]:
    """Yield the table: every host, every Django, and in each cell something."""
    rows = [["host", *(f"Django {django}" for django in DJANGOS)]]
    rows += [
        [host.name, *(cell(found, host, django) for django in DJANGOS)]
        for host in HOSTS
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        pairs = zip(row, widths, strict=True)
        yield "  ".join(text.ljust(width) for text, width in pairs).rstrip()


def cell(found: dict[Cell, str], host: Host, django: str) -> str:
    if django < host.since:
        return f"from Django {host.since}"
    return found.get((host.name, django), "not selected")
