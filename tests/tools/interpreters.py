"""Pythons of this machine, and environments made with them from a lock."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

#: The markers of each lock choose the Django for a Python.
PAIRS = [("3.11", "5.2"), ("3.12", "6.0"), ("3.13", "6.1")]


def candidates(version: str) -> Iterator[Path]:
    """Yield where an interpreter may lie; pyenv's own commands on PATH may refuse to
    run.
    """
    homes = [os.environ.get("PYENV_ROOT"), Path.home() / ".pyenv"]
    # Beside the running one, too: HOME may be another than the one pyenv lies in.
    beside = Path(sys.base_prefix).parent
    for versions in [
        *(Path(home) / "versions" for home in filter(None, homes)),
        beside,
    ]:
        folders = versions.glob(f"{version}.*")
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


def environment(folder: Path, found: Path, lock: Path) -> Path:
    """Return the Python of an environment with a lock's packages, made anew when the
    lock or the interpreter changed.
    """
    stamp = folder / "installed.lock"
    content = f"# {found}\n{lock.read_text()}"
    python = folder / "bin" / "python"
    if not (stamp.exists() and stamp.read_text() == content):
        print(f"== Installing {lock.name} for {found.name}", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([found, "-m", "venv", folder], check=True)
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        subprocess.run(
            [*pip, "install", "--no-deps", "--require-hashes", "-r", lock], check=True
        )
        subprocess.run([*pip, "check"], check=True)
        stamp.write_text(content)
    return python


def without_paths_of_ours() -> dict[str, str]:
    """Return this process' environment without what leads one Python to the packages
    of another.
    """
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("PYTHONPATH")
    }
