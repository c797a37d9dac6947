"""Invite users to choose a first password: one by one, or thousands in a campaign."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.db import models, router, transaction
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from . import metrics, people, worker
from .campaigns import AFRESH, PasswordResetCampaign, PasswordResetInvitation
from .conf import conf
from .models import PasswordResetToken
from .purposes import Purpose
from .signals import user_invited
from .users import MUST_RESET, must_reset, stored_email

__all__ = [
    "InvitationRefused",
    "accept",
    "invite_all",
    "invited",
    "refusal",
    "send_invitation",
    "void_invitation",
    "without_password",
]

logger = logging.getLogger("password_reset")

#: Users whom one statement invites.
CHUNK = 500


class InvitationRefused(Exception):
    """A user cannot be invited; ``reason`` is ``inactive``, ``no_address``,
    ``has_password``, ``must_reset`` (a password of their own has ended: a reset link
    works), ``has_logged_in`` or ``waiting`` (the email is on its way).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def refusal(user: AbstractBaseUser) -> str:
    """Return why a user cannot be invited, as a code; an empty text where they can.

    Who has logged in without a password came in another way, such as single sign-on. A
    second way in is made for them only where the site offers one to everybody
    (``ACCOUNTS_WITHOUT_PASSWORD = "invite"``).
    """
    if not user.is_active:
        return "inactive"
    if not stored_email(user):
        return "no_address"
    if user.has_usable_password():
        return "has_password"
    if must_reset(user):
        return "must_reset"
    has_logged_in = getattr(user, "last_login", None) is not None
    return "has_logged_in" if has_logged_in and not _may_all_set_one() else ""


def send_invitation(
    user: AbstractBaseUser | Any, *, invited_by: str = "", brand: str = ""
) -> PasswordResetInvitation:
    """Invite a user, given as such or by key, to choose a first password; once more
    where the email before went astray, expired or was voided. The email speaks for the
    brand of this key, or the default one.

    Raises ``InvitationRefused``. Links that were sent before work until they expire.
    """
    if not isinstance(user, AbstractBaseUser):
        user = people.all_users().get(pk=user)
    if reason := refusal(user):
        raise InvitationRefused(reason)
    if not _write([user], None, invited_by, brand, again=True):
        raise InvitationRefused("waiting")
    row: PasswordResetInvitation = PasswordResetInvitation.objects.get(user=user)
    _after_commit(partial(worker.wake, worker.deliver_invitation, row.pk))
    return row


def void_invitation(user: AbstractBaseUser | Any) -> bool:
    """Void a user's invitation, links and all; return whether one was open."""
    pk = user.pk if isinstance(user, AbstractBaseUser) else user
    now = timezone.now()
    open_rows = PasswordResetInvitation.objects.open().filter(user_id=pk)
    voided = open_rows.update(
        voided_at=now, processed_at=Coalesce("processed_at", _moment(now))
    )
    # After the row: a worker that reads it later sends nothing, and the link of one
    # that read it before is dead as soon as it is opened.
    links = PasswordResetToken.objects.filter(user_id=pk, purpose=Purpose.INVITATION)
    links.void(now)
    if voided:
        metrics.invitations_total.labels(status="voided").inc()
        logger.info("Password invitation voided", extra={"userId": str(pk)})
    return bool(voided)


def accept(pk: Any, at: datetime) -> None:
    """Record that a user has chosen a password with their invitation."""
    rows = PasswordResetInvitation.objects.open().filter(user_id=pk)
    settled = Coalesce("processed_at", _moment(at))
    if rows.update(accepted_at=at, processed_at=settled):
        metrics.invitations_total.labels(status="accepted").inc()


def without_password() -> QuerySet[Any]:
    """Return the users who can be invited: as ``refusal`` says, by their columns."""
    model = get_user_model()
    # Not those whom the host's own manager hides, such as deleted ones.
    users = model._default_manager.order_by("pk").filter(
        is_active=True, password__startswith=UNUSABLE_PASSWORD_PREFIX
    )
    users = users.exclude(password__startswith=MUST_RESET)
    users = users.exclude(Q(**{model.get_email_field_name(): ""}))
    if not _may_all_set_one() and getattr(model, "last_login", None) is not None:
        users = users.filter(last_login__isnull=True)
    return users


