"""What the pages and mails say with: durations in words, readable colours, isolated left-to-right text."""

from __future__ import annotations

import math
from datetime import timedelta

from django import template
from django.utils.translation import get_language_bidi, ngettext

from password_reset.conf import conf

register = template.Library()

MINUTE, HOUR, DAY = 60, 3600, 86400
FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"


@register.simple_tag
def app_name() -> str:
    """Return the name of the site."""
    return conf.app_name


@register.filter
def in_words(duration: timedelta | float) -> str:
    """Return a duration, or a number of seconds, in the largest unit that says it exactly."""
    seconds = math.ceil(duration.total_seconds() if isinstance(duration, timedelta) else duration)
    if seconds >= 2 * DAY and seconds % DAY == 0:
        return ngettext("%(count)d day", "%(count)d days", seconds // DAY) % {"count": seconds // DAY}
    if seconds >= HOUR and seconds % HOUR == 0:
        return ngettext("%(count)d hour", "%(count)d hours", seconds // HOUR) % {"count": seconds // HOUR}
    if seconds >= MINUTE and seconds % MINUTE == 0:
        return ngettext("%(count)d minute", "%(count)d minutes", seconds // MINUTE) % {"count": seconds // MINUTE}
    return ngettext("%(count)d second", "%(count)d seconds", seconds) % {"count": seconds}


@register.filter
def rounded_up(seconds: float) -> int:
    """Return a wait in seconds as people count one: never too short, in tens of seconds, minutes, hours or days."""
    unit = next((unit for limit, unit in ((MINUTE, 10), (2 * HOUR, MINUTE), (2 * DAY, HOUR)) if seconds <= limit), DAY)
    return max(math.ceil(seconds / unit), 1) * unit


@register.filter
def readable_on(colour: str) -> str:
    """Return black or white, whichever contrasts more with ``#rrggbb`` (WCAG 2 relative luminance)."""
    channels = [int(colour.lstrip("#")[start : start + 2], 16) / 255 for start in (0, 2, 4)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in channels]
    luminance = sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
    return "#000000" if luminance > 0.179 else "#ffffff"


@register.filter
def isolated(text: str) -> str:
    """Return a text that cannot disturb a right-to-left sentence around it, such as an address or a browser's name."""
    return f"{FIRST_STRONG_ISOLATE}{text}{POP_ISOLATE}" if text and get_language_bidi() else text
