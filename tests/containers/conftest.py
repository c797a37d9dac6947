"""These tests run a Docker engine of their own, which takes minutes:
`make test-containers`.
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.containers.engine import UNPACKED, Engine
from tests.containers.site import Site


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.containers)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """A running engine with the images that the kit builds on."""
    missing = [name for name in ("debootstrap", "runc", "ip") if not shutil.which(name)]
    if not (UNPACKED / "sbin" / "dockerd").exists():
        missing.append("the engine (tests/containers/install)")
    if os.geteuid() != 0:
        missing.append("root")
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"needs {missing}")
    engine = Engine()
    try:
        engine.start()
        engine.make_base_images()
        yield engine
    finally:
        engine.close()


@pytest.fixture(scope="session")
def site(engine: Engine) -> Iterator[Site]:
    """The sources, filled in by the guide's commands; nothing is built yet."""
    site = Site(engine)
    try:
        site.start()
        yield site
    finally:
        site.close()


@pytest.fixture(scope="session")
def released(site: Site) -> Site:
    """A site that `deploy/release` has made."""
    site.output = site.release("v1.0.0").stdout
    site.seconds_until_well()
    return site
