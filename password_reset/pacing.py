"""How fast the emails of a campaign leave: a slot for each, given out by the database,
so that all workers together keep one pace.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.utils import timezone

from .campaigns import PasswordResetCampaign
from .outbox import OutboxQuerySet

#: Seconds between two looks at other work while a slot is waited for, and at least
#: where it has come and nothing could be claimed.
NAP, DOZE = 0.2, 0.05


def claim(
    campaign: PasswordResetCampaign, rows: OutboxQuerySet[Any], room: int
) -> list[Any]:
    """Claim rows of a campaign whose next slot has come."""
    rows = rows.filter(campaign=campaign)
    if rows.due().exists():
        slots = campaign.take_slots(room)
        return rows.claim(slots) if slots else []
    campaign.finish()
    return []


def wait_for_slot(seconds: float, stopped: Callable[[], bool]) -> bool:
    """Wait for the next slot of a running campaign, at most for a moment; return
    whether there is one within so many seconds.
    """
    slots = [
        campaign.next_slot_at
        for campaign in PasswordResetCampaign.objects.running()
        if campaign.rate and campaign.rows.due().exists()
    ]
    if not slots or stopped():
        return False
    wait = (min(slots) - timezone.now()).total_seconds()
    time.sleep(max(DOZE, min(wait, NAP)))
    return wait <= seconds
