"""What follows when the reader of an email says: it was not me.

Whoever presses that button has proved the mailbox and nothing else, so all that it does
is to close: links, sessions, a password. The one thing that opens, a fresh link, leaves
by email. Each row is disowned once, so that somebody who finds the link later can
keep nobody from asking anew.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.core import signing
from django.db import models, router, transaction
from django.utils import timezone

from . import brands, metrics, revokers, tokens, users, worker
from .campaigns import AFRESH
from .models import (
    PasswordResetCode,
    PasswordResetNotice,
    PasswordResetRequest,
    PasswordResetToken,
)
from .outbox import OutboxRow
from .signals import reset_disowned

__all__ = ["DisownError", "Disowned", "disown", "find_row"]

logger = logging.getLogger("password_reset")

#: How long an email may lie in a mailbox before the link stops working: a holiday.
MAX_AGE = timedelta(days=14)
MODELS: dict[str, type[Any]] = {
    "request": PasswordResetRequest,
    "notice": PasswordResetNotice,
}


class DisownError(Exception):
    """A signed number names no row: forged, too old, or of a row that is deleted."""


@dataclass(frozen=True)
class Disowned:
    """What "it was not me" did; ``is_new`` is false where it was said before, and then
    nothing was done.
    """

    row: OutboxRow
    is_new: bool
    links_voided: int = 0
    sessions_deleted: int = 0


def find_row(signed: str, *, brand: str = "") -> OutboxRow:
    """Return the request or notice that a signed number names. Changes nothing.

    Raises ``DisownError``, also for a row of another brand. What is not signed by this
    site reaches no table.
    """
    try:
        kind, pk = tokens.signed_row(signed, MAX_AGE)
    except (signing.BadSignature, ValueError) as error:
        raise DisownError from error
    own = MODELS[kind].objects.filter(brands.belongs_to(brand))
    row: OutboxRow | None = own.filter(pk=pk).first()
    if row is None:
        raise DisownError
    return row


def disown(
    signed: str, *, ip_address: str | None, user_agent: str, brand: str = ""
) -> Disowned:
    """Do what the reader of an email asks for who says: it was not me. Once for each
    email; again, it changes nothing.

    The links of the account stop working. Where its password was changed, sessions, API
    tokens and that password end too, and a fresh link is sent. Raises ``DisownError``,
    or ``RevocationFailed`` when what should end could not be ended; then nothing is
    changed, and the button can be pressed again.
    """
    row = find_row(signed, brand=brand)
    if row.disowned_at is not None:
        return Disowned(row, is_new=False)
    done = (
        _disown_change(row)
        if isinstance(row, PasswordResetNotice)
        else _disown_request(row)
    )
    if done.is_new:
        announce = partial(_announce, done, ip_address, user_agent)
        _after_commit(row, announce)
    return done


def _disown_request(row: Any) -> Disowned:
    with transaction.atomic(using=row._state.db):
        if not _mark(row):
            return Disowned(row, is_new=False)
        mailed = _mailed_by(row)
        # The codes first: one that is becoming a link this moment has become it then.
        PasswordResetCode.objects.filter(
            models.Q(user__in=mailed) | models.Q(request__email=row.email)
        ).void()
        links = PasswordResetToken.objects.filter(pk__in=_open_links(row, mailed))
        return Disowned(row, True, links.void())


def _mailed_by(row: Any) -> list[Any]:
    """Return the users whom a request has mailed a link or a code."""
    return [
        user_id
        for model in (PasswordResetToken, PasswordResetCode)
        for user_id in model.objects.filter(request_id=row.pk).values_list(
            "user_id", flat=True
        )
    ]


def _open_links(row: Any, mailed: list[Any]) -> set[int]:
    """Return the open links of the accounts that a request has mailed, and of other
    requests for the same address: the purge soon takes the request's own.
    """
    links = PasswordResetToken.objects.all()
    sets = (links.filter(user__in=mailed), links.filter(request__email=row.email))
    return {pk for rows in sets for pk in rows.usable().values_list("pk", flat=True)}


def _disown_change(row: PasswordResetNotice) -> Disowned:
    with transaction.atomic(using=router.db_for_write(PasswordResetNotice)):
        # The write comes first: SQLite cannot upgrade a read lock.
        if not _mark(row, **AFRESH):
            return Disowned(row, is_new=False)
        user = users.locked(row.user_id)
        if user is None:
            raise DisownError
        # A session ends with the password's hash, and whoever chose that password
        # could log in again.
        if user.has_usable_password():
            user.set_password(tokens.new_token())
            user.save(update_fields=["password"])
        ended, at = revokers.revoke_all(user), timezone.now()
    # Stamped after the commit, as a reset does: inside, two links deadlock.
    links = PasswordResetToken.objects.filter(user_id=row.user_id, created_at__lte=at)
    voided = links.usable().void()
    PasswordResetCode.objects.filter(user_id=row.user_id, created_at__lte=at).void()
    ended += revokers.end_sessions(user, before=at)
    _after_commit(row, partial(worker.wake, worker.deliver_notice, row.pk))
    return Disowned(row, True, voided, ended)


def _mark(row: OutboxRow, **values: object) -> bool:
    """Record the moment; ``False`` when somebody else was first."""
    now: datetime = timezone.now()
    rows = type(row)._default_manager.filter(pk=row.pk, disowned_at__isnull=True)
    row.disowned_at = now
    return rows.update(disowned_at=now, **values) == 1


def _announce(done: Disowned, ip_address: str | None, user_agent: str) -> None:
    row = done.row
    kind = "notice" if isinstance(row, PasswordResetNotice) else "request"
    metrics.disowned_total.labels(email=kind).inc()
    counts = {"links": done.links_voided, "sessionsDeleted": done.sessions_deleted}
    logger.warning(
        "Password reset disowned",
        extra={f"reset_{kind}": row.pk, "ip": ip_address, **counts},
    )
    reset_disowned.send_robust(
        sender=type(row),
        row=row,
        links_voided=done.links_voided,
        sessions_deleted=done.sessions_deleted,
        ip_address=ip_address,
        user_agent=user_agent,
    )


def _after_commit(row: models.Model, callback: Any) -> None:
    # A function of its own: of a callback that failed Django logs the __qualname__.
    transaction.on_commit(lambda: callback(), using=row._state.db, robust=True)  # noqa: PLW0108
