"""Networks ask for a victim's address as often as they may, for a week.

Each asks every ten minutes and comes back when a refusal says so. In between a victim
asks at random moments from a network that has not been seen; what they ask is undone,
so that each moment counts alone.
"""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import time_machine
from django.core import mail
from django.test import Client
from django.utils import timezone

from password_reset.models import PasswordResetRequest
from tests.tools.factories import OLD_PASSWORD, UserFactory
from tests.tools.staff import superuser

from . import Promise
from .world import ask, counters_in_memory, most_within, network, without_a_trace

STEP = timedelta(minutes=10)
#: A link that came so long ago still works for as long again.
FRESH = timedelta(minutes=30)
#: Networks of the victim's, beyond those of any attacker.
VICTIMS = 1_000_000


@dataclass
class Siege:
    """What some networks do to a victim, and what is left to them."""

    networks: int
    days: int
    email: str
    mails: list[datetime] = field(default_factory=list)
    served: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)

    def share(self, who: str) -> float:
        """Return the share of moments at which somebody is served."""
        return self.served[who] / self.asked[who]

    @property
    def per_day(self) -> int:
        """Return the most emails of a day, by the calendar."""
        return max(Counter(moment.date() for moment in self.mails).values(), default=0)

    def probe(self, who: str, row_of: object) -> None:
        """Ask as somebody, see whether an email would leave, and undo it."""
        self.asked[who] += 1
        with without_a_trace():
            before = PasswordResetRequest.objects.count()
            row_of()
            row = PasswordResetRequest.objects.latest("pk")
            leaves = PasswordResetRequest.objects.count() > before and not row.is_held
        recent = self.mails and timezone.now() - self.mails[-1] <= FRESH
        self.served[who] += bool(leaves or (recent and who == "stranger"))


def besiege(networks: int, days: int) -> Siege:
    """Simulate so many days."""
    siege = Siege(networks, days, f"victim{networks}@example.com")
    victim = UserFactory(email=siege.email)
    chance = random.Random(networks)
    start = datetime(2026, 11, 23, tzinfo=UTC)
    with counters_in_memory(), time_machine.travel(start, tick=False) as clock:
        known, staff = Client(), superuser()
        known.post("/login", {"username": siege.email, "password": OLD_PASSWORD})
        mail.outbox.clear()
        closed_until = [start] * networks
        for step in range(int(timedelta(days=days) / STEP)):
            now = start + step * STEP
            clock.move_to(now)
            for number in range(networks):
                if closed_until[number] <= now:
                    closed_until[number] = _attack(siege, number)
            if step % 3:
                continue
            clock.move_to(now + chance.random() * STEP)
            stranger = network(VICTIMS + chance.randrange(VICTIMS))
            siege.probe("stranger", lambda who=stranger: ask(siege.email, who))
            if step % 18 == 0:
                siege.probe("device", lambda who=stranger: ask(siege.email, who, known))
                page = f"/admin/password_reset/passwordresetrequest/send/{victim.pk}/"
                siege.probe("staff", lambda page=page: staff.post(page))
    return siege


def _attack(siege: Siege, number: int) -> datetime:
    """Ask from a network; return when it may ask again."""
    before = len(mail.outbox)
    answer = ask(siege.email, network(number))
    siege.mails += [timezone.now()] * (len(mail.outbox) - before)
    return timezone.now() + timedelta(seconds=int(answer.get("Retry-After", 0)))


def promises(siege: Siege) -> list[Promise]:
    """Hold a siege against what is promised of it."""
    name = f"{siege.networks} network{'s' * (siege.networks > 1)}, {siege.days} days"
    stranger, device, staff = map(siege.share, ("stranger", "device", "staff"))
    rolling = most_within(siege.mails, 24)
    numbers = f"at most {siege.per_day} by the calendar, {rolling} in any 24 h"
    alone = siege.networks == 1
    return [
        Promise(
            f"{name}: a victim on a new network is served"
            + (" at 99 % of moments" if alone else ""),
            f"{stranger:.1%}",
            not alone or stranger >= 0.99,
        ),
        Promise(
            f"{name}: emails a day" + (", at most 15" if alone else ""),
            numbers,
            not alone or max(siege.per_day, rolling) <= 15,
        ),
        Promise(
            f"{name}: a browser known here is served", f"{device:.0%}", device == 1
        ),
        Promise(f"{name}: staff can send a link", f"{staff:.0%}", staff == 1),
    ]


def run(networks: tuple[int, ...] = (1, 5, 20), days: int = 7) -> list[Promise]:
    return [promise for count in networks for promise in promises(besiege(count, days))]
