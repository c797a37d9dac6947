"""A mutant reaches the function that it names, and says when that is no longer there."""

import subprocess
import sys

import pytest

from tests.tools.patches import Edit, Patch

MODULE = """
import functools

LIMIT = 3


def allowed(count):
    return count < LIMIT


class Door:
    @property
    def is_open(self):
        return allowed(4)

    @functools.cache
    def knock(self, times, *, loud):
        return allowed(times)
"""
ANYTHING = "def mutant(*args, **kwargs):\n    return True"


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "house.py").write_text(MODULE)
    (tmp_path / "house.conf").write_text("open no;\nopen no;\nlisten 80;\n")
    return tmp_path


def answer(tree, expression):
    """Evaluate an expression on the module, in a process of its own."""
    code = f"import house; print({expression})"
    command = [sys.executable, "-c", code]
    return subprocess.check_output(command, cwd=tree, text=True).strip()


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("house.LIMIT", "mutant = original + 2"),
        ("house.allowed", "def mutant(count):\n    return not original(count)"),
        ("house.Door.is_open", "@property\ndef mutant(self):\n    return LIMIT == 3"),
    ],
)
def test_a_patch_takes_effect_wherever_the_module_is_imported(tree, name, becomes):
    patch = Patch(name, becomes)
    assert answer(tree, "house.Door().is_open") == "False"
    assert patch.misfit(tree) == ""
    patch.apply(tree)
    assert answer(tree, "house.Door().is_open") == "True"


def test_a_patch_of_a_decorated_method_has_the_method_at_hand(tree):
    code = "def mutant(self, times, **how):\n    return original(self, 9, **how)"
    patch = Patch("house.Door.knock", code)
    assert patch.misfit(tree) == ""
    patch.apply(tree)
    assert answer(tree, "house.Door().knock(1, loud=True)") == "False"


@pytest.mark.parametrize(
    ("name", "becomes"),
    [
        ("cellar.allowed", ANYTHING),
        ("house.refused", ANYTHING),
        ("house.Door.allowed", ANYTHING),
        ("house.functools", ANYTHING),
        ("house.allowed", "def mutant(number):\n    return True"),
        ("house.Door.knock", "def mutant(self, times):\n    return True"),
        ("house.allowed", "def mutant(count):\n    return count < BOUND"),
        ("house.allowed", "def other(count):\n    return True"),
        ("house.allowed", "from project.cellar import x\nmutant = x"),
    ],
)
def test_a_patch_of_what_is_not_so_is_a_misfit(tree, name, becomes):
    assert Patch(name, becomes).misfit(tree)


@pytest.mark.parametrize(
    ("file", "old", "misfit"),
    [
        ("house.conf", "listen 80", False),
        ("house.conf", "open no", True),
        ("house.conf", "listen 443", True),
        ("house.py", "count < LIMIT", True),
    ],
)
def test_an_edit_is_of_a_text_that_stands_once_in_a_file_other_than_python(
    tree, file, old, misfit
):
    assert bool(Edit(file, old, "").misfit(tree)) == misfit
