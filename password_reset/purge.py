"""Keep the tables small: delete dead rows in batches, beside live traffic and beside another purge."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.db import router, transaction
from django.db.models import QuerySet
from django.utils import timezone

from . import metrics
from .conf import conf
from .models import PasswordResetNotice, PasswordResetRequest, PasswordResetToken, UserSession

BATCH_SIZE = 1000

Progress = Callable[[str, int], object]


@dataclass(frozen=True)
class PurgeResult:
    """Numbers of rows that a purge deleted or, in a dry run, would delete."""

    tokens: int = 0
    requests: int = 0
    notices: int = 0
    sessions: int = 0


def purge(
    *, dry_run: bool = False, batch_size: int = BATCH_SIZE, progress: Progress = lambda table, count: None
) -> PurgeResult:
    """Delete tokens, settled requests and notices, and session rows that are past their retention.

    ``progress`` is called with a table's name and a batch's size after each batch. While the flow is
    switched off nothing is deleted.
    """
    if not conf.enabled:
        return PurgeResult()
    counts = {
        name: sum(rows.count() if dry_run else _delete(rows, order, batch_size, progress) for rows, order in sets)
        for name, sets in _dead_rows().items()
    }
    if not dry_run:
        metrics.last_purge_timestamp_seconds.set(timezone.now().timestamp())
    return PurgeResult(**counts)


def _dead_rows() -> dict[str, list[tuple[QuerySet[Any], str]]]:
    """Return disjoint sets of dead rows, each with the indexed column that it is walked along."""
    tokens_before = timezone.now() - conf.token_retention
    requests_before = timezone.now() - conf.request_retention
    expired = PasswordResetToken.objects.filter(expires_at__lte=tokens_before)
    used = PasswordResetToken.objects.filter(used_at__lte=tokens_before, expires_at__gt=tokens_before)
    return {
        "tokens": [(expired, "expires_at"), (used, "used_at")],
        "requests": [(PasswordResetRequest.objects.settled().filter(created_at__lte=requests_before), "created_at")],
        "notices": [(PasswordResetNotice.objects.settled().filter(created_at__lte=requests_before), "created_at")],
        "sessions": [(UserSession.objects.outlived(), "created_at")],
    }


def _delete(rows: QuerySet[Any], order: str, batch_size: int, progress: Progress) -> int:
    total = 0
    for count in _batches(rows, order, batch_size):
        total += count
        progress(rows.model._meta.db_table, count)
    return total


def _batches(rows: QuerySet[Any], order: str, batch_size: int) -> Iterator[int]:
    """Delete rows batch by batch and yield each batch's size.

    A batch starts where the one before ended, so that an index scan does not wade through the entries of
    rows just deleted. Rows that another purge has locked are its own.
    """
    database = router.db_for_write(rows.model)
    reached: Any = None
    while True:
        batch = rows.using(database) if reached is None else rows.using(database).filter(**{f"{order}__gte": reached})
        with transaction.atomic(using=database):
            locked = batch.order_by(order).select_for_update(skip_locked=True)
            keys = list(locked.values_list("pk", order)[:batch_size])
            if not keys:
                return
            count = batch.model._base_manager.using(database).filter(pk__in=[pk for pk, _ in keys]).delete()[1]
        reached = keys[-1][1]
        yield count.get(rows.model._meta.label, 0)
