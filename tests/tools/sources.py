"""The sources as an operator has them."""

import shutil
import subprocess
from pathlib import Path

from tests import ROOT


def copy_sources(target: Path) -> None:
    """Copy what git knows, as a clone would have it."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if not (ROOT / name).is_file():
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target / name)
