"""The code blocks that README.md tells a newcomer to paste."""

import re
from collections import defaultdict

from tests import ROOT

SECTION = re.compile(r"^## Use it\n(.*?)^###", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```python\n(# (\w+\.py)\n.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> dict[str, str]:
    """Return the text of all blocks for each file, unchanged and in their order."""
    [section] = SECTION.findall((ROOT / "README.md").read_text())
    found = defaultdict(str)
    for text, name in BLOCK.findall(section):
        found[name] += f"\n{text}"
    assert set(found) == {"settings.py", "urls.py"}, found
    return found


def pasted(name: str, text: str) -> str:
    """Return a file of `startproject` with README's lines below it."""
    return f"{text}\n{blocks()[name]}"
