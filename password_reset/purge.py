"""Keep the tables small: delete dead rows in batches, beside live traffic and beside
another purge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import OperationalError, connections, router, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from . import metrics
from .campaigns import (
    ForcedPasswordReset,
    PasswordResetCampaign,
    PasswordResetInvitation,
)
from .codes import HANDLE_LIFETIME
from .conf import conf
from .models import (
    PasswordResetCode,
    PasswordResetDelivery,
    PasswordResetNotice,
    PasswordResetRequest,
    PasswordResetToken,
    UserSession,
)

#: Rows per transaction: a few milliseconds of a PostgreSQL, which a visitor may have to
#: wait for.
BATCH_SIZE = 2000
#: A batch waits 100 ms for a row that somebody holds, and not at all for the disk.
LEAVE_ROOM = "SET LOCAL lock_timeout = 100; SET LOCAL synchronous_commit = off"

Progress = Callable[[str, int], object]


@dataclass(frozen=True)
class PurgeResult:
    """Numbers of rows that a purge deleted or, in a dry run, would delete."""

    tokens: int = 0
    requests: int = 0
    notices: int = 0
    sessions: int = 0
    codes: int = 0
    invitations: int = 0
    forced_resets: int = 0
    campaigns: int = 0
    deliveries: int = 0


def purge(
    *,
    dry_run: bool = False,
    batch_size: int = BATCH_SIZE,
    progress: Progress = lambda table, count: None,
) -> PurgeResult:
    """Delete tokens, settled requests and notices, and session rows that are past their
    retention.

    ``progress`` is called with a table's name and a batch's size after each batch.
    While the flow is switched off nothing is deleted.
    """
    if not conf.enabled:
        return PurgeResult()
    counts = {
        name: sum(
            rows.count() if dry_run else _sweep(rows, order, batch_size, progress)
            for rows, order in sets
        )
        for name, sets in _dead_rows().items()
    }
    if not dry_run:
        metrics.last_purge_timestamp_seconds.set(timezone.now().timestamp())
    return PurgeResult(**counts)


def _dead_rows() -> dict[str, list[tuple[QuerySet[Any], str]]]:
    """Return disjoint sets of dead rows, each with the indexed column that it is walked
    along.
    """
    tokens_before = timezone.now() - conf.token_retention
    requests_before = timezone.now() - conf.request_retention
    unmailed_before = timezone.now() - conf.unmailed_retention
    if conf.codes:  # a row that is gone has no tries: known and unknown stay alike
        kept = timezone.now() - HANDLE_LIFETIME
        requests_before = min(requests_before, kept)
        unmailed_before = min(unmailed_before, kept)
    expired = PasswordResetToken.objects.filter(expires_at__lte=tokens_before)
    used = PasswordResetToken.objects.filter(
        used_at__lte=tokens_before, expires_at__gt=tokens_before
    )
    codes = PasswordResetCode.objects.filter(expires_at__lte=timezone.now())
    return {
        "tokens": [(expired, "expires_at"), (used, "used_at")],
        # Before the requests, whose deletion would look for them one by one.
        "codes": [(codes, "expires_at")],
        "requests": [
            (
                PasswordResetRequest.objects.settled().filter(
                    created_at__lte=requests_before
                ),
                "created_at",
            ),
            (
                PasswordResetRequest.objects.unmailed().filter(
                    created_at__lte=unmailed_before, created_at__gt=requests_before
                ),
                "created_at",
            ),
        ],
        "notices": [
            (
                PasswordResetNotice.objects.settled().filter(
                    created_at__lte=requests_before
                ),
                "created_at",
            )
        ],
        **_dead_campaigns(),
        "deliveries": [
            (
                PasswordResetDelivery.objects.filter(sent_at__lte=requests_before),
                "sent_at",
            )
        ],
        "sessions": [(UserSession.objects.outlived(), "created_at")],
    }


def _dead_campaigns() -> dict[str, list[tuple[QuerySet[Any], str]]]:
    """Return the rows of what the site has sent: an invitation is kept for as long
    after its link has expired as a request is.
    """
    before = timezone.now() - conf.request_retention
    asked_before = before - conf.invitation_lifetime
    invitations = PasswordResetInvitation.objects.settled().filter(
        asked_at__lte=asked_before
    )
    resets = ForcedPasswordReset.objects.settled().filter(created_at__lte=before)
    waits = Q(processed_at__isnull=True, failed_at__isnull=True)
    own = Q(campaign=OuterRef("pk"))
    # Not by a join: of its other side no row could be locked.
    campaigns = PasswordResetCampaign.objects.filter(
        ~Exists(
            PasswordResetInvitation.objects.filter(
                own, waits | Q(asked_at__gt=asked_before)
            )
        ),
        ~Exists(
            ForcedPasswordReset.objects.filter(own, waits | Q(created_at__gt=before))
        ),
        created_at__lte=before,
    )
    return {
        "invitations": [(invitations, "asked_at")],
        "forced_resets": [(resets, "created_at")],
        "campaigns": [(campaigns, "created_at")],
    }


def _sweep(rows: QuerySet[Any], order: str, batch_size: int, progress: Progress) -> int:
    total = 0
    for count in _batches(rows, order, batch_size):
        total += count
        progress(rows.model._meta.db_table, count)
    return total


def _batches(rows: QuerySet[Any], order: str, batch_size: int) -> Iterator[int]:
    """Delete rows batch by batch, along an index, and yield each batch's size.

    A batch begins where the one before ended, so that no scan wades through the entries
    of rows just deleted.
    """
    rest = rows = rows.using(router.db_for_write(rows.model))
    while True:
        end = (
            rest.order_by(order)
            .values_list(order, flat=True)[batch_size - 1 : batch_size]
            .first()
        )
        if end is None:
            yield _delete_batch(rest)
            return
        yield _delete_batch(rest.filter(**{f"{order}__lte": end}))
        rest = rows.filter(**{f"{order}__gt": end})


def _delete_batch(batch: QuerySet[Any]) -> int:
    """Delete a batch in one go or, where somebody holds a row of it, what nobody holds.

    The purge is never the one that others lose to: it gives up long before PostgreSQL
    looks for a deadlock (1 s). Nor does it wait for the disk: a crash brings back rows
    that are dead, and visitors commit without a purge's commits before theirs.
    """
    connection = connections[batch.db]
    if connection.vendor != "postgresql" or connection.in_atomic_block:
        return _delete_unlocked(batch)
    try:
        with transaction.atomic(using=batch.db), connection.cursor() as cursor:
            cursor.execute(LEAVE_ROOM)
            return _delete(batch)
    except OperationalError:
        return _delete_unlocked(batch)


def _delete_unlocked(batch: QuerySet[Any]) -> int:
    """Delete what nobody else has locked. To lock each row first takes three times as
    long.
    """
    with transaction.atomic(using=batch.db):
        free = batch.select_for_update(skip_locked=True).values("pk")
        # The condition of the inner query again: without it the planner may read the
        # whole table for each batch.
        return _delete(batch.filter(pk__in=free))


def _delete(rows: QuerySet[Any]) -> int:
    # With nothing but keys to remember, where a table that refers to this one has
    # Django read the rows first.
    return rows.only("pk").delete()[1].get(rows.model._meta.label, 0)
