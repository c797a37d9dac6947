"""Take each defence away and see its test turn red: `python -m tests.mutants [ROW
...]`, about ten minutes for all.

Each is in mutants.toml, as what becomes of a function or of a line of a file that is
not Python. All is done in a copy of the tree, and the tests are seen green there first.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import ROOT
from tests.tools.patches import Edit, Patch
from tests.tools.servers import start_servers

PATCHES = Path(__file__).with_suffix(".toml")
NOT_COPIED = shutil.ignore_patterns(
    ".git",
    ".venv*",
    ".cache",
    ".*_cache",
    "__pycache__",
    "node_modules",
    "dist",
    "build",
)
#: A mutant that makes a test wait for ever is as good as red.
PATIENCE = 120
REASON = re.compile(r"^(?:\S+\.py:\d+: |E +)(.{1,160})", re.MULTILINE)
COLUMNS = "{:<8} {:<32} {:>5}  {}"


@dataclass(frozen=True)
class Mutant:
    """What is taken away, and the test that must notice."""

    row: str
    takes: str
    test: str
    changes: tuple[Patch | Edit, ...]

    def misfits(self, tree: Path) -> list[str]:
        """Return what of the mutant the tree has outgrown."""
        return [said for change in self.changes if (said := change.misfit(tree))]


def mutants() -> list[Mutant]:
    """Return the mutants of mutants.toml."""
    return [_mutant(entry) for entry in tomllib.loads(PATCHES.read_text())["mutant"]]


def _mutant(entry: dict[str, Any]) -> Mutant:
    return Mutant(
        entry["row"],
        entry["takes"],
        entry["test"],
        (
            *(Patch(**patch) for patch in entry.get("patch", ())),
            *(Edit(**edit) for edit in entry.get("edit", ())),
        ),
    )


@contextmanager
def copied_tree() -> Iterator[Path]:
    """Copy the tree without what tools leave behind; the environment is shared."""
    with tempfile.TemporaryDirectory(prefix=f"resetkit-{os.getpid()}-") as folder:
        tree = Path(folder) / "tree"
        shutil.copytree(ROOT, tree, ignore=NOT_COPIED, symlinks=True)
        for shared in (".venv", ".cache"):
            (tree / shared).symlink_to(ROOT / shared)
        yield tree


@contextmanager
def mutated(tree: Path, mutant: Mutant) -> Iterator[None]:
    """Make a mutant's changes, and take them back."""
    paths = {change.path(tree) for change in mutant.changes}
    before = {path: path.read_bytes() for path in paths}
    try:
        for change in mutant.changes:
            change.apply(tree)
        yield
    finally:
        for path, content in before.items():
            path.write_bytes(content)


def run(tree: Path, *tests: str) -> subprocess.CompletedProcess[str]:
    """Run tests in the tree, those of the kit included."""
    options = [
        "-q",
        "-x",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "-m",
        "kit or not kit",
        "--tb=line",
    ]
    command = [sys.executable, "-m", "pytest", *options, *tests]
    clean = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        command,
        cwd=tree,
        env=clean,
        capture_output=True,
        text=True,
        timeout=PATIENCE * len(tests),
    )


def verdict(tree: Path, mutant: Mutant) -> str:
    """Return ``red`` when the test notices the mutant, and otherwise what happened
    instead.
    """
    if misfits := mutant.misfits(tree):
        print("\n".join(misfits))
        return "stale"
    try:
        with mutated(tree, mutant):
            result = run(tree, mutant.test)
    except subprocess.TimeoutExpired:
        return "red"
    if result.returncode == 1 and " failed" in result.stdout:
        # For the reader: red for a reason of its own, such as a name that is gone,
        # proves nothing.
        print(*REASON.findall(result.stdout)[:1])
        return "red"
    print(result.stdout[-2000:], result.stderr[-1000:])
    return "GREEN" if result.returncode == 0 else "broken"


def main(names: list[str]) -> int:
    """Try the named rows, or all; return how many were not noticed."""
    chosen = [mutant for mutant in mutants() if not names or mutant.row in names]
    servers = start_servers()
    try:
        with copied_tree() as tree:
            return try_all(tree, chosen)
    finally:
        for server in servers:
            server.close()


def try_all(tree: Path, chosen: list[Mutant]) -> int:
    """See the tests green, then each of them red; return how many were not."""
    green = run(tree, *dict.fromkeys(mutant.test for mutant in chosen))
    if green.returncode:
        print(green.stdout[-3000:], green.stderr[-3000:])
        return 1
    print(f"Unpatched: {green.stdout.strip().splitlines()[-1]}", flush=True)
    return sum(_report(tree, mutant) != "red" for mutant in chosen)


def _report(tree: Path, mutant: Mutant) -> str:
    started = time.monotonic()
    found = verdict(tree, mutant)
    print(
        COLUMNS.format(
            found, mutant.row, f"{time.monotonic() - started:.0f} s", mutant.test
        ),
        flush=True,
    )
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
