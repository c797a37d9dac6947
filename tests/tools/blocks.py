"""The code blocks of README and docs, and what their pages say of them.

A block without a mark is run by `tests/flow/test_code_blocks.py`. A comment before a
block names the test that runs it, or says why none does:

    <!-- tested: tests/flow/test_api.py::test_the_lines_of_the_document… -->
    <!-- fragment: the figures are those of a large site -->
"""

import re
from pathlib import Path
from typing import NamedTuple

from tests import ROOT

FENCE = re.compile(
    r"^(?: *<!-- (?P<mark>tested|fragment): (?P<words>[^\n]+) -->\n)?"
    r"(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)
#: Its blocks are typed, in their order, by tests/hosts/test_tutorial.py.
TUTORIAL = "tutorial.md"


class Block(NamedTuple):
    page: str
    line: int
    language: str
    text: str
    mark: str
    words: str

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"


def pages() -> list[Path]:
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def first_lines(text: str) -> list[str]:
    """Return what stands behind the fence that opens each block."""
    return re.findall(r"^ *```(.*)$", text, re.MULTILINE)[::2]


def blocks() -> list[Block]:
    """Return all blocks of code, the tutorial's and directives of the site left out."""
    return [
        Block(
            page.name,
            text.count("\n", 0, found.start("language")) + 1,
            found["language"],
            re.sub(f"(?m)^{found['indent']}", "", found["text"]),
            found["mark"] or "",
            found["words"] or "",
        )
        for page in pages()
        if page.name != TUTORIAL
        for text in [page.read_text()]
        for found in FENCE.finditer(text)
    ]


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return {anchor(line) for line in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
