"""The app on hosts of many shapes: each is a project of its own, served by a process of
its own, with the wheel installed, and walked over HTTP.
"""

import os

import pytest

from tests.hosts import environments, table
from tests.hosts.project import Project
from tests.hosts.shapes import HOSTS
from tests.hosts.visit import Visit

CELLS = [
    pytest.param(host, django, id=f"{host.name}-{django}")
    for host in HOSTS
    for django in environments.DJANGOS
    if django >= host.since
]


@pytest.mark.parametrize(("host", "django"), CELLS)
def test_a_host(host, django, tmp_path, record_property):
    note = table.noting(record_property, host, django)
    if environments.python_for(django) is None:
        missing(django, note)
    project = Project(host, environments.make(django, alone=host.alone), tmp_path)
    note("does not start")
    try:
        failures = walk(project, note)
    finally:
        project.stop()
    if failures:
        raise ExceptionGroup(f"{host.name}, Django {django}", failures)


def walk(project: Project, note) -> list[Exception]:
    """Take each walk until a step of it fails; note how far they went."""
    if project.host.serves:
        project.prepare()
        project.start()
    passed, failures = Visit(project).take(project.host.walks)
    planned = sum(map(len, project.host.walks))
    note(table.result(passed, planned, [name for name, _ in failures]))
    return [error for _, error in failures]


def missing(django: str, note) -> None:
    """Skip where the machine has no Python for a Django; CI must have all."""
    reason = f"no python{environments.PYTHONS[django]} here"
    note(reason)
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
