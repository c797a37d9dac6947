"""Programs of Debian's packages, found or named as missing."""

import os
import shutil

import pytest

from tests import ROOT

# Where a program lies that is not on everybody's PATH.
ELSEWHERE = ["/usr/sbin", str(ROOT / ".cache" / "prometheus" / "usr" / "bin")]


def missing(package: str) -> None:
    """Skip the test and name the package; under CI that is an error, for there it must
    be installed.
    """
    if os.environ.get("CI"):
        pytest.fail(f"Debian's package {package} is missing")
    pytest.skip(f"needs Debian's package {package}")


def find_program(name: str, package: str) -> str:
    path = os.pathsep.join([*os.get_exec_path(), *ELSEWHERE])
    found = os.environ.get(name.upper()) or shutil.which(name, path=path)
    if found is None:
        missing(package)
    return str(found)
