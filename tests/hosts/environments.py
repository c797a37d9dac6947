"""An environment per Django with the wheel under test and what the hosts are made of.

They lie in `.cache/hosts`, made when they are first asked for and made anew when the
lock, the interpreter or the package has changed.
"""

import fcntl
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

from tests import ROOT
from tests.tools.archives import build
from tests.tools.interpreters import PAIRS, environment, interpreter

CACHE = ROOT / ".cache" / "hosts"
LOCK = Path(__file__).parent / "requirements.lock"
DJANGOS = [django for _, django in PAIRS]
PYTHONS = {django: python for python, django in PAIRS}
#: The oldest Python of each Django, for machines that lack the one of its pair.
OLDEST = {"5.2": (3, 10), "6.0": (3, 12), "6.1": (3, 12)}
#: Prints the names of what a distribution needs, and what these need, extras left out.
CLOSURE = """
import re, sys
from importlib.metadata import PackageNotFoundError, requires

def need(name, seen):
    for line in requires(name) or ():
        other = re.match(r"[\\w.-]+", line)[0].lower().replace("_", "-")
        if "extra ==" not in line and other not in seen:
            try:
                requires(other)
            except PackageNotFoundError:  # for another Python
                continue
            seen.add(other)
            need(other, seen)
    return seen

print(*need(sys.argv[1], set()))
"""


@dataclass(frozen=True)
class Environment:
    """A Python with one Django, and what `startproject` writes with it."""

    django: str
    python: Path
    skeleton: Path


def python_for(django: str) -> Path | None:
    """Return the interpreter of the pair, or the running one where it will do."""
    if found := interpreter(PYTHONS[django]):
        return found
    return Path(sys.executable) if sys.version_info >= OLDEST[django] else None


@cache
def make(django: str, *, alone: bool = False) -> Environment:
    """Return an environment, where `alone` with the wheel, what it declares and nothing
    else.
    """
    found = python_for(django)
    assert found, f"no python{PYTHONS[django]} here"
    whole = make(django) if alone else None
    name = f"{django}-alone" if alone else django
    with locked(name):
        needed = closure(whole.python) if whole else None
        python = environment(CACHE / name, found, lock_of(name, django, needed))
        install_wheel(python)
        return Environment(django, python, started_project(python))


def lock_of(name: str, django: str, needed: set[str] | None) -> Path:
    """Write the lock with this Django, whatever the Python, and with no more than what
    is needed.
    """
    blocks = re.split(r"^(?=\w)", LOCK.read_text(), flags=re.MULTILINE)
    kept = [
        re.sub(r" ; python_full_version.*(?= \\)", "", block)
        if block.startswith("django==")
        else block
        for block in blocks
        if (needed is None or re.split(r"[=\[]", block)[0] in needed)
        and (not block.startswith("django==") or block.startswith(f"django=={django}."))
    ]
    path = CACHE / f"{name}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(kept))
    return path


def closure(python: Path) -> set[str]:
    return set(output(python, "-c", CLOSURE, "django-resetkit").split())


def install_wheel(python: Path) -> None:
    """Install the wheel of this tree unless it is there already."""
    stamp = python.parents[1] / "installed.wheel"
    digest = digest_of_package()
    if not (stamp.exists() and stamp.read_text() == digest):
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        options = ["--no-deps", "--no-index", "--force-reinstall"]
        subprocess.run(
            [*pip, "install", *options, built_wheel(digest)], check=True, cwd=CACHE
        )
        subprocess.run([*pip, "check"], check=True, cwd=CACHE)
        stamp.write_text(digest)


def built_wheel(digest: str) -> Path:
    """Return the wheel, built once for all environments."""
    with locked("wheel"):
        folder = CACHE / "wheel" / digest
        if not (found := list(folder.glob("*.whl"))):
            shutil.rmtree(CACHE / "wheel", ignore_errors=True)
            folder.mkdir(parents=True)
            found = [build("wheel", ROOT, folder)]
    return found[0]


def digest_of_package() -> str:
    """Return a digest of all that the wheel is built from."""
    files = [
        path
        for path in sorted((ROOT / "password_reset").rglob("*"))
        if path.is_file() and "__pycache__" not in path.parts
    ]
    content = sha256()
    for path in [*files, ROOT / "pyproject.toml", ROOT / "README.md"]:
        content.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes())
    return content.hexdigest()[:16]


def started_project(python: Path) -> Path:
    """Return what `django-admin startproject host` writes."""
    folder = python.parents[1] / "startproject"
    if not folder.exists():
        folder.mkdir()
        output(python, "-m", "django", "startproject", "host", ".", cwd=folder)
    return folder


def output(*command: str | Path, cwd: Path = CACHE) -> str:
    return subprocess.run(
        command, cwd=cwd, check=True, capture_output=True, text=True
    ).stdout


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Let one process of a run at a time do what several want."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.in-use").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
