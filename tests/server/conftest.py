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


class Ground:
    """Where a machine may stand: one at a time, for it has this machine's ports."""

    def __init__(self) -> None:
        self.site: Site | None = None

    def machine(self, name: str) -> Site:
        """Return the machine of that name, in the place of any other."""
        if self.site is None or self.site.name != name:
            self.clear()
            self.site = Site(name)
            self.site.start()
        return self.site

    def clear(self) -> None:
        if self.site is not None:
            self.site.close()
            self.site = None


@pytest.fixture(scope="session")
def ground(needs_a_machine: None) -> Iterator[Ground]:
    ground = Ground()
    try:
        yield ground
    finally:
        ground.clear()


@pytest.fixture(scope="module")
def site(ground: Ground, request: pytest.FixtureRequest) -> Site:
    """An empty machine with the sources on it; the module says whose."""
    return ground.machine(request.module.MACHINE)


@pytest.fixture(scope="module")
def installed(site: Site) -> Site:
    """A site that `deploy/install` alone has made, while a stranger looked on."""
    if not site.output:
        site.watch()
        site.output = site.install("v1.0.0")
    return site
