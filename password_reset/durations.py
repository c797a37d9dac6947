"""How long, in words that people use."""

from __future__ import annotations

import math
from datetime import timedelta

from django.utils.translation import ngettext

MINUTE, HOUR, DAY = 60, 3600, 86400


def in_words(duration: timedelta | float) -> str:
    """Return a duration, or a number of seconds, in the largest unit that says it
    exactly.
    """
    seconds = math.ceil(
        duration.total_seconds() if isinstance(duration, timedelta) else duration
    )
    if seconds >= 2 * DAY and seconds % DAY == 0:
        return ngettext("%(count)d day", "%(count)d days", seconds // DAY) % {
            "count": seconds // DAY
        }
    if seconds >= HOUR and seconds % HOUR == 0:
        return ngettext("%(count)d hour", "%(count)d hours", seconds // HOUR) % {
            "count": seconds // HOUR
        }
    if seconds >= MINUTE and seconds % MINUTE == 0:
        return ngettext("%(count)d minute", "%(count)d minutes", seconds // MINUTE) % {
            "count": seconds // MINUTE
        }
    return ngettext("%(count)d second", "%(count)d seconds", seconds) % {
        "count": seconds
    }


def rounded_up(seconds: float) -> int:
    """Return a wait in seconds as people count one: never too short, in tens of
    seconds, minutes, hours or days.
    """
    unit = next(
        (
            unit
            for limit, unit in ((MINUTE, 10), (2 * HOUR, MINUTE), (2 * DAY, HOUR))
            if seconds <= limit
        ),
        DAY,
    )
    return max(math.ceil(seconds / unit), 1) * unit