def invited(keys: Sequence[Any]) -> set[Any]:
    """Return who of some users has been invited."""
    rows = PasswordResetInvitation.objects.filter(user__in=keys)
    return set(rows.values_list("user_id", flat=True))


def invite_all(
    keys: Sequence[Any],
    campaign: PasswordResetCampaign,
    *,
    brand: str = "",
    again: bool = False,
    progress: Callable[[int], object] = lambda done: None,
) -> tuple[int, dict[str, int]]:
    """Invite many users in a campaign; return how many, and how many were refused for
    which reason (``invited``: before, and not ``again``).

    Killed and started again it goes on where it was: nobody is invited twice.
    """
    invited, refused = 0, dict[str, int]()
    for done, chunk in enumerate(people.chunks(keys, CHUNK)):
        users = list(people.all_users().filter(pk__in=chunk))
        fit = [user for user in users if not _count(refused, refusal(user))]
        written = _write(fit, campaign, campaign.started_by, brand, again=again)
        _count(refused, "invited", len(fit) - written)
        invited += written
        progress(min((done + 1) * CHUNK, len(keys)))
    campaign.complete()
    return invited, refused


def _write(
    users: list[Any],
    campaign: PasswordResetCampaign | None,
    invited_by: str,
    brand: str,
    *,
    again: bool,
) -> int:
    """Write the rows of users who have none and, ``again``, make those due that are
    settled; return how many. The unique user decides between two that do so at once.
    """
    now = timezone.now()
    with transaction.atomic(using=router.db_for_write(PasswordResetInvitation)):
        rows = PasswordResetInvitation.objects.filter(user__in=users)
        renewed = _renew(rows, campaign, invited_by, brand, now) if again else 0
        known = set(rows.values_list("user_id", flat=True))
        fresh = [
            PasswordResetInvitation(
                user=user,
                email=stored_email(user),
                language="",
                brand=brand,
                campaign=campaign,
                invited_by=invited_by[:150],
                asked_at=now,
            )
            for user in users
            if user.pk not in known
        ]
        PasswordResetInvitation.objects.bulk_create(fresh, ignore_conflicts=True)
        mine = PasswordResetInvitation.objects.filter(
            user__in=[row.user_id for row in fresh], asked_at=now
        )
        written = list(mine.select_related("user")) if fresh else []
    _announce(written, renewed)
    return len(written) + renewed


def _renew(
    rows: Any,
    campaign: PasswordResetCampaign | None,
    invited_by: str,
    brand: str,
    now: datetime,
) -> int:
    settled = rows.settled()
    if campaign is not None:  # nobody twice by a command that is started again
        settled = settled.exclude(campaign=campaign)
    renewed: int = settled.update(
        **AFRESH,
        brand=brand,
        campaign=campaign,
        invited_by=invited_by[:150],
        asked_at=now,
        accepted_at=None,
        voided_at=None,
    )
    return renewed


def _announce(written: list[PasswordResetInvitation], renewed: int) -> None:
    metrics.invitations_total.labels(status="asked").inc(len(written) + renewed)
    for row in written:
        user_invited.send_robust(sender=PasswordResetInvitation, row=row)
        logger.info(
            "Password invitation asked",
            extra={"userId": str(row.user_id), "invitation": row.pk},
        )


def _may_all_set_one() -> bool:
    return conf.accounts_without_password == "invite"  # noqa: S105 - no password


def _count(refused: dict[str, int], reason: str, number: int = 1) -> bool:
    if reason and number:
        refused[reason] = refused.get(reason, 0) + number
    return bool(reason)


def _moment(at: datetime) -> models.Value:
    return models.Value(at, output_field=models.DateTimeField())


def _after_commit(callback: Callable[[], object]) -> None:
    # A function of its own: of a callback that failed Django logs the __qualname__.
    database = router.db_for_write(PasswordResetInvitation)
    transaction.on_commit(lambda: callback(), using=database, robust=True)  # noqa: PLW0108
