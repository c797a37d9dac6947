"""What state a row is in: as a filter of a list, and in a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import formats, timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from password_reset.models import PasswordResetToken
from password_reset.outbox import HELD, OutboxRow

NO_ACCOUNT = gettext_lazy("no account to mail")

type_rows = Callable[[Any], QuerySet[Any]]


class StateFilter(admin.SimpleListFilter):
    """Rows of a list in one state; each state is a named set of the model."""

    title = gettext_lazy("state")
    parameter_name = "state"
    states: dict[str, tuple[Any, type_rows]]

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [(name, label) for name, (label, rows) in self.states.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        state = self.states.get(self.value() or "")
        return state[1](queryset) if state else queryset


class OutboxStateFilter(StateFilter):
    """Emails by what became of them."""

    states = {
        "pending": (
            gettext_lazy("waiting (due or not yet)"),
            lambda rows: rows.pending(),
        ),
        "due": (gettext_lazy("due now"), lambda rows: rows.due()),
        "failed": (
            gettext_lazy("given up"),
            lambda rows: rows.filter(failed_at__isnull=False),
        ),
        "sent": (
            gettext_lazy("sent"),
            lambda rows: rows.filter(processed_at__isnull=False, mails_sent__gt=0),
        ),
    }


class RequestStateFilter(OutboxStateFilter):
    """Requests, which may be for an address that nobody has."""

    states = {
        **OutboxStateFilter.states,
        "nobody": (NO_ACCOUNT, lambda rows: rows.unmailed().exclude(last_error=HELD)),
    }


class TokenStateFilter(StateFilter):
    """Links by what they open."""

    states = {
        "usable": (pgettext_lazy("link", "usable"), lambda rows: rows.usable()),
        "used": (
            pgettext_lazy("link", "used or voided"),
            lambda rows: rows.filter(used_at__isnull=False),
        ),
        "expired": (
            pgettext_lazy("link", "expired"),
            lambda rows: rows.expired().filter(used_at__isnull=True),
        ),
    }


def of_mail(row: OutboxRow) -> str:
    """Return what became of an email, in a word or two, and what its reader said."""
    if row.disowned_at:
        words = {"state": _fate(row), "time": at(row.disowned_at)}
        return _("%(state)s; at %(time)s its reader said: it was not me") % words
    return _fate(row)


def _fate(row: OutboxRow) -> str:
    if row.failed_at:
        return _("given up")
    if row.processed_at:
        if row.is_held:
            return _("not sent: limit of the address")
        return _("sent") if row.mails_sent or row.disowned_at else str(NO_ACCOUNT)
    if row.next_attempt_at is None or row.next_attempt_at <= timezone.now():
        return _("due now")
    return _("waiting until %(time)s") % {"time": at(row.next_attempt_at)}


def of_link(token: PasswordResetToken) -> str:
    """Return what a link still opens, with the moment of its change."""
    if token.used_at:
        return _("used or voided at %(time)s") % {"time": at(token.used_at)}
    if token.is_expired:
        return _("expired at %(time)s") % {"time": at(token.expires_at)}
    return _("usable until %(time)s") % {"time": at(token.expires_at)}


def of_second_factor(token: PasswordResetToken) -> str:
    """Return whether a second factor was asked for, and passed."""
    if token.second_factor_at:
        return _("passed at %(time)s") % {"time": at(token.second_factor_at)}
    if not token.second_factor_tries:
        return _("not asked for, or no code was typed")
    return ngettext(
        "asked for; %(count)d code was typed, and none was right",
        "asked for; %(count)d codes were typed, and none was right",
        token.second_factor_tries,
    ) % {"count": token.second_factor_tries}


def at(moment: Any) -> str:
    """Return a moment as staff says it on the telephone: the time alone where it is of
    today.
    """
    local = timezone.localtime(moment) if timezone.is_aware(moment) else moment
    now = timezone.localtime() if settings.USE_TZ else timezone.now()
    today = local.date() == now.date()
    return formats.date_format(local, "TIME_FORMAT" if today else "DATETIME_FORMAT")
