"""The floors of the house hold, and a step upwards is reported in words that help."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT


@pytest.fixture
def house(tmp_path: Path) -> Path:
    """A copy of the package and its contract in which a test may plant what is
    forbidden.
    """
    ignored = shutil.ignore_patterns("__pycache__", "locale", "static", "templates")
    shutil.copytree(
        ROOT / "password_reset", tmp_path / "password_reset", ignore=ignored
    )
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def plant(house: Path, module: str, line: str) -> None:
    path = house / "password_reset" / f"{module}.py"
    path.write_text(f"{line}\n{path.read_text()}")


def lint_imports(house: Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=house, capture_output=True, text=True)


def test_imports_look_down(house: Path) -> None:
    result = lint_imports(house)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "above"),
    [("tokens", "views"), ("models", "services"), ("services", "flows")],
)
def test_an_import_upwards_is_named(house: Path, module: str, above: str) -> None:
    plant(house, module, f"import password_reset.{above}")
    result = lint_imports(house)
    assert result.returncode == 1
    assert (
        f"password_reset.{module} is not allowed to import password_reset.{above}"
        in " ".join(result.stdout.split())
    )


def test_a_module_without_a_floor_is_named(house: Path) -> None:
    (house / "password_reset" / "helpers.py").touch()
    result = lint_imports(house)
    assert result.returncode == 1
    assert "password_reset.helpers" in result.stdout


def test_http_below_the_views_is_named(house: Path) -> None:
    plant(house, "services", "from django.http import HttpRequest")
    command = [
        Path(sys.executable).with_name("ruff"),
        "check",
        "--no-cache",
        "--select",
        "TID251",
        ".",
    ]
    result = subprocess.run(command, cwd=house, capture_output=True, text=True)
    assert result.returncode == 1
    assert "Only views, api, visitors and the admin know HTTP" in result.stdout
