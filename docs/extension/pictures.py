"""Draw the pictures of ``docs/pictures`` as SVG: ``python -m docs.extension.pictures``.

Each is a TOML file that says who is in it and what goes between them. The SVG lies in
``docs/images``, so that the pages show it in the repository too; on the site it stands
in the page itself, where it has the colours of the reader's choice. Its text
alternative is the ``description`` of its file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent.parent
SOURCES = DOCS / "pictures"
IMAGES = DOCS / "images"
#: Light and dark: background, ink, quiet ink, box, line, the secret and its ground.
LIGHT = ("#ffffff", "#16211f", "#4c5856", "#eef3f2", "#6b7876", "#a3230f", "#fbe4df")
DARK = ("#131a19", "#e8efed", "#b3c0bd", "#1f2a28", "#8fa09c", "#ff9c87", "#4a1f17")
NAMES = ("ground", "ink", "quiet", "box", "line", "secret", "glow")
RULES = """
.picture { background: var(--ground); font: 14px system-ui, sans-serif; }
.picture text { fill: var(--ink); text-anchor: middle; }
.picture .title { font-weight: 600; font-size: 15px; }
.picture .quiet { fill: var(--quiet); font-size: 13px; }
.picture .label { paint-order: stroke; stroke: var(--ground); stroke-width: 6px; stroke-linejoin: round; font-size: 13px; }
.picture .box { fill: var(--box); stroke: var(--line); }
.picture .life { stroke: var(--line); stroke-dasharray: 2 5; }
.picture .arrow { fill: none; stroke: var(--line); stroke-width: 1.6; }
.picture .head { fill: var(--line); }
.picture .number { fill: var(--quiet); font-size: 12px; text-anchor: end; }
.picture .bar { fill: var(--glow); stroke: var(--secret); stroke-width: 1.5; }
.picture .secret.box { fill: var(--glow); stroke: var(--secret); }
.picture .secret.arrow { stroke: var(--secret); stroke-width: 2.4; }
.picture .secret.head, .picture text.secret { fill: var(--secret); }
.picture .start { text-anchor: start; }
"""


def _colours(values: tuple[str, ...]) -> str:
    pairs = zip(NAMES, values, strict=True)
    return "".join(f"--{name}: {value}; " for name, value in pairs)


#: The reader's choice on the site comes before the device's: a rule for it is stronger.
STYLE = f"""
.picture {{ {_colours(LIGHT)}}}
@media (prefers-color-scheme: dark) {{ .picture {{ {_colours(DARK)}}} }}
body[data-theme="light"] .picture {{ {_colours(LIGHT)}}}
body[data-theme="dark"] .picture {{ {_colours(DARK)}}}
{RULES.strip()}
"""


def drawn(name: str) -> str:
    """Return the SVG of a picture."""
    source = tomllib.loads((SOURCES / f"{name}.toml").read_text())
    width, height, parts = (_sequence if "actors" in source else _boxes)(source)
    lines = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="picture" role="img" '
        f'viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'aria-labelledby="{name}-title" aria-describedby="{name}-text">\n'
        f'<title id="{name}-title">{escape(source["title"])}</title>\n'
        f'<desc id="{name}-text">{escape(source["description"].strip())}</desc>\n'
        f"<style>{STYLE}</style>\n{lines}\n</svg>\n"
    )


# Who says what to whom, one line after the other


def _sequence(source: dict[str, Any]) -> tuple[int, int, list[str]]:
    step, across, top = 44, 172, 70
    actors, steps = source["actors"], source["steps"]
    places = {name: 100 + across * index for index, name in enumerate(actors)}
    width, height = 180 + across * (len(actors) - 1), top + step * (len(steps) + 1)
    bottom = height - 20
    parts = []
    for name, x in places.items():
        parts += [_line("life", x, 50, x, bottom), _box("", x - 66, 14, 132, 40)]
        parts.append(_text("title", x, 39, name))
    for name, first, last in source.get("secret", ()):
        y, end = top + step * first - 30, top + step * last + 12
        parts.append(_box("bar", places[name] - 7, y, 14, end - y, radius=7))
    for number, line in enumerate(steps, 1):
        y = top + step * number
        way, _, words = line.partition(": ")
        sender, _, receiver = way.partition(" > ")
        tone = "secret" if words.startswith("!") else ""
        words = words.removeprefix("!")
        parts.append(_text("number", 24, y - 5, f"{number}"))
        parts += _said(places, sender, receiver, words, y, tone)
    if "legend" in source:
        parts.append(_box("bar", 34, height - 12, 14, 26, radius=7))
        parts.append(_text("start secret", 58, height + 6, source["legend"]))
        height += 30
    return width, height, parts


def _said(
    places: dict[str, int], sender: str, receiver: str, words: str, y: int, tone: str
) -> Iterator[str]:
    start = places[sender]
    if not receiver:  # one does something alone
        yield f'<circle class="head {tone}" cx="{start}" cy="{y - 9}" r="4"/>'
        yield _text(f"label start {tone}", start + 14, y - 4, words)
        return
    end = places[receiver]
    side = 1 if end > start else -1
    yield _line(f"arrow {tone}", start + 8 * side, y, end - 17 * side, y)
    yield _head(tone, end - 8 * side, y, side, 0)
    yield _text(f"label {tone}", (start + end) // 2, y - 8, words)


# What stands where, and what goes between


def _boxes(source: dict[str, Any]) -> tuple[int, int, list[str]]:
    wide, high = source.get("box", (190, 76))
    between, below = source.get("gap", (90, 64))
    places, parts, shapes = {}, [], []
    for box in source["boxes"]:
        column, row = box["at"]
        left, top = 20 + column * (wide + between), 20 + row * (high + below)
        places[box["name"]] = (left, top)
        lines = box.get("text", [])
        middle = top + high // 2 - 9 * len(lines) + 5
        shapes.append(_box(box.get("tone", ""), left, top, wide, high))
        shapes.append(_text("title", left + wide // 2, middle, box["title"]))
        shapes += [
            _text("quiet", left + wide // 2, middle + 19 * number, line)
            for number, line in enumerate(lines, 1)
        ]
    for arrow in source["arrows"]:
        ends = [places[arrow[end]] for end in ("from", "to")]
        parts += _arrow(ends[0], ends[1], (wide, high), arrow)
    width = max(left for left, _ in places.values()) + wide + 20
    height = max(top for _, top in places.values()) + high + 20
    return width, height, [*shapes, *parts]


def _arrow(
    start: tuple[int, int],
    end: tuple[int, int],
    size: tuple[int, int],
    arrow: dict[str, Any],
) -> Iterator[str]:
    """Draw one along a row, along a column, or along the column and then the row."""
    (wide, high), tone = size, arrow.get("tone", "")
    shift = arrow.get("shift", 0)
    x1, y1 = start[0] + wide // 2, start[1] + high // 2
    x2, y2 = end[0] + wide // 2, end[1] + high // 2
    right, down = (x2 > x1) - (x2 < x1), (y2 > y1) - (y2 < y1)
    if not right:
        x1, x2 = x1 + shift, x2 + shift
        y1, y2 = y1 + down * high // 2, y2 - down * (high // 2 + 2)
        path = f"M{x1} {y1}V{y2 - down * 8}"
        label = (x1, (y1 + y2) // 2 + 2)
        head = (x2, y2, 0, down)
    elif not down:
        y1, y2 = y1 + shift, y2 + shift
        x1, x2 = x1 + right * wide // 2, x2 - right * (wide // 2 + 2)
        path = f"M{x1} {y1}H{x2 - right * 8}"
        label = ((x1 + x2) // 2, y1 - 7)
        head = (x2, y2, right, 0)
    else:
        x1, y1 = x1 + shift, y1 + down * high // 2
        x2 -= right * (wide // 2 + 2)
        path = f"M{x1} {y1}V{y2}H{x2 - right * 8}"
        label = ((x1 + x2) // 2, y2 - 7)
        head = (x2, y2, right, 0)
    yield f'<path class="arrow {tone}" d="{path}"/>'
    yield _head(tone, *head)
    yield _text(f"label {tone}", *label, arrow["label"])


def _line(kind: str, x1: int, y1: int, x2: int, y2: int) -> str:
    return f'<line class="{kind.strip()}" x1="{x1}" y1="{y1}" x2="{x2}" y2="{y2}"/>'


def _box(tone: str, x: int, y: int, width: int, height: int, radius: int = 9) -> str:
    kind = tone if tone == "bar" else f"{tone} box".strip()
    return (
        f'<rect class="{kind}" x="{x}" y="{y}" width="{width}" height="{height}" '
        f'rx="{radius}"/>'
    )


def _text(kind: str, x: int, y: int, words: str) -> str:
    return f'<text class="{kind.strip()}" x="{x}" y="{y}">{escape(words)}</text>'


def _head(tone: str, x: int, y: int, right: int, down: int) -> str:
    """Draw the head of an arrow, whose point is there."""
    back, side = (-right * 10, -down * 10), (down * 5, right * 5)
    corners = [
        (x, y),
        (x + back[0] + side[0], y + back[1] + side[1]),
        (x + back[0] - side[0], y + back[1] - side[1]),
    ]
    points = " ".join(f"{one},{other}" for one, other in corners)
    return f'<polygon class="{f"head {tone}".strip()}" points="{points}"/>'


def names() -> list[str]:
    return sorted(path.stem for path in SOURCES.glob("*.toml"))


# On the site


def stand_in_the_page(app: Any, doctree: Any, docname: str) -> None:
    """Replace an image that was drawn here by the SVG itself."""
    from docutils import nodes  # noqa: PLC0415 - the pictures are drawn without Sphinx

    drawings = {f"images/{name}.svg": name for name in names()}
    for image in list(doctree.findall(nodes.image)):
        if name := drawings.get(image["uri"]):
            svg = (
                '<div class="picture-frame" tabindex="0" role="group" '
                f'aria-labelledby="{name}-title">{drawn(name)}</div>'
            )
            paragraph = image.parent
            paragraph.replace_self(nodes.raw("", svg, format="html"))


def setup(app: Any) -> dict[str, bool]:
    app.connect("doctree-resolved", stand_in_the_page)
    return {"parallel_read_safe": True}


if __name__ == "__main__":
    for name in names():
        (IMAGES / f"{name}.svg").write_text(drawn(name))
        print(f"docs/images/{name}.svg")
