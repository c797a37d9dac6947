"""The wheel and the source archive, for those who look into them and those who install
them.
"""

import subprocess
import sys
from pathlib import Path


def build(kind: str, source: Path, folder: Path) -> Path:
    """Build one of the two archives into an empty folder and return its path."""
    command = [sys.executable, "-m", "build", f"--{kind}", "--no-isolation"]
    result = subprocess.run(
        [*command, "--outdir", folder], cwd=source, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    [archive] = folder.iterdir()
    return archive
