"""The outbox: rows that a worker turns into emails, whatever their kind.

The row is the source of truth, the task queue only a wake-up signal. A crash, a lost
task or a dead mail server only delays, since a claim is a lease that runs out.
"""

from __future__ import annotations

import random
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any, Self, TypeVar
from uuid import UUID, uuid4

from django.db import connections, models, router, transaction
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

#: How long a worker owns the rows that it claimed. A crash makes them due again.
LEASE = timedelta(minutes=5)
MAX_ATTEMPTS = 12
FIRST_PAUSE = timedelta(seconds=15)
#: 15 s doubling up to two hours: twelve attempts span about six hours.
LONGEST_PAUSE = timedelta(hours=2)
#: The code of a row that others' requests for its address keep from mailing anybody.
HELD = "mailbox_limit"
#: PostgreSQL's operator class by which an index answers "begins with" in every
#: collation; equality too.
PREFIX = "varchar_pattern_ops"


def backoff(attempts: int) -> timedelta:
    """Return how long to wait after so many attempts, with jitter to spread rows."""
    doubled = FIRST_PAUSE * (1 << min(attempts - 1, 16))
    return min(doubled, LONGEST_PAUSE) * random.uniform(0.8, 1.2)  # noqa: S311 (no secret)


class PrimaryManager(models.Manager[Any]):
    """Read where the flow writes: on a replica that lags, a row that was claimed or a
    link that was sent a moment ago is not there yet.
    """

    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().using(router.db_for_write(self.model))


Row = TypeVar("Row", bound="OutboxRow")


