"""Let a page's links work on the site as they do in the repository.

In the repository a link is a path: ``../deploy/DEPLOYMENT.md#redis``. On the site some
files outside this folder are pages too, and the others are shown where the code is
hosted. A path that leads nowhere stays as it is, and Sphinx warns of it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
REPOSITORY = "https://github.com/django-resetkit/django-resetkit/blob/main/"
#: The pages that include a file from outside this folder.
INCLUDED = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
    "SECURITY.md": "reporting.md",
    "deploy/DEPLOYMENT.md": "deployment.md",
}
FENCE = re.compile(r"^( *)(`{3,})[^\n]*\n.*?^\1\2 *$", re.MULTILINE | re.DOTALL)
TARGET = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)#\s]+)(?=[)#])")
#: A block of commands that says what it needs, which only the source would show.
NEEDS = re.compile(r"^( *)```sh (needs: .*)$", re.MULTILINE)


def rewritten(text: str, folder: Path) -> str:
    """Return Markdown of a folder with its links as a page of the site needs them."""
    code = [match.span() for match in FENCE.finditer(text)]

    def target(match: re.Match[str]) -> str:
        if any(start <= match.start() < end for start, end in code):
            return match[0]
        path = Path(os.path.normpath(folder / match[1]))
        if not path.exists() or not path.is_relative_to(ROOT):
            return match[0]
        name = path.relative_to(ROOT).as_posix()
        if name in INCLUDED:
            return f"/{INCLUDED[name]}"
        if path.is_relative_to(DOCS) and path.is_file():
            return f"/{path.relative_to(DOCS).as_posix()}"
        return f"{REPOSITORY}{name}"

    return NEEDS.sub(
        r"\1```{code-block} sh\n\1:caption: \2\n", TARGET.sub(target, text)
    )


def page(app: Any, docname: str, content: list[str]) -> None:
    """Rewrite a page of this folder, or of one in it."""
    content[0] = rewritten(content[0], (DOCS / docname).parent)


def included(app: Any, path: Path, docname: str, content: list[str]) -> None:
    """Rewrite a file that a page includes."""
    content[0] = rewritten(content[0], (DOCS / path).resolve().parent)


def setup(app: Any) -> dict[str, bool]:
    app.connect("source-read", page)
    app.connect("include-read", included)
    return {"parallel_read_safe": True}
