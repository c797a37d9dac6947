"""What staff see: pages of the admin, and how to get there."""

from datetime import timedelta
from typing import Any
from urllib.parse import urljoin

from django.conf import settings
from django.contrib.auth import get_user_model
from django.test import Client
from django.utils import timezone

from password_reset import services
from password_reset.deliveries import Delivery, PasswordResetDelivery, record
from password_reset.models import (
    PasswordResetNotice,
    PasswordResetRequest,
    PasswordResetToken,
    UserSession,
)
from tests.kit.states import Stage
from tests.tools.factories import UserFactory
from tests.tools.staff import REQUESTS, TOKENS

LONG = "a-rather-long-name.of-somebody-with-more@subdomain.example.com"
IPV6 = "2001:db8:85a3:8d3:1319:8a2e:370:7348"
REFUSED = "SMTPAuthenticationError 535"
BOUNCED = "no_mailbox 5.1.1"


def log_in(stage: Stage) -> Any:
    """Let a superuser into the window, and return who that is."""
    boss = get_user_model().objects.filter(is_superuser=True).first()
    boss = boss or UserFactory.create(
        email="support@example.com", first_name="Sam", is_staff=True, is_superuser=True
    )
    client = Client()
    client.force_login(boss)
    value = client.cookies[settings.SESSION_COOKIE_NAME].value
    cookie = {"name": settings.SESSION_COOKIE_NAME, "value": value}
    cookie["url"] = urljoin(stage.window.page.url, "/")
    stage.window.context.add_cookies([cookie])
    return boss


def asked(stage: Stage, *reports: tuple[Delivery, str]) -> None:
    """Let the account's owner ask once for each report on the email that comes."""
    for number, (state, reason) in enumerate(reports):
        stage.window.ask(stage.user.email)
        sent = PasswordResetDelivery.objects.latest("pk")
        record(sent.message_id, sent.email, state, timezone.now(), reason)
        age = timedelta(hours=len(reports) - number)
        newest = PasswordResetRequest.objects.filter(pk=sent.row_id)
        newest.update(created_at=timezone.now() - age)


def explained(stage: Stage) -> None:
    """Two emails that came back, and one that a worker has not sent."""
    asked(stage, (Delivery.BOUNCED, BOUNCED), (Delivery.BOUNCED, BOUNCED))
    log_in(stage)
    stage.goto(f"{REQUESTS}why/?q={stage.user.email}")


def explained_given_up(stage: Stage) -> None:
    """What was given up can be tried again, and a link be voided."""
    asked(stage, (Delivery.DELIVERED, ""))
    _row(stage.user.email, 3, attempts=12, failed_at=timezone.now(), last_error=REFUSED)
    log_in(stage)
    stage.goto(f"{REQUESTS}why/?q={stage.user.email}")


def waiting_list(stage: Stage) -> None:
    """The list of requests, with the line that no worker sends."""
    asked(stage, (Delivery.DELIVERED, ""))
    now = timezone.now()
    _row("nobody@example.com", 50, processed_at=now)
    _row("grace@example.com", 30, failed_at=now, attempts=12, last_error=REFUSED)
    _row("alan@example.com", 20, attempts=3, last_error="TimeoutError", in_minutes=9)
    for name in ("edsger", "barbara", "a-rather-long-name.of-somebody"):
        _row(f"{name}@example.com", 8)
    log_in(stage)
    stage.goto(REQUESTS)


def crowded(stage: Stage) -> None:
    """A row with long values in each list."""
    asked(stage, (Delivery.DELIVERED, ""))
    user = UserFactory.create(email=LONG)
    user.set_unusable_password()
    user.save()
    trouble = {"failed_at": timezone.now(), "attempts": 12, "last_error": REFUSED}
    _row(LONG, 30, **trouble)
    PasswordResetNotice.objects.create(
        user=user, email=LONG, ip_address=IPV6, **trouble
    )
    UserSession.objects.create(user=user, session_key="x" * 40)
    services.send_invitation(user)
    services.force_reset([stage.user.pk])
    log_in(stage)


def token(stage: Stage) -> None:
    """A link and what became of its email."""
    asked(stage, (Delivery.SOFT_BOUNCED, "mailbox_full 5.2.2"))
    log_in(stage)
    stage.goto(f"{TOKENS}{PasswordResetToken.objects.latest('pk').pk}/change/")


def user_page(stage: Stage) -> None:
    """The buttons on a user's own page."""
    stage.goto("/forgot-password")
    log_in(stage)
    stage.goto(f"/admin/project/user/{stage.user.pk}/change/")


def _row(email: str, minutes: int, in_minutes: int = 0, **values: Any) -> None:
    now = timezone.now()
    later = now + timedelta(minutes=in_minutes) if in_minutes else None
    PasswordResetRequest.objects.create(
        email=email,
        created_at=now - timedelta(minutes=minutes),
        next_attempt_at=later,
        ip_address="203.0.113.7",
        **values,
    )
