"""Mend what axe-core and a phone find in the theme's pages, once they are written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

REPLACEMENTS = {
    '<p class="caption" role="heading">': (
        '<p class="caption" role="heading" aria-level="2">'
    ),
    '<aside class="sidebar-drawer">': (
        '<aside class="sidebar-drawer" aria-label="All pages">'
    ),
    '<aside class="toc-drawer">': '<aside class="toc-drawer" aria-label="On this page">',
    '<div id="search-results">': '<h1>Search</h1><div id="search-results">',
    '<th class="head"><p></p></th>': "<td></td>",
    # What is wider than a phone scrolls, also by the keyboard.
    "<pre>": '<pre tabindex="0">',
    '<div class="table-wrapper': '<div tabindex="0" class="table-wrapper',
}
#: Markdown has no table without a head; one without a word is none.
EMPTY_HEAD = re.compile(
    r'<thead>\s*<tr[^>]*>(?:<th class="head"><p></p></th>\s*)+</tr>\s*</thead>'
)
#: Where a long name in a table may break: after an underscore or a bracket.
NAME = re.compile(r'(?<=<span class="pre">)[^<]*[_(][^<]*(?=</span></code>)')
BREAK = re.compile(r"([_(])(?=\w)")


def mend(app: Any, exception: Exception | None) -> None:
    for path in Path(app.outdir).rglob("*.html"):
        text = path.read_text()
        text = EMPTY_HEAD.sub("", text)
        for found, better in REPLACEMENTS.items():
            text = text.replace(found, better)
        text = NAME.sub(lambda name: BREAK.sub(r"\1<wbr>", name[0]), text)
        path.write_text(text)


def setup(app: Any) -> dict[str, bool]:
    app.connect("build-finished", mend)
    return {"parallel_read_safe": True}
