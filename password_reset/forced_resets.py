"""End the passwords of many people, as after a breach, and have each choose another.

A campaign has a row for each person before the first password ends. Password and row
change in one transaction, so whatever is killed, at any moment, leaves nobody with an
ended password and no email to come, and ends no password twice.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import (
    IntegrityError,
    InterfaceError,
    OperationalError,
    router,
    transaction,
)
from django.db.models import Count, Q
from django.utils import timezone

from . import metrics, people, revokers, users, worker
from .campaigns import ForcedPasswordReset, PasswordResetCampaign
from .models import PasswordResetCode, PasswordResetToken
from .revokers import RevocationFailed
from .signals import reset_forced

__all__ = [
    "Progress",
    "campaign_of",
    "counts",
    "end_passwords",
    "force_reset",
    "recent",
    "selection_of",
]

logger = logging.getLogger("password_reset")

#: What says nothing about one person.
AWAY = (OperationalError, InterfaceError)
#: Rows that one statement writes, and people whose links one statement voids.
CHUNK = 500
BATCH = 100
#: How long the same selection is taken for the same campaign.
REPEATED = timedelta(days=1)


@dataclass(frozen=True)
class Progress:
    """How far a campaign is: people, ended passwords, and what became of the emails."""

    people: int
    ended: int
    mailed: int
    unmailed: int
    waiting: int
    failed: int


def selection_of(keys: Iterable[Any] | str) -> str:
    """Return a digest of who is chosen: keys of users, or a word such as ``all``."""
    text = keys if isinstance(keys, str) else "\n".join(sorted(map(str, keys)))
    return sha256(text.encode()).hexdigest()


def recent(kind: str, selection: str) -> PasswordResetCampaign | None:
    """Return the last campaign for a selection of people, not older than a day unless
    it is unfinished.
    """
    young = Q(created_at__gt=timezone.now() - REPEATED) | Q(completed_at__isnull=True)
    rows = PasswordResetCampaign.objects.filter(kind=kind, selection=selection)
    found: PasswordResetCampaign | None = rows.filter(young).order_by("-pk").first()
    return found


def begun_since(
    moment: datetime, kind: str, selection: str
) -> PasswordResetCampaign | None:
    """Return the campaign that has begun for a selection of people since a moment."""
    rows = PasswordResetCampaign.objects.filter(kind=kind, selection=selection)
    found: PasswordResetCampaign | None = rows.filter(created_at__gt=moment).last()
    return found


def campaign_of(
    kind: str,
    selection: str,
    keys: Sequence[Any] = (),
    *,
    rate: float | None = None,
    started_by: str = "",
    brand: str = "",
) -> PasswordResetCampaign:
    """Return the open campaign for a selection, or a new one with a row for each
    person: all of them or, where it is killed, nothing.
    """
    open_key = f"{kind}:{selection}"
    rows = PasswordResetCampaign.objects
    try:
        with transaction.atomic(using=router.db_for_write(PasswordResetCampaign)):
            campaign: PasswordResetCampaign = rows.create(
                kind=kind,
                selection=selection,
                open_key=open_key,
                rate=rate,
                started_by=started_by[:150],
            )
            _write_people(campaign, keys, brand)
            return campaign
    except IntegrityError:  # somebody else has begun it, or did before they were killed
        found: PasswordResetCampaign = rows.filter(
            kind=kind, selection=selection
        ).latest("pk")
        return found


def end_passwords(
    campaign: PasswordResetCampaign,
    progress: Callable[[int], object] = lambda done: None,
) -> tuple[int, int]:
    """End the passwords, sessions and tokens of a campaign's people that are not ended
    yet; return of how many, and of how many they could not be ended.

    The emails are left to the worker.
    """
    ended, failed = 0, set[int]()
    while batch := _untouched(campaign, failed):
        at, done = timezone.now(), list[Any]()
        for row in batch:
            try:
                if _end_password(row):
                    done.append(row.user_id)
            except RevocationFailed:
                failed.add(row.pk)
            except AWAY:
                raise
            except Exception:  # of the host: nobody else is to keep a stolen password
                logger.exception(
                    "A password could not be ended", extra={"userId": str(row.user_id)}
                )
                failed.add(row.pk)
        _void_links(done, at)
        ended += len(done)
        progress(ended)
    if not failed:
        campaign.complete()
    return ended, len(failed)


def force_reset(
    keys: Sequence[Any],
    *,
    rate: float | None = None,
    started_by: str = "",
    brand: str = "",
) -> PasswordResetCampaign:
    """End the passwords of users, given by key, and wake a worker for the emails. A
    campaign that is not completed has people whom a revoker has failed for.

    Whoever is called twice with the same people while the first is at work goes on with
    that campaign.
    """
    kind, selection = PasswordResetCampaign.Kind.FORCED, selection_of(keys)
    campaign = campaign_of(
        kind, selection, keys, rate=rate, started_by=started_by, brand=brand
    )
    end_passwords(campaign)
    wake(campaign)
    return campaign


def wake(campaign: PasswordResetCampaign) -> None:
    """Wake a worker for the emails of a campaign; where none can be, cron finds
    them.
    """
    kind = worker.FORCED_RESETS
    if campaign.kind == PasswordResetCampaign.Kind.INVITATION:
        kind = worker.INVITATIONS
    keys = list(campaign.rows.due().values_list("pk", flat=True)[:BATCH])
    database = router.db_for_write(PasswordResetCampaign)
    if keys:
        transaction.on_commit(
            lambda: worker.wake_for(kind, keys), using=database, robust=True
        )


def counts(campaign: PasswordResetCampaign) -> Progress:
    """Return how far a campaign is."""
    is_forced = campaign.kind == PasswordResetCampaign.Kind.FORCED
    dealt = Q(forced_at__isnull=False) if is_forced else Q()
    waits = Q(processed_at__isnull=True, failed_at__isnull=True)
    sent = Q(processed_at__isnull=False)
    found = campaign.rows.aggregate(
        people=Count("pk"),
        ended=Count("pk", filter=dealt),
        mailed=Count("pk", filter=sent & Q(mails_sent__gt=0)),
        unmailed=Count("pk", filter=sent & Q(mails_sent=0)),
        waiting=Count("pk", filter=waits),
        failed=Count("pk", filter=Q(failed_at__isnull=False)),
    )
    return Progress(**found)


def _write_people(
    campaign: PasswordResetCampaign, keys: Sequence[Any], brand: str
) -> None:
    for user_ids in people.chunks(keys, CHUNK):
        found = people.all_users().filter(pk__in=user_ids)
        ForcedPasswordReset.objects.bulk_create(
            ForcedPasswordReset(
                campaign=campaign,
                user=user,
                email=users.stored_email(user),
                brand=brand,
            )
            for user in found
        )


def _untouched(
    campaign: PasswordResetCampaign, failed: set[int]
) -> list[ForcedPasswordReset]:
    rows = ForcedPasswordReset.objects.untouched().filter(campaign=campaign)
    return list(rows.exclude(pk__in=failed).order_by("pk")[:BATCH])


def _end_password(row: ForcedPasswordReset) -> bool:
    """End one person's password, sessions and tokens; ``False`` where somebody else
    has. Raises ``RevocationFailed``; then nothing is changed.
    """
    now, revoked = timezone.now(), 0
    rows = ForcedPasswordReset.objects.untouched().filter(pk=row.pk)
    with transaction.atomic(using=router.db_for_write(ForcedPasswordReset)):
        # The write comes first: SQLite cannot upgrade a read lock.
        if rows.update(forced_at=now) != 1:
            return False
        user = users.locked(row.user_id)
        if user is None:
            return False
        users.end_password(user)
        user.save(update_fields=["password"])
        revoked = revokers.revoke_all(user)
    _finish(row, user, revoked + _end_sessions(user))
    return True


def _end_sessions(user: AbstractBaseUser) -> int:
    """Tidy the session store; the sessions themselves ended with the password."""
    try:
        return revokers.end_sessions(user, before=timezone.now())
    except Exception:
        logger.exception("After a forced reset it was not possible to end sessions")
        return 0


def _finish(row: ForcedPasswordReset, user: AbstractBaseUser, ended: int) -> None:
    ForcedPasswordReset.objects.filter(pk=row.pk).update(sessions_deleted=ended)
    metrics.forced_total.inc()
    logger.warning(
        "Password reset forced",
        extra={
            "userId": str(user.pk),
            "campaign": row.campaign_id,
            "sessionsDeleted": ended,
        },
    )
    reset_forced.send_robust(
        sender=ForcedPasswordReset, user=user, row=row, sessions_deleted=ended
    )


def _void_links(user_ids: list[Any], at: Any) -> None:
    """Stamp the links and codes that died with the passwords."""
    # After the commits: inside one, two links deadlock. By their age: whoever has asked
    # for a link since has one that works.
    for model in (PasswordResetCode, PasswordResetToken):
        rows = model.objects.filter(user__in=user_ids, created_at__lte=at)
        rows.usable().void()
