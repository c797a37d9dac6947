"""Colours of a brand: which words can be read on them, and what dark pages make of
them (WCAG 2, relative luminance and contrast).
"""

from __future__ import annotations

from collections.abc import Iterable
from colorsys import hls_to_rgb, rgb_to_hls

WHITE, BLACK = "#ffffff", "#000000"
#: The card of the pages, in light and in dark (``password_reset.css``).
LIGHT_SURFACE, DARK_SURFACE = "#ffffff", "#141d1c"
#: WCAG 2, 1.4.3: words in their usual size.
ENOUGH = 4.5
#: From one shade to the next, on the way to one that is readable.
STEP = 0.02
#: How much of a colour is left on the wall of a dark page.
DIMMED = 0.6


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours ``#rrggbb``, from 1 to 21."""
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def readable_on(colour: str) -> str:
    """Return black or white, whichever contrasts more with ``#rrggbb``."""
    return max((WHITE, BLACK), key=lambda words: contrast(words, colour))


def readable_shade(colour: str, surface: str) -> str:
    """Return the nearest shade of a colour whose words can be read on a surface: darker
    on a light one, lighter on a dark one, of the same hue.
    """
    hue, lightness, saturation = rgb_to_hls(*(part / 255 for part in _channels(colour)))
    step = STEP if readable_on(surface) == WHITE else -STEP
    shade = colour
    while contrast(shade, surface) < ENOUGH:
        lightness = min(max(lightness + step, 0.0), 1.0)
        shade = _hex(part * 255 for part in hls_to_rgb(hue, lightness, saturation))
    return shade


def mixed(colour: str, other: str, part: float) -> str:
    """Return a colour with so large a part of another one, from 0 to 1."""
    pairs = zip(_channels(colour), _channels(other), strict=True)
    return _hex(a + (b - a) * part for a, b in pairs)


def style_sheet(colour: str, dark: str | None) -> str:
    """Return the variables of the pages in the colours of a brand; ``dark`` is the one
    of dark pages, made from the other where there is none.
    """
    dark = dark or readable_shade(colour, DARK_SURFACE)
    light_rules = _rules(colour, colour)
    dark_rules = _rules(dark, mixed(colour, BLACK, 1 - DIMMED))
    return (
        f":root {{\n{light_rules}}}\n"
        f"@media (prefers-color-scheme: dark) {{\n:root {{\n{dark_rules}}}\n}}\n"
    )


def _rules(brand: str, wall: str) -> str:
    values = {
        "--pr-brand": brand,
        "--pr-on-brand": readable_on(brand),
        "--pr-wall": wall,
        "--pr-on-wall": readable_on(wall),
    }
    return "".join(f"  {name}: {value};\n" for name, value in values.items())


def _hex(channels: Iterable[float]) -> str:
    return "#" + "".join(f"{round(channel):02x}" for channel in channels)


def _channels(colour: str) -> tuple[int, int, int]:
    digits = colour.lstrip("#")
    return int(digits[:2], 16), int(digits[2:4], 16), int(digits[4:], 16)


def _luminance(colour: str) -> float:
    red, green, blue = map(_linear, _channels(colour))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(channel: int) -> float:
    part = channel / 255
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)
