"""These tests install on an empty Debian, which takes minutes: `make test-server`."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.site import Site


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.server)


@pytest.fixture(scope="session")
def needs_a_machine() -> None:
    """Skip where none can be made; under CI that is an error."""
    missing = [
        name for name in ("debootstrap", "systemd-nspawn") if not shutil.which(name)
    ]
    if os.geteuid() != 0:
        missing.append("root")
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs {missing}")


@pytest.fixture(scope="module")
def site(needs_a_machine: None, request: pytest.FixtureRequest) -> Iterator[Site]:
    """An empty machine with the sources on it; each module has its own."""
    site = Site(request.module.__name__.rpartition("_")[2])
    try:
        site.start()
        yield site
    finally:
        site.close()


@pytest.fixture(scope="module")
def installed(site: Site) -> Site:
    """A site that `deploy/install` alone has made."""
    site.output = site.install("v1.0.0")
    return site
