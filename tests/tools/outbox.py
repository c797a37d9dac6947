"""What several tests ask of the outbox and of the mail server."""

from collections import Counter
from typing import Any

from django.utils import timezone

from password_reset.models import PasswordResetRequest
from tests.tools.smtp import SmtpServer


def let_leases_end(model: Any = PasswordResetRequest) -> None:
    """Let the leases and pauses of all requests be over, as time would; or those of
    another kind of row.
    """
    model.objects.filter(next_attempt_at__isnull=False).update(
        next_attempt_at=timezone.now()
    )


def mails(smtp: SmtpServer) -> Counter[str]:
    """Return how many mails the server has taken, by recipient."""
    return Counter(
        address for delivery in smtp.deliveries for address in delivery.recipients
    )
