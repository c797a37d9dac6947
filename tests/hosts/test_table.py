"""What the table at the end of a run says about cells that nobody walked."""

from types import SimpleNamespace

import pytest

from tests.hosts import environments, table
from tests.hosts.shapes import HOSTS


def test_every_host_has_a_row_though_nothing_ran():
    rows = list(table.lines({}))[1:]
    assert [row.split()[0] for row in rows] == [host.name for host in HOSTS]
    assert all(
        row.count("not selected") + row.count("from Django")
        == len(environments.DJANGOS)
        for row in rows
    )


def test_the_last_note_of_a_cell_counts():
    notes = [
        (table.NAME, ("fresh", "5.2", "does not start")),
        (table.NAME, ("fresh", "5.2", "22/22 ok")),
    ]
    reports = [SimpleNamespace(user_properties=notes)]
    assert table.cells(reports) == {("fresh", "5.2"): "22/22 ok"}


@pytest.mark.parametrize("django", environments.DJANGOS)
def test_an_environment_has_its_django_whatever_the_python(django):
    """Markers would choose another where the Python of the pair is missing."""
    lock = environments.lock_of("by-hand", django, None).read_text()
    [pin] = [line for line in lock.splitlines() if line.startswith("django==")]
    assert pin.startswith(f"django=={django}.")
    assert ";" not in pin


def test_names_of_hosts_differ():
    assert len({host.name for host in HOSTS}) == len(HOSTS)
