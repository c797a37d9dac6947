"""Go through what must hold before a release (`make release-check`).

Each step runs whatever the one before has said; the table at the end has them all, and
the archives that were looked at lie in `dist/`. `ARGS="--only archives --only version"`
runs some of them.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

from packaging.version import Version

import password_reset
from tests import ROOT
from tests.tools.archives import build
from tests.tools.interpreters import PAIRS

VERSION = password_reset.__version__
DIST = ROOT / "dist"


class Failure(Exception):
    """A step's reason in one line."""


@dataclass(frozen=True)
class Step:
    """Something that must hold, and what shows it."""

    name: str
    what: str
    run: Callable[[], None]


def run(*command: str, quiet: bool = False) -> str:
    """Run a command in the repository; return what it printed where that is kept."""
    done = subprocess.run(
        command, cwd=ROOT, text=True, stdout=subprocess.PIPE if quiet else None
    )
    if done.returncode:
        raise Failure(f"{' '.join(command)} ended with {done.returncode}")
    return done.stdout or ""


def module(*arguments: str) -> Callable[[], None]:
    """Return a step that runs a Python module."""

    def step() -> None:
        run(sys.executable, "-m", *arguments)

    return step


def tests(path: str) -> Callable[[], None]:
    """Return a step that runs the tests of a file."""
    return module("pytest", "-q", path)


def target(name: str) -> Callable[[], None]:
    """Return a step that makes a target of the Makefile."""

    def step() -> None:
        run(*made(name))

    return step


def made(name: str) -> list[str]:
    """Return the command that makes a target with no ARGS, which are this one's own and
    would reach it through MAKEFLAGS.
    """
    return ["make", name, "ARGS="]


def matrix() -> None:
    """The pairs beside that of this environment, which `make test` has run."""
    here = "{}.{}".format(*sys.version_info)
    left_out = ["--without", here] if here in dict(PAIRS) else []
    run(sys.executable, "-m", "tests.matrix", *left_out)


def tree() -> None:
    """Nothing is left that only this machine has."""
    if changed := run("git", "status", "--porcelain", quiet=True).split("\n")[:-1]:
        raise Failure(f"not committed: {', '.join(changed[:3])}")


def version() -> None:
    """Version, tag and development status belong together (PEP 440)."""
    if str(Version(VERSION)) != VERSION:
        raise Failure(f"{VERSION} is not how PEP 440 writes it: {Version(VERSION)}")
    tags = run("git", "tag", "--points-at", "HEAD", quiet=True).split()
    if f"v{VERSION}" not in tags:
        raise Failure(f"this commit has no tag v{VERSION}")


def changelog() -> None:
    """The changelog has a dated section, and the page of upgrades one of this version."""
    text = (ROOT / "CHANGELOG.md").read_text()
    dated = rf"^## \[{re.escape(VERSION)}\] - \d{{4}}-\d{{2}}-\d{{2}}$"
    if not re.search(dated, text, re.MULTILINE):
        raise Failure(f"CHANGELOG.md has no line “## [{VERSION}] - YYYY-MM-DD”")
    upgrades = (ROOT / "docs" / "upgrading.md").read_text()
    if not re.search(rf"^## .*{re.escape(VERSION)}", upgrades, re.MULTILINE):
        raise Failure(f"docs/upgrading.md has no section of {VERSION}")


def archives() -> None:
    """What a release consists of passes its tests, of which one builds it twice; an
    index takes it, and its bill of materials is valid.
    """
    tests("tests/tools/test_wheel.py")()
    shutil.rmtree(DIST, ignore_errors=True)
    run(*made("build"))
    run(sys.executable, "-m", "twine", "check", "--strict", *map(str, DIST.iterdir()))
    _check_bill(next(DIST.glob("*.whl")))


def _check_bill(wheel: Path) -> None:
    # In no other environment than that of this target.
    from cyclonedx.schema import SchemaVersion  # noqa: PLC0415
    from cyclonedx.validation.json import JsonStrictValidator  # noqa: PLC0415

    with ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if "/sboms/" in name]
        bill = archive.read(name).decode()
    if error := JsonStrictValidator(SchemaVersion.V1_7).validate_str(bill):
        raise Failure(f"{name}: {error.data}")
    print(f"{name}: valid CycloneDX 1.7")


def index() -> None:
    """An index renders the README without a broken link or picture."""
    from tests.tools.index_page import look  # noqa: PLC0415 - as above

    run(str(ROOT / "tests" / "kit" / "install"), "chromium")
    picture = ROOT / "build" / "index.png"
    with tempfile.TemporaryDirectory() as folder:
        wheel = build("wheel", ROOT, Path(folder))
        links, pictures, broken = look(wheel, picture)
    if broken:
        raise Failure(f"broken: {', '.join(broken)}")
    print(f"{links} links and {pictures} pictures; look at {picture.relative_to(ROOT)}")


STEPS = [
    Step("tree", "everything is committed", tree),
    Step("version", f"the tag v{VERSION} is on this commit", version),
    Step("changelog", "CHANGELOG.md and docs/upgrading.md speak of it", changelog),
    Step(
        "translations",
        "ten languages, complete and compiled",
        tests("tests/unit/test_locale.py"),
    ),
    Step("archives", "reproducible, valid, with a bill of materials", archives),
    Step("index", "the README on an index has no broken link or picture", index),
    Step("lint", "make lint", target("lint")),
    Step("test", "make test", target("test")),
    Step("hosts", "make test-hosts", target("test-hosts")),
    Step("examples", "make test-examples", target("test-examples")),
    Step("kit", "make test-kit", target("test-kit")),
    Step("matrix", "the suite on the other pairs of Python and Django", matrix),
    Step("mutants", "each defence's test fails without it", module("tests.mutants")),
    Step("attacks", "the attacks, in full", module("tests.attacks")),
    Step("outage", "an outage loses no email", module("tests.outage")),
    Step("alerts", "make test-alerts", target("test-alerts")),
    Step("server", "make test-server", target("test-server")),
    Step("containers", "make test-containers", target("test-containers")),
    Step("docs", "make docs", target("docs")),
    Step("screenshots", "make screenshots; look at them", target("screenshots")),
]


def outcome_of(step: Step) -> str:
    """Run a step; return what the table says of it."""
    print(f"== {step.name}: {step.what}", flush=True)
    try:
        step.run()
    except Failure as reason:
        return f"FAILED: {reason}"
    except Exception as error:  # the other steps are worth knowing too
        return f"FAILED: {type(error).__name__}: {error}"
    return "holds"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    names = [step.name for step in STEPS]
    parser.add_argument("--only", action="append", choices=names)
    parser.add_argument("--without", action="append", choices=names, default=[])
    chosen = parser.parse_args()
    wanted = set(chosen.only or names) - set(chosen.without)
    table = []
    for step in STEPS:
        started = time.monotonic()
        outcome = outcome_of(step) if step.name in wanted else "left out"
        table.append((step.name, time.monotonic() - started, outcome))
    print(f"\ndjango-resetkit {VERSION}\n")
    for name, seconds, outcome in table:
        print(f"{name:<13} {seconds:6.0f} s  {outcome}")
    return int(any(outcome.startswith("FAILED") for _, _, outcome in table))


if __name__ == "__main__":
    sys.exit(main())
