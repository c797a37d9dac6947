"""The hosts are tests of their own, `make test-hosts`, with a table at the end."""

from pathlib import Path

import pytest

from tests.hosts import table


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.hosts)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [one for stat in terminalreporter.stats.values() for one in stat]
    if found := table.cells(reports):
        terminalreporter.write_sep("=", "hosts: steps passed")
        for line in table.lines(found):
            terminalreporter.write_line(line)
