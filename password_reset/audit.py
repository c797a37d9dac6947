"""What happened to accounts, for a log that outlives this app's tables: events in the
terms of OCSF (https://schema.ocsf.io), class Account Change (3001).

An event never changes after it has happened, and keeps its ``metadata.uid``: exports
may overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.utils import timezone

from . import __version__
from .models import (
    ForcedPasswordReset,
    PasswordResetInvitation,
    PasswordResetNotice,
    PasswordResetRequest,
)
from .outbox import OutboxRow
from .redaction import redact

__all__ = ["CLASS_UID", "OCSF_VERSION", "events"]

OCSF_VERSION = "1.1.0"
CLASS_UID = 3001
#: Rows that are in memory at once.
CHUNK = 1000
#: An event may come this long after its row was made: whoever says "it was not me" has
#: two weeks, and what was given up may be tried again.
LATE = timedelta(days=31)

#: OCSF's ``activity_id`` and its caption.
CHANGE, RESET, DISOWNED, INVITED, VOIDED = (
    (3, "Password Change"),
    (4, "Password Reset"),
    (99, "Disowned"),
    (99, "Invitation"),
    (99, "Invitation Voided"),
)
SUCCESS, FAILURE = (1, "Success"), (2, "Failure")
REQUESTED, MAILED = (99, "Requested"), (99, "Mailed")
INFORMATIONAL, LOW, HIGH = (1, "Informational"), (2, "Low"), (4, "High")


@dataclass(frozen=True)
class _Event:
    moment: datetime | None
    name: str
    message: str
    activity: tuple[int, str] = RESET
    status: tuple[int, str] = SUCCESS
    severity: tuple[int, str] = INFORMATIONAL
    code: str = ""


def events(since: datetime, until: datetime) -> Iterator[dict[str, Any]]:
    """Yield what happened from one moment to before another, ordered by when its row
    was made. Memory stays flat, whatever the number of rows.
    """
    for model, age, read in SOURCES:
        span = {f"{age}__gte": since - LATE, f"{age}__lt": until}
        for row in _in_order(model.objects.filter(**span), age):
            for event in read(row):
                if event.moment is not None and since <= event.moment < until:
                    yield _in_ocsf(row, event, event.moment)


def _in_order(rows: QuerySet[Any], age: str) -> Iterator[Any]:
    """Yield rows by a field, along its index, a chunk at a time. (A cursor of MySQL
    would hold them all.)
    """
    rows = rows.order_by(age, "pk")
    chunk = list(rows[:CHUNK])
    while chunk:
        yield from chunk
        last, key = getattr(chunk[-1], age), chunk[-1].pk
        later, beside = Q(**{f"{age}__gt": last}), Q(**{age: last, "pk__gt": key})
        # The first condition is what the index is read by.
        rest = rows.filter(**{f"{age}__gte": last}).filter(later | beside)
        chunk = list(rest[:CHUNK])


def _of_request(row: PasswordResetRequest) -> Iterator[_Event]:
    yield _Event(
        row.created_at, "asked", "A reset link was asked for", status=REQUESTED
    )
    yield from _fate(row)
    text = "The reader of the email said: it was not me"
    yield _Event(row.disowned_at, "disowned", text, activity=DISOWNED, severity=LOW)


def _of_forced(row: ForcedPasswordReset) -> Iterator[_Event]:
    yield _Event(row.forced_at, "forced", "The site ended the password")
    yield from _fate(row)


def _of_invitation(row: PasswordResetInvitation) -> Iterator[_Event]:
    text = "The site asked for a first password to be chosen"
    yield _Event(row.asked_at, "invited", text, INVITED, REQUESTED)
    yield from _fate(row, INVITED)
    # The change of the password itself is told by its notice.
    text = "A first password was chosen by the invitation"
    yield _Event(row.accepted_at, "accepted", text, INVITED)
    yield _Event(row.voided_at, "voided", "The invitation was voided", VOIDED)


def _fate(row: OutboxRow, activity: tuple[int, str] = RESET) -> Iterator[_Event]:
    """Yield what became of a row's email."""
    if row.failed_at:
        text, code = "The email was given up", row.last_error
        yield _Event(
            row.failed_at, "given-up", text, activity, status=FAILURE, code=code
        )
    elif row.mails_sent:
        yield _Event(
            row.processed_at, "mailed", "The email was sent", activity, status=MAILED
        )
    else:
        unknown = "no_account" if isinstance(row, PasswordResetRequest) else ""
        text, code = "Nobody was mailed", row.last_error or unknown
        yield _Event(
            row.processed_at, "unmailed", text, activity, status=FAILURE, code=code
        )


