"""Build a release as the image is built: the `build` stage of the Dockerfile, line by
line, in a folder.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests import ROOT

DOCKERFILE = ROOT / "deploy" / "Dockerfile"


def instructions(stage: str) -> Iterator[tuple[str, str]]:
    """Yield the instructions of one stage, continued lines joined."""
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    lines = [
        line.strip()
        for line in text.splitlines()
        if line.strip() and line.strip()[0] != "#"
    ]
    current = ""
    for line in lines:
        name, rest = line.split(maxsplit=1)
        if name == "FROM":
            current = rest.split(" AS ")[1]
        elif current == stage:
            yield name, rest


def build(folder: Path) -> None:
    """Do what `docker build --target build` does to its work folder."""
    folder.mkdir(parents=True)
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    }
    for name, rest in instructions("build"):
        if name == "ENV":
            environment |= dict(pair.split("=") for pair in rest.split())
        elif name == "COPY":
            *sources, target = rest.split()
            for source in sources:
                copy(ROOT / source, folder / target)
        elif name == "RUN":
            script = re.sub(r"^(--mount=\S+\s+)+", "", rest)
            subprocess.run(
                ["sh", "-ec", script], cwd=folder, env=environment, check=True
            )


def copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(
            source, target, ignore=shutil.ignore_patterns("__pycache__", "*.sqlite3*")
        )
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target / source.name if target.is_dir() else target)
