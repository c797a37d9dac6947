"""The pages of docs/how-to show the code of examples/, and the examples what
`startproject` writes and little more.
"""

import re

import pytest

from tests import ROOT

EXAMPLES, PAGES = ROOT / "examples", ROOT / "docs" / "how-to"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/manage.py"))
#: The same in all examples.
COMMON = ["manage.py", "shop/wsgi.py", "shop/startproject.py", "shop/environment.py"]
#: What the guide of a package that an example stands beside asks for.
GUIDE = "shop/getting_started.py"
#: Lines that a screen has.
SCREEN = 72
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
#: A block of code begins with the name of its file, in a comment of its language.
FILE = re.compile(
    r"(?:#|//|<!--|\{#|/\*) ([\w./-]+)(?: -->| #\}| \*/)?\n(.*)", re.DOTALL
)


def page(name: str) -> str:
    return (PAGES / f"{name}.md").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_the_code_of_a_page_is_that_of_the_example(name):
    blocks = [code for kind, code in BLOCK.findall(page(name)) if kind != "console"]
    assert blocks
    for code in blocks:
        file, lines = FILE.fullmatch(code).groups()
        assert f"\n{lines}" in f"\n{(EXAMPLES / name / file).read_text()}", code


@pytest.mark.parametrize("name", NAMES)
def test_a_page_says_how_to_start_the_example_and_what_to_install(name):
    commands = "".join(
        code for kind, code in BLOCK.findall(page(name)) if kind == "console"
    )
    assert f"$ examples/run {name}\n" in commands
    wanted = (EXAMPLES / name / "requirements.txt").read_text()
    for line in commands.splitlines():
        for package in line.removeprefix("$ python -m pip install ").split():
            if "pip install" in line:
                assert package.strip('"') in wanted, line


@pytest.mark.parametrize("name", NAMES)
def test_a_page_and_the_lines_of_an_example_are_a_screen(name):
    assert len(page(name).splitlines()) <= SCREEN
    own = [
        path
        for path in (EXAMPLES / name / "shop").glob("*.py")
        if f"shop/{path.name}" not in [*COMMON, GUIDE]
    ]
    assert sum(len(path.read_text().splitlines()) for path in own) <= SCREEN


@pytest.mark.parametrize("file", COMMON)
def test_what_is_common_is_the_same_everywhere(file):
    first, *others = [(EXAMPLES / name / file).read_bytes() for name in NAMES]
    assert all(other == first for other in others)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_is_listed(name):
    assert f"({name}.md)" in (PAGES / "index.md").read_text()


def test_no_example_has_a_secret():
    """A key of Django's begins so; passwords are made at the start."""
    files = [path for path in EXAMPLES.rglob("*") if path.suffix in {".py", ""}]
    assert not [
        path
        for path in files
        if path.is_file()
        and ".venv" not in path.parts
        and "django-insecure" in path.read_text(errors="replace")
    ]
