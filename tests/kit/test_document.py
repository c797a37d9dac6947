"""Every command of DEPLOYMENT.md runs as it stands, or says what it needs."""

import re
from typing import NamedTuple

import pytest

from tests.kit.pieces import DEPLOY
from tests.kit.stack import METRICS_TOKEN, Stack

GUIDE = DEPLOY / "DEPLOYMENT.md"
FENCE = re.compile(r"^( *)```sh(.*?)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    needs: str
    script: str


def blocks() -> list[Block]:
    found = FENCE.findall(GUIDE.read_text())
    return [
        Block(needs.strip(), re.sub(f"(?m)^{indent}", "", text))
        for indent, needs, text in found
    ]


RUNNABLE = [block.script for block in blocks() if not block.needs]


def test_every_block_of_commands_is_seen() -> None:
    assert GUIDE.read_text().count("```sh") == len(blocks())
    assert len(RUNNABLE) > 25


def test_what_is_not_run_says_what_it_needs() -> None:
    needs = [block.needs for block in blocks() if block.needs]
    assert [words for words in needs if not re.fullmatch(r"needs: \S.+", words)] == []


@pytest.mark.parametrize(
    "script", RUNNABLE, ids=lambda script: script.partition("\n")[0][:60]
)
def test_it_runs_as_it_stands(stack: Stack, script: str) -> None:
    stack.forget_limits()
    result = stack.shell(script, **stack.operator())
    assert result.returncode == 0, result.stdout + result.stderr
    assert METRICS_TOKEN not in result.stdout + result.stderr
