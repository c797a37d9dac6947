"""Real people ask behind a heap of requests for nobody (`benchmarks.backlog` has a million)."""

from time import monotonic

from django.core import mail

from password_reset import services
from password_reset.models import PasswordResetRequest
from tests.tools.factories import UserFactory

from . import Promise

PEOPLE = 15
SECONDS = 5


def run(junk: int = 50_000) -> list[Promise]:
    PasswordResetRequest.objects.bulk_create(
        [PasswordResetRequest(email=f"heap{n}@example.com") for n in range(junk)],
        batch_size=5000,
    )
    emails = {f"person{number}@example.com" for number in range(PEOPLE)}
    for email in emails:
        UserFactory(email=email)
        PasswordResetRequest.objects.create(email=email)
    mail.outbox.clear()

    def mailed() -> set[str]:
        return {message.to[0] for message in mail.outbox} & emails

    started = monotonic()
    services.process_due(
        None, stopped=lambda: mailed() == emails or monotonic() - started > SECONDS
    )
    took = monotonic() - started
    PasswordResetRequest.objects.filter(email__startswith="heap").delete()
    return [
        Promise(
            f"{PEOPLE} people behind {junk:,} requests have their emails within "
            f"{SECONDS} s",
            f"{len(mailed())} in {took:.1f} s",
            mailed() == emails and took <= SECONDS,
        )
    ]
