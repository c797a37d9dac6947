"""What became of each email after a server took it: one row for each that was sent.

A link's own row dies the night after it expired; staff ask for an email days later.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import parseaddr

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.encoding import punycode
from django.utils.translation import gettext_lazy as _

from . import metrics
from .outbox import PREFIX, OutboxRow, PrimaryManager

__all__ = ["Delivery", "PasswordResetDelivery", "UnknownMessage", "record"]


class Delivery(models.TextChoices):
    """What is known of an email's way to the mailbox."""

    ACCEPTED = "accepted", _("accepted by the mail server")
    DEFERRED = "deferred", _("delayed by the recipient's server")
    DELIVERED = "delivered", _("delivered")
    SOFT_BOUNCED = "soft_bounced", _("not delivered, for a passing reason")
    BOUNCED = "bounced", _("refused for good by the recipient's server")
    REJECTED = "rejected", _("not sent by the mail provider")
    COMPLAINED = "complained", _("reported as spam by its reader")


#: A state gives way to one of a higher rank; of the same rank the later one counts.
#: A server may accept an email and return it afterwards, so that no end is final.
RANKS = {
    Delivery.ACCEPTED: 0,
    Delivery.DEFERRED: 1,
    Delivery.DELIVERED: 2,
    Delivery.SOFT_BOUNCED: 2,
    Delivery.BOUNCED: 2,
    Delivery.REJECTED: 2,
    Delivery.COMPLAINED: 3,
}
TROUBLE = (
    Delivery.DEFERRED,
    Delivery.SOFT_BOUNCED,
    Delivery.BOUNCED,
    Delivery.REJECTED,
    Delivery.COMPLAINED,
)

metrics.begin_with_zero(metrics.deliveries_total, "status", Delivery.values)


class UnknownMessage(LookupError):
    """No email of this app has this ID and recipient."""


@dataclass(frozen=True)
class Sent:
    """An email that a server took: to whom, its ID there and what the server said."""

    email: str
    message_id: str
    answer: str = ""


class PasswordResetDelivery(models.Model):
    """An email that was sent, known by the ID that its provider reports on it by."""

    #: The name of the model whose row asked for the email, and that row's key: rows of
    #: every kind, without a foreign key that each new kind would have to add.
    kind = models.CharField(_("kind"), max_length=64)
    row_id = models.BigIntegerField(_("row"))
    email = models.CharField(_("sent to"), max_length=320)
    message_id = models.CharField(_("message ID"), max_length=255)
    sent_at = models.DateTimeField(_("sent at"), default=timezone.now)
    state = models.CharField(
        _("state"), max_length=16, choices=Delivery.choices, default=Delivery.ACCEPTED
    )
    #: When the state came about, as the provider says.
    changed_at = models.DateTimeField(_("since"), default=timezone.now)
    #: A code and the server's number, never an address or a server's own words.
    reason = models.CharField(_("reason"), max_length=64, blank=True)

    objects = PrimaryManager()

    class Meta:
        db_table = "password_reset_deliveries"
        verbose_name = _("sent email")
        verbose_name_plural = _("sent emails")
        default_permissions = ()
        indexes = [
            models.Index(fields=["message_id"], name="password_reset_deliveries_id"),
            models.Index(
                fields=["kind", "row_id"], name="password_reset_deliveries_row"
            ),
            models.Index(
                fields=["email"],
                name="password_reset_deliv_email",
                opclasses=[PREFIX],
            ),
            models.Index(fields=["sent_at"], name="password_reset_deliveries_age"),
            # Reported on: of many emails nobody says anything.
            models.Index(
                fields=["state", "kind", "row_id"],
                name="password_reset_deliv_state",
                condition=~Q(state=Delivery.ACCEPTED),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} ({self.sent_at:%Y-%m-%d %H:%M})"


def kind_of(model: type[models.Model]) -> str:
    """Return the name by which deliveries know a kind of row."""
    return model._meta.model_name or ""


def of_row(row: OutboxRow) -> models.QuerySet[PasswordResetDelivery]:
    """Return the emails that a row has led to, in their order."""
    rows: models.QuerySet[PasswordResetDelivery] = PasswordResetDelivery.objects.filter(
        kind=kind_of(type(row)), row_id=row.pk
    )
    return rows.order_by("pk")


def of_rows(
    rows: Sequence[OutboxRow], *, to: Iterable[str] | None = None
) -> dict[int, list[PasswordResetDelivery]]:
    """Return the emails that rows of one kind have led to, by their keys; only those to
    some addresses where these are given.
    """
    wanted = None if to is None else {_spelling(email) for email in to}
    found: dict[int, list[PasswordResetDelivery]] = {}
    kinds = {kind_of(type(row)) for row in rows}
    sent = PasswordResetDelivery.objects.filter(
        kind__in=kinds, row_id__in=[row.pk for row in rows]
    )
    for each in sent.order_by("pk"):
        if wanted is None or _spelling(each.email) in wanted:
            found.setdefault(each.row_id, []).append(each)
    return found


def remember(row: OutboxRow, sent: Iterable[Sent]) -> None:
    """Write down emails that a server has just taken for a row."""
    kind = kind_of(type(row))
    # One by one: there is rarely a second, and bulk_create opens a transaction, which
    # is two more round trips to the database for each email.
    for one in sent:
        PasswordResetDelivery.objects.create(
            kind=kind,
            row_id=row.pk,
            email=one.email,
            message_id=one.message_id[:255],
            reason=one.answer[:64],
        )


def forget_erased(row: OutboxRow) -> None:
    """Forget the emails of a row that was erased while one was on its way."""
    if not type(row)._default_manager.filter(pk=row.pk).exists():
        of_row(row).delete()


def record(
    message_id: str, recipient: str, state: Delivery, at: datetime, reason: str = ""
) -> bool:
    """Record what became of an email; ``False`` when as much, or more, was known.

    Events may come twice and in any order: one UPDATE decides. Raises
    ``UnknownMessage``, also for a recipient whom this app has not written to, such as
    of a copy.
    """
    found = PasswordResetDelivery.objects.filter(message_id=message_id)
    keys = [row.pk for row in found if not recipient or _is_same(row.email, recipient)]
    if not message_id or not keys:
        raise UnknownMessage
    at = _as_kept(at)
    changed = PasswordResetDelivery.objects.filter(_gives_way(state, at), pk__in=keys)
    count = changed.update(state=state, changed_at=at, reason=reason[:64])
    if count:
        metrics.deliveries_total.labels(status=state.value).inc(count)
    return bool(count)


def _as_kept(at: datetime) -> datetime:
    """Return a moment as the database keeps moments: naive where USE_TZ is off."""
    if timezone.is_aware(at) == settings.USE_TZ:
        return at
    return timezone.make_aware(at) if settings.USE_TZ else timezone.make_naive(at)


def _gives_way(state: Delivery, at: datetime) -> Q:
    """Return the condition of rows whose state gives way to another."""
    rank = RANKS[state]
    lower = [each.value for each in Delivery if RANKS[each] < rank]
    same = [each.value for each in Delivery if RANKS[each] == rank]
    return Q(state__in=lower) | Q(state__in=same, changed_at__lt=at)


def _is_same(stored: str, reported: str) -> bool:
    return _spelling(stored) == _spelling(parseaddr(reported)[1] or reported)


def _spelling(email: str) -> str:
    """Return an address as providers write it: small letters, a domain in ASCII."""
    local, _at, domain = email.strip().casefold().rpartition("@")
    try:
        return f"{local}@{punycode(domain)}"
    except UnicodeError:
        return f"{local}@{domain}"
