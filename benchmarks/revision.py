"""The tree of another revision, to be measured beside this one."""

import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

from benchmarks.processes import ROOT


def unpack(revision: str, folder: Path) -> Path:
    """Write the files of a revision into a folder, which is made; return the folder."""
    command = ["git", "archive", "--format=tar", revision]
    archive = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder
