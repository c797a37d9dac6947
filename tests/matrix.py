"""Run the suite on each pair of Python and Django that this machine has an interpreter
for: `python -m tests.matrix [--without 3.11] [what pytest takes]`.
"""

import argparse
import subprocess
import sys
from pathlib import Path

from tests import ROOT
from tests.tools.interpreters import (
    PAIRS,
    environment,
    interpreter,
    without_paths_of_ours,
)

RUNS = [
    ("PostgreSQL", [], {}),
    ("SQLite", ["-m", "sqlite"], {"DATABASE_URL": "sqlite:///test.sqlite3"}),
]


def django_of(python: Path) -> str:
    code = "import django; print(django.get_version())"
    return subprocess.run(
        [python, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def run_pair(version: str, django: str, arguments: list[str]) -> str:
    """Run the whole suite, then its SQLite selection; return the table's last column."""
    found = interpreter(version)
    if found is None:
        return f"not run: no python{version} here"
    lock = ROOT / "requirements-dev.lock"
    python = environment(ROOT / ".venv-matrix" / version, found, lock)
    if not django_of(python).startswith(django):
        return f"FAILED: the lock file gives Django {django_of(python)}"
    for name, options, extra in RUNS:
        print(f"== Python {version}, Django {django}, {name}", flush=True)
        command = [python, "-m", "pytest", "-n", "2", "-q", *options, *arguments]
        if subprocess.run(
            command, cwd=ROOT, env=without_paths_of_ours() | extra
        ).returncode:
            return f"FAILED on {name}"
    return "passed"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    versions = [version for version, _ in PAIRS]
    parser.add_argument("--without", action="append", choices=versions, default=[])
    chosen, arguments = parser.parse_known_args()
    results = [
        (version, django, run_pair(version, django, arguments))
        for version, django in PAIRS
        if version not in chosen.without
    ]
    print("\nPython  Django  Result")
    for version, django, result in results:
        print(f"{version:<7} {django:<7} {result}")
    return int(any(result.startswith("FAILED") for _, _, result in results))


if __name__ == "__main__":
    sys.exit(main())
