"""Tests that need a Debian package say so with `program(name, package)`."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT

# Where a program lies that is not on everybody's PATH.
ELSEWHERE = ["/usr/sbin", str(ROOT / ".cache" / "prometheus" / "usr" / "bin")]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.kit)


def missing(package: str) -> None:
    """Skip the test and name the package; under CI that is an error, for there it must
    be installed.
    """
    if os.environ.get("CI"):
        pytest.fail(f"Debian's package {package} is missing")
    pytest.skip(f"needs Debian's package {package}")


def find_program(name: str, package: str) -> str:
    path = os.pathsep.join([*os.get_exec_path(), *ELSEWHERE])
    found = os.environ.get(name.upper()) or shutil.which(name, path=path)
    if found is None:
        missing(package)
    return str(found)


@pytest.fixture(scope="session")
def program() -> Callable[[str, str], str]:
    """Find a program by its name and the Debian package that has it."""
    return find_program


@pytest.fixture(scope="session")
def stack() -> Iterator[Any]:
    """The whole site, built and started once for all tests that need it."""
    from tests.kit.stack import Stack  # noqa: PLC0415 - needs what this module defines

    site = Stack()
    try:
        site.start()
        yield site
    finally:
        site.close()


@pytest.fixture
def whole_again(stack: Any) -> Iterator[None]:
    """Start again what a test has stopped, as systemd would."""
    yield
    for server in stack.running:
        server.start()
    stack.wait_until_ready()