def _of_notice(row: PasswordResetNotice) -> Iterator[_Event]:
    text = "The password was changed by a link"
    yield _Event(row.created_at, "changed", text, activity=CHANGE)
    text = "The owner said that somebody else has changed the password"
    yield _Event(row.disowned_at, "disowned", text, activity=DISOWNED, severity=HIGH)


def _in_ocsf(row: Any, event: _Event, moment: datetime) -> dict[str, Any]:
    number, caption = event.activity
    found = {
        "activity_id": number,
        "activity_name": caption,
        "category_name": "Identity & Access Management",
        "category_uid": 3,
        "class_name": "Account Change",
        "class_uid": CLASS_UID,
        "message": event.message,
        "metadata": _metadata(_uid(row, event)),
        "severity": event.severity[1],
        "severity_id": event.severity[0],
        "status": event.status[1],
        "status_code": event.code,
        "status_id": event.status[0],
        **_time(moment),
        "type_name": f"Account Change: {caption if number != 99 else 'Other'}",
        "type_uid": CLASS_UID * 100 + number,
        "user": _user(row),
    }
    return {name: value for name, value in found.items() if value != ""} | _source(
        row, event
    )


def _uid(row: Any, event: _Event) -> str:
    kind = row._meta.model_name.removeprefix("passwordreset")
    # One row for each user, begun anew by each resend.
    if isinstance(row, PasswordResetInvitation):
        kind += f"-{int(row.asked_at.timestamp())}"
    return f"{kind}-{row.pk}-{event.name}"


def _metadata(uid: str) -> dict[str, Any]:
    product = {
        "name": "django-resetkit",
        "vendor_name": "django-resetkit",
        "version": __version__,
    }
    return {
        "product": product,
        "profiles": ["datetime"],
        "uid": uid,
        "version": OCSF_VERSION,
    }


def _time(moment: datetime) -> dict[str, Any]:
    if not settings.USE_TZ:
        moment = timezone.make_aware(moment)
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return {
        "time": int(moment.timestamp() * 1000),
        "time_dt": text.replace("+00:00", "Z"),
    }


def _user(row: Any) -> dict[str, Any]:
    user = {"email_addr": redact(row.email), "type": "User", "type_id": 1}
    pk = getattr(row, "user_id", None)
    return user if pk is None else user | {"uid": str(pk)}


def _source(row: Any, event: _Event) -> dict[str, Any]:
    """Return who has asked: of what a worker, or the reader of an email, did later, it
    is not known.
    """
    if event.name not in {"asked", "changed"}:
        return {}
    found: dict[str, Any] = {}
    if row.ip_address:
        found["src_endpoint"] = {"ip": row.ip_address}
    if row.user_agent:
        found["http_request"] = {"user_agent": redact(row.user_agent)}
    return found


#: Tables, the indexed column by which their rows are read, and what a row tells.
SOURCES: tuple[tuple[Any, str, Callable[[Any], Iterator[_Event]]], ...] = (
    (PasswordResetRequest, "created_at", _of_request),
    (PasswordResetNotice, "created_at", _of_notice),
    (ForcedPasswordReset, "created_at", _of_forced),
    (PasswordResetInvitation, "asked_at", _of_invitation),
)
