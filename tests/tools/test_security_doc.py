"""docs/security.md keeps its word: its tests exist, its recipes work, its mutants fit."""

import ast
import re
from pathlib import Path

import pytest
import requests

from tests.mutants import ROOT, mutants

DOCUMENT = (ROOT / "docs" / "security.md").read_text()
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py::[\w:]+)`", DOCUMENT)))
RAW = "0123456789abcdef" * 4


def names_in(file: Path) -> set[str]:
    """Return the names of a file's tests, those of classes with the class in front."""
    found = set()
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef):
            found |= {
                f"{node.name}::{each.name}"
                for each in node.body
                if isinstance(each, ast.FunctionDef)
            }
        elif isinstance(node, ast.FunctionDef):
            found.add(node.name)
    return found


def exists(test: str) -> bool:
    file, _, name = test.partition("::")
    return (ROOT / file).exists() and (not name or name in names_in(ROOT / file))


@pytest.mark.parametrize("test", NAMED)
def test_a_named_test_exists(test):
    assert exists(test)


@pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.row)
def test_a_mutant_fits_the_code_and_has_its_row(mutant):
    assert mutant.changes
    assert mutant.misfits(ROOT) == []
    assert exists(mutant.test)
    assert f"[{mutant.row}]" in DOCUMENT


def test_every_row_in_brackets_has_its_mutant():
    rows = "\n".join(line for line in DOCUMENT.splitlines() if line.startswith("|"))
    assert set(re.findall(r"\[([^\]]+)\](?!\()", rows)) == {
        mutant.row for mutant in mutants()
    }


@pytest.fixture
def without_reset_tokens():
    """The function of the document's recipe."""
    block = next(
        block
        for block in re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)
        if "def without" in block
    )
    namespace = {}
    exec(block, namespace)
    return namespace["without_reset_tokens"]


def test_the_recipe_for_error_trackers_cuts_every_text_of_an_event(
    without_reset_tokens,
):
    link = f"https://www.example.com/reset-password?token={RAW}"
    event = {
        "request": {
            "url": link,
            "headers": {"Referer": link},
            "query_string": [("token", RAW)],
        },
        "exception": {
            "values": [
                {
                    "value": link,
                    "stacktrace": {"frames": [{"vars": {"raw": repr(RAW)}}]},
                }
            ]
        },
        "level": "error",
        "timestamp": 1.5,
    }
    sent = without_reset_tokens(event, {})
    assert RAW not in repr(sent)
    assert (sent["level"], sent["timestamp"]) == ("error", 1.5)


def test_the_format_of_the_access_log_has_no_token(processes):
    line = re.search(r"--access-logformat '(.+)' …", DOCUMENT)[1]
    site = processes.gunicorn(
        workers=1, options=("--access-logfile", "-", "--access-logformat", line)
    )
    link = f"{site.url}/reset-password?token={RAW}"
    requests.get(link, headers={"Referer": link}, timeout=30)
    site.stop()
    assert '"GET /reset-password HTTP/1.1" 404' in site.log
    assert RAW not in site.log
