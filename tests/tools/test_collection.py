"""An editor finds the tests: collecting them needs no server and no environment."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT

ONE_TEST = "test_collection.py::test_tests_are_collected_without_servers"


@pytest.mark.parametrize(
    ("folder", "arguments"),
    [
        (".", []),
        ("tests", ["tools/test_collection.py"]),
        (".", ["-m", "kit"]),
        ("tests", ["-n", "2", "tools/test_collection.py"]),
        (
            "tests",
            [
                "-p",
                "no:tests.tools.servers",
                "-p",
                "no:randomly",
                "tools/test_collection.py",
            ],
        ),
    ],
    ids=["root", "subfolder", "kit", "xdist", "without-plugins"],
)
def test_tests_are_collected_without_servers(
    folder: str, arguments: list[str], tmp_path: Path
) -> None:
    found = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", *arguments],
        cwd=ROOT / folder,
        env={"PATH": os.environ["PATH"], "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stdout[-2000:] + found.stderr[-2000:]
    assert ("tests/kit/" if "kit" in arguments else ONE_TEST) in found.stdout
    assert "ran against" not in found.stdout
