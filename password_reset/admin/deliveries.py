"""What mail providers report of emails, in words for support staff. Visitors are told
none of it: it would say which addresses are known here.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import formats, timezone
from django.utils.html import format_html_join
from django.utils.translation import gettext_lazy

from password_reset.deliveries import TROUBLE, Delivery, kind_of, of_row, of_rows
from password_reset.models import PasswordResetDelivery, PasswordResetToken

from .lists import COUNTED
from .states import at

__all__ = [
    "TROUBLE",
    "DeliveryFilter",
    "in_lines",
    "in_words",
    "of_link",
    "of_row",
    "of_rows",
    "trouble_of",
]

#: The codes of `password_reset.tracking`.
REASONS = {
    "no_mailbox": gettext_lazy("there is no such mailbox"),
    "no_domain": gettext_lazy("the domain of the address takes no email"),
    "mailbox_disabled": gettext_lazy("the mailbox is closed"),
    "mailbox_full": gettext_lazy("the mailbox is full"),
    "too_large": gettext_lazy("the email is too large for the mailbox"),
    "timed_out": gettext_lazy("the recipient's server has not taken it in time"),
    "unreachable": gettext_lazy("the recipient's server cannot be reached"),
    "policy": gettext_lazy("a filter refuses it, as one against spam does"),
    "suppressed": gettext_lazy(
        "the mail provider sends nothing to this address after an earlier failure: "
        "take it off the provider's suppression list"
    ),
    "complained_before": gettext_lazy(
        "the mail provider sends nothing to this address, since its reader once "
        "reported an email as spam: take it off the provider's suppression list"
    ),
    "unsubscribed": gettext_lazy(
        "the reader has unsubscribed at the mail provider from all our emails"
    ),
    "invalid": gettext_lazy("the mail provider calls the address invalid"),
    "provider": gettext_lazy("the mail provider has trouble of its own"),
}
SENTENCES = {
    Delivery.ACCEPTED: gettext_lazy(
        "At %(time)s the mail server took the email to %(address)s%(reason)s; nothing "
        "was reported since."
    ),
    Delivery.DEFERRED: gettext_lazy(
        "The email to %(address)s is delayed since %(time)s%(reason)s. The provider "
        "keeps trying."
    ),
    Delivery.DELIVERED: gettext_lazy(
        "At %(time)s the recipient's server took the email to %(address)s: it is in "
        "the mailbox or its spam folder."
    ),
    Delivery.SOFT_BOUNCED: gettext_lazy(
        "At %(time)s the email to %(address)s came back%(reason)s. A later one may get "
        "through."
    ),
    Delivery.BOUNCED: gettext_lazy(
        "At %(time)s the recipient's server refused the email to %(address)s for "
        "good%(reason)s. No other email will get there: ask for another address."
    ),
    Delivery.REJECTED: gettext_lazy(
        "At %(time)s the mail provider refused to send the email to "
        "%(address)s%(reason)s."
    ),
    Delivery.COMPLAINED: gettext_lazy(
        "At %(time)s the reader of %(address)s reported the email as spam. It had "
        "arrived."
    ),
}
SINCE = gettext_lazy("Since %(time)s: %(reason)s.")


class DeliveryFilter(admin.SimpleListFilter):
    """Rows by what was reported of one of their emails."""

    title = gettext_lazy("what became of the emails")
    parameter_name = "delivery"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        # Of most nothing is reported, where there is no provider to do so.
        return [one for one in Delivery.choices if one[0] != Delivery.ACCEPTED]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in dict(self.lookup_choices):
            return queryset
        found = PasswordResetDelivery.objects.filter(
            state=self.value(), kind=kind_of(queryset.model)
        )
        # Not as a sub-query: for a state that few have, PostgreSQL would look at every
        # row and ask for its emails. The newest are as many as a list shows.
        newest = found.order_by("-row_id").values_list("row_id", flat=True)
        return queryset.filter(pk__in=list(newest[:COUNTED]))


def in_words(delivery: PasswordResetDelivery) -> str:
    """Return what became of an email, as a sentence."""
    words = {
        "time": at(delivery.changed_at),
        "address": delivery.email,
        "reason": _beside(delivery.reason),
    }
    return str(SENTENCES[Delivery(delivery.state)]) % words


def in_lines(deliveries: Iterable[PasswordResetDelivery]) -> str:
    """Return what became of several emails, a line for each."""
    lines = [(in_words(delivery),) for delivery in deliveries]
    return format_html_join("", "<div>{}</div>", lines) or "-"


def of_link(token: PasswordResetToken) -> QuerySet[PasswordResetDelivery]:
    """Return the email that carried a link."""
    rows: QuerySet[PasswordResetDelivery] = PasswordResetDelivery.objects.filter(
        message_id=token.message_id
    )
    return rows if token.message_id else rows.none()


def trouble_of(email: str) -> str:
    """Return what keeps emails from an address, and since when; nothing where the last
    one met no trouble.
    """
    sent: QuerySet[PasswordResetDelivery] = PasswordResetDelivery.objects.filter(
        email=email
    ).exclude(state=Delivery.ACCEPTED)
    last = sent.order_by("-pk").first() if email else None
    if last is None or last.state not in TROUBLE:
        return ""
    since = _since(sent, last)
    reason = REASONS.get(last.reason.partition(" ")[0]) or last.get_state_display()
    return str(SINCE) % {"time": _day(since), "reason": reason}


def _since(sent: QuerySet[Any], last: PasswordResetDelivery) -> datetime:
    """Return when the trouble began that has lasted until an email."""
    well = sent.exclude(state__in=TROUBLE).order_by("-pk").first()
    troubled = sent.filter(pk__gt=well.pk) if well else sent
    first = troubled.order_by("pk").first()
    return (first or last).changed_at


def _day(moment: datetime) -> str:
    """Return a day of this week by its name."""
    local = timezone.localtime(moment) if timezone.is_aware(moment) else moment
    age = timezone.now() - moment
    return formats.date_format(local, "l") if 1 <= age.days < 6 else at(moment)


def _beside(reason: str) -> str:
    code, _space, number = reason.partition(" ")
    if not code:
        return ""
    words = REASONS.get(code)
    if words is None:  # an SMTP server's answer to us, or a number alone
        return f" ({reason})" if code.isdecimal() else f" ({number or code})"
    return f": {words} ({number})" if number else f": {words}"
