"""Run the suite on each pair of Python and Django that this machine has an interpreter
for.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
LOCK = ROOT / "requirements-dev.lock"
# The lock file's markers choose the Django for each Python.
PAIRS = [("3.11", "5.2"), ("3.12", "6.0"), ("3.13", "6.1")]
RUNS = [
    ("PostgreSQL", [], {}),
    ("SQLite", ["-m", "sqlite"], {"DATABASE_URL": "sqlite:///test.sqlite3"}),
]


def candidates(version: str) -> Iterator[Path]:
    """Yield where an interpreter may lie; pyenv's own commands on PATH may refuse to
    run.
    """
    homes = [os.environ.get("PYENV_ROOT"), Path.home() / ".pyenv"]
    for home in filter(None, homes):
        folders = Path(home).glob(f"versions/{version}.*")
        yield from sorted(
            (folder / "bin" / f"python{version}" for folder in folders), reverse=True
        )
    for folder in os.get_exec_path():
        yield Path(folder) / f"python{version}"


def interpreter(version: str) -> Path | None:
    """Return a working interpreter of that version, or None."""
    code = f"import ensurepip, sys; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
    for path in candidates(version):
        if (
            path.exists()
            and subprocess.run([path, "-c", code], capture_output=True).returncode == 0
        ):
            return path
    return None


def environment(version: str, found: Path) -> Path:
    """Return the Python of an environment with the lock file's packages, made anew when
    the lock changed.
    """
    folder = ROOT / ".venv-matrix" / version
    stamp = folder / "requirements-dev.lock"
    python = folder / "bin" / "python"
    if not (stamp.exists() and stamp.read_bytes() == LOCK.read_bytes()):
        print(f"== Installing for Python {version}", flush=True)
        subprocess.run([found, "-m", "venv", "--clear", folder], check=True)
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run(
            [*pip, "install", "--no-deps", "--require-hashes", "-r", LOCK], check=True
        )
        subprocess.run([*pip, "check"], check=True)
        shutil.copy(LOCK, stamp)
    return python


def django_of(python: Path) -> str:
    code = "import django; print(django.get_version())"
    return subprocess.run(
        [python, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()


def run_pair(version: str, django: str) -> str:
    """Run the whole suite, then its SQLite selection; return the table's last column."""
    found = interpreter(version)
    if found is None:
        return f"not run: no python{version} here"
    python = environment(version, found)
    if not django_of(python).startswith(django):
        return f"FAILED: the lock file gives Django {django_of(python)}"
    for name, options, extra in RUNS:
        print(f"== Python {version}, Django {django}, {name}", flush=True)
        # An environment of this machine for another Python must not reach in.
        clean = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith("PYTHONPATH")
        }
        command = [python, "-m", "pytest", "-n", "2", "-q", *options, *sys.argv[1:]]
        if subprocess.run(command, cwd=ROOT, env=clean | extra).returncode:
            return f"FAILED on {name}"
    return "passed"


def main() -> int:
    results = [
        (version, django, run_pair(version, django)) for version, django in PAIRS
    ]
    print("\nPython  Django  Result")
    for version, django, result in results:
        print(f"{version:<7} {django:<7} {result}")
    return int(any(result.startswith("FAILED") for _, _, result in results))


if __name__ == "__main__":
    sys.exit(main())
