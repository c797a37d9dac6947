"""Each module that is run by hand, and by no other test, can at least be imported."""

import re
import subprocess
import sys

import pytest

from tests import ROOT

#: What `steps` and `stage` import is a stranger's site, in which they run.
ELSEWHERE = ("tests/hosts/stage", "tests/upgrades/site")
RUN_BY_HAND = sorted(
    str(path.relative_to(ROOT))
    for folder in ("tests", "benchmarks", "docs/extension")
    for path in (ROOT / folder).rglob("*.py")
    if 'if __name__ == "__main__":' in path.read_text()
    and not str(path.relative_to(ROOT)).startswith(ELSEWHERE)
)
#: The Makefile starts these with a Python that has no packages.
BARE = re.findall(
    r"\$\(PYTHON\) -m ((?:tests|docs)\S+)", (ROOT / "Makefile").read_text()
)


def module(path: str) -> str:
    return path.removesuffix(".py").replace("/", ".")


def imports(name: str, *options: str) -> subprocess.CompletedProcess[str]:
    code = f"import importlib; importlib.import_module({name!r})"
    command = [sys.executable, *options, "-c", code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("path", RUN_BY_HAND)
def test_a_command_of_this_tree_is_importable(path):
    name = module(path)
    done = imports(name, *(["-S"] if name in BARE else []))
    assert done.returncode == 0, done.stderr


def test_the_commands_of_a_bare_python_are_among_them():
    assert set(BARE) <= {module(path) for path in RUN_BY_HAND}
    assert BARE
