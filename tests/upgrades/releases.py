"""Earlier releases, unpacked from their wheels.

While none is published these are revisions of the history that changed the schema; their
wheels are built here. ``LAST_RELEASE`` names one more wheel, such as
``pip download --no-deps django-resetkit==…`` gets.
"""

import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile

from tests import ROOT
from tests.tools.archives import build

CACHE = ROOT / ".cache" / "releases"
#: The oldest of today's app label and tables, and the one before the second factor.
REVISIONS = {
    "0001": "f3f284ec9a621bf423a865689653f9ea9296757c",
    "0005": "934d31252e08bf66127979842663013efe4a6cfb",
}


def known() -> list[str]:
    """Return what `unpacked` takes: the revisions, then the wheel of LAST_RELEASE."""
    wheel = os.environ.get("LAST_RELEASE")
    return [*REVISIONS.values(), *([wheel] if wheel else [])]


def in_history(revision: str) -> bool:
    """Return whether this tree is a clone that has the revision."""
    if not shutil.which("git"):
        return False
    command = ["git", "cat-file", "-e", f"{revision}^{{commit}}"]
    return subprocess.run(command, cwd=ROOT, capture_output=True).returncode == 0


def unpacked(release: str) -> Path:
    """Return a folder for PYTHONPATH with the package of a revision or a wheel."""
    folder = CACHE / Path(release).stem
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=CACHE) as scratch:
            wheel = wheel_of(release, Path(scratch))
            ZipFile(wheel).extractall(Path(scratch) / "package")
            try:
                (Path(scratch) / "package").rename(folder)
            except OSError:
                if not folder.exists():  # another process was first
                    raise
    return folder


def wheel_of(release: str, scratch: Path) -> Path:
    """Return the wheel of a release; a revision's is built of what git archives."""
    if release.endswith(".whl"):
        return Path(release)
    archive, source = scratch / "source.zip", scratch / "source"
    command = ["git", "archive", "--format=zip", f"--output={archive}", release]
    subprocess.run(command, cwd=ROOT, check=True)
    ZipFile(archive).extractall(source)
    return build("wheel", source, scratch / "dist")


def newest_migration(package: Path) -> str:
    """Return the name of the last migration that a release knows."""
    found = (package / "password_reset" / "migrations").glob("[0-9]*.py")
    return max(path.stem for path in found)
