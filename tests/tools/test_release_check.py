"""What a step of the release check hands on to the next make."""

import os
import subprocess

from tests import ROOT
from tests.release_check import made


def test_the_parts_that_are_chosen_are_no_options_of_a_step():
    inherited = os.environ | {"MAKEFLAGS": r" -- ARGS=--only\ server"}
    command = [*made("test-server"), "--dry-run"]
    done = subprocess.run(
        command, cwd=ROOT, env=inherited, capture_output=True, text=True
    )
    assert "pytest -m server" in done.stdout
    assert "--only" not in done.stdout
