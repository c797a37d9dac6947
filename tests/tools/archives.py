"""The wheel and the source archive, for those who look into them and those who install
them.
"""

import subprocess
import sys
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from zipfile import ZipFile


def build(kind: str, source: Path, folder: Path) -> Path:
    """Build one of the two archives into an empty folder and return its path."""
    command = [sys.executable, "-m", "build", f"--{kind}", "--no-isolation"]
    result = subprocess.run(
        [*command, "--outdir", folder], cwd=source, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    [archive] = folder.iterdir()
    return archive


def metadata_of(wheel: Path) -> Message:
    """Return what an index reads of a wheel; its payload is the page."""
    with ZipFile(wheel) as archive:
        [name] = [
            one for one in archive.namelist() if one.endswith(".dist-info/METADATA")
        ]
        return message_from_bytes(archive.read(name))