class OutboxQuerySet(models.QuerySet[Row]):
    """Named sets of rows that a worker settles."""

    def pending(self) -> Self:
        """Rows that are neither sent nor given up."""
        return self.filter(processed_at__isnull=True, failed_at__isnull=True)

    def due(self) -> Self:
        """Rows that a worker may claim now."""
        now = timezone.now()
        by_now = Q(next_attempt_at__isnull=True) | Q(next_attempt_at__lte=now)
        return self.pending().filter(by_now, attempts__lt=MAX_ATTEMPTS)

    def exhausted(self) -> Self:
        """Rows whose last attempt ended in a crash: nobody is left to give them up."""
        return self.pending().filter(
            attempts__gte=MAX_ATTEMPTS, next_attempt_at__lte=timezone.now()
        )

    def settled(self) -> Self:
        """Rows that are sent or given up."""
        return self.filter(Q(processed_at__isnull=False) | Q(failed_at__isnull=False))

    def unmailed(self) -> Self:
        """Rows that are settled because there was nobody to mail."""
        return self.filter(processed_at__isnull=False, mails_sent=0)

    def retriable(self) -> Self:
        """Rows that may be requeued: given up, or waiting and certainly not claimed by
        a worker.
        """
        now = timezone.now()
        leased = Q(attempts__gt=0, next_attempt_at__range=(now, now + LEASE))
        return self.filter(processed_at__isnull=True).exclude(
            Q(failed_at__isnull=True) & leased
        )

    def requeue(self) -> int:
        """Make rows due at once, with their full number of attempts; return how many.

        They lose their claim, so that a worker which still holds one cannot settle it.
        """
        return self.retriable().update(
            attempts=0, next_attempt_at=None, failed_at=None, claim_id=None
        )

    def claim(self, limit: int) -> list[Row]:
        """Take due rows of this set for the length of a lease, at most ``limit``.

        Two workers never have the same row. Half of the rows are the newest: as long as
        rows are worked off faster than they arrive, nobody waits behind a backlog, and
        the other half makes sure that no row waits for ever.
        """
        mark, lease = uuid4(), timezone.now() + LEASE
        # SQLite cannot upgrade a read lock, and has no rows to skip.
        with self._transaction():
            keys = self._candidates(limit)
            taken = self.due().filter(pk__in=keys) if keys else self.none()
            changed = taken.update(
                attempts=F("attempts") + 1, next_attempt_at=lease, claim_id=mark
            )
            return list(self.filter(pk__in=keys, claim_id=mark)) if changed else []

    def settle(self, mark: UUID | None, error: str = "") -> int:
        """Record that there is nothing to send for claimed rows, in one statement."""
        return (
            self.pending()
            .filter(claim_id=mark)
            .update(processed_at=timezone.now(), last_error=error)
        )

    def release(self, mark: UUID | None) -> int:
        """Give claimed rows back untried, due at once and with their attempt."""
        return (
            self.pending()
            .filter(claim_id=mark)
            .update(attempts=F("attempts") - 1, next_attempt_at=None, claim_id=None)
        )

    def _candidates(self, limit: int) -> list[int]:
        due = self.due().order_by()
        again, fresh = (
            due.filter(next_attempt_at__isnull=False).order_by("next_attempt_at", "pk"),
            due.filter(next_attempt_at__isnull=True),
        )
        share, half = max(limit // 4, 1), limit // 2
        # The index of due rows gives both orders; that of the primary key would lead
        # through all rows that are settled.
        newest, oldest = ("-next_attempt_at", "-pk"), ("next_attempt_at", "pk")
        late = keys = self._found(again[:share])
        keys = {
            **keys,
            **self._found(fresh.order_by(*newest)[: min(half, limit - len(keys))]),
        }
        if len(keys) == len(late) + half:
            keys |= self._found(fresh.order_by(*oldest)[: limit - len(keys)])
        if len(late) == share:  # after an outage there is nothing else
            keys |= self._found(again[share:][: limit - len(keys)])
        return list(keys)

    def _found(self, rows: Self) -> dict[int, None]:
        """Lock some rows, no more than are taken; return their keys.

        Another worker passes over what is locked here.
        """
        return dict.fromkeys(self._unlocked(rows).values_list("pk", flat=True))

    def _unlocked(self, rows: Self) -> Self:
        """Lock the rows and pass over those that another worker has locked."""
        return rows.select_for_update(skip_locked=True) if self.can_skip() else rows

    def _transaction(self) -> AbstractContextManager[Any]:
        return transaction.atomic(using=self.db) if self.can_skip() else nullcontext()

    def can_skip(self) -> bool:
        """Return whether several workers claim at once without waiting."""
        return connections[self.db].features.has_select_for_update_skip_locked


class OutboxRow(models.Model):
    """An email to send, its attempts and its outcome."""

    ip_address = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    user_agent = models.CharField(_("user agent"), max_length=512, blank=True)
    language = models.CharField(_("language"), max_length=35, blank=True)
    #: Key of the brand that the email speaks for; empty for the default one.
    brand = models.CharField(
        _("brand"), max_length=32, blank=True, default="", db_default=""
    )
    created_at = models.DateTimeField(
        _("created at"), default=timezone.now, editable=False
    )
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt at"), null=True, blank=True)
    processed_at = models.DateTimeField(_("processed at"), null=True, blank=True)
    failed_at = models.DateTimeField(_("given up at"), null=True, blank=True)
    mails_sent = models.PositiveSmallIntegerField(_("mails sent"), default=0)
    #: A code, never an address or a secret.
    last_error = models.CharField(_("last error"), max_length=64, blank=True)
    #: When its reader said: it was not me.
    disowned_at = models.DateTimeField(
        _("disowned at"), null=True, blank=True, editable=False
    )
    #: Whose lease it is: a worker whose lease ran out cannot settle its successor's.
    claim_id = models.UUIDField(null=True, editable=False)

    class Meta:
        abstract = True

    @property
    def is_last_attempt(self) -> bool:
        """Whether nobody will try again after this attempt."""
        return self.attempts >= MAX_ATTEMPTS

    @property
    def is_held(self) -> bool:
        """Whether this row is to mail nobody, for its address has had its emails."""
        return self.last_error == HELD

    def keep_lease(self) -> bool:
        """Keep the row for as long as an email may take; ``False`` when another worker
        has it.
        """
        until = self.next_attempt_at
        safe = until is not None and until - timezone.now() > LEASE / 2
        return safe or self.renew_lease()

    def renew_lease(self) -> bool:
        """Keep the row for another lease; ``False`` when another worker has it."""
        return self._update(next_attempt_at=timezone.now() + LEASE)

    def mark_processed(self, error: str = "", *, mails_sent: int = 0) -> bool:
        """Record that all that could be sent is sent; ``False`` when another worker has
        the row.
        """
        return self._update(
            processed_at=timezone.now(), last_error=error, mails_sent=mails_sent
        )

    def retry_later(self, error: str, *, mails_sent: int = 0) -> bool:
        """Try again after a pause; ``False`` when another worker has the row."""
        pause = backoff(self.attempts)
        return self._update(
            next_attempt_at=timezone.now() + pause,
            last_error=error,
            mails_sent=mails_sent,
            claim_id=None,
        )

    def mark_failed(self, error: str, *, mails_sent: int | None = None) -> bool:
        """Record that no worker will try again; the admin can. ``False``
        when another was first.
        """
        counted = {} if mails_sent is None else {"mails_sent": mails_sent}
        return self._update(failed_at=timezone.now(), last_error=error, **counted)

    def _update(self, **values: object) -> bool:
        """Write unless the row is settled, requeued or claimed by another worker."""
        mine = type(self)._default_manager.filter(
            pk=self.pk,
            claim_id=self.claim_id,
            processed_at__isnull=True,
            failed_at__isnull=True,
        )
        if mine.update(**values) != 1:
            return False
        for name, value in values.items():
            setattr(self, name, value)
        return True
