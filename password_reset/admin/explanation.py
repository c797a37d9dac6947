"""Why can this person not reset? What support looks at, in the order in which it
matters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Prefetch, Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from password_reset import factors, services
from password_reset.campaigns import ForcedPasswordReset, PasswordResetInvitation
from password_reset.checks.sending import NO_WORKER_AFTER
from password_reset.conf import conf
from password_reset.models import (
    PasswordResetDelivery,
    PasswordResetNotice,
    PasswordResetRequest,
    PasswordResetToken,
)
from password_reset.outbox import MAX_ATTEMPTS
from password_reset.ratelimit import (
    CounterUnavailable,
    address_retry_after,
    second_factor_retry_after,
)
from password_reset.users import Answer, answer_to, must_reset, stored_email

from . import campaign_states, deliveries, reasons, sending
from .states import at, of_link, of_mail, of_second_factor

#: Requests and accounts that a page shows.
RECENT = 10
MANY_ACCOUNTS = 20
SEVERITIES = ("info", "success", "warning", "error")


@dataclass(frozen=True)
class Finding:
    """A sentence; ``level`` is Django's tag of a message: error, warning, success or
    info. What happened has its moment and the row that tells more.
    """

    level: str
    text: str
    row: Any = None
    at: datetime | None = None

    @property
    def severity(self) -> int:
        """How much it matters."""
        return SEVERITIES.index(self.level)


@dataclass(frozen=True)
class Account:
    """A user and what keeps them from resetting."""

    user: Any
    findings: list[Finding]
    #: Those that still work.
    links: list[PasswordResetToken]


@dataclass(frozen=True)
class Mail:
    """A request and what became of it."""

    row: PasswordResetRequest
    findings: list[Finding]
    sent: list[PasswordResetDelivery]
    #: Whether a retry would send something.
    can_retry: bool

    @property
    def level(self) -> str:
        """The level of the worst that is said of it."""
        return max(self.findings, key=lambda finding: finding.severity).level

    @property
    def links(self) -> list[PasswordResetToken]:
        """Its links that still work."""
        return [token for token in self.row.tokens.all() if token.is_usable]


def of_site() -> list[Finding]:
    """Return what keeps everybody from resetting."""
    if not conf.enabled:
        return [Finding("error", str(sending.SWITCHED_OFF))]
    waiting = services.waiting()
    if waiting.due_seconds <= NO_WORKER_AFTER.total_seconds():
        return []
    since = at(timezone.now() - timedelta(seconds=waiting.due_seconds))
    return [
        Finding(
            "error",
            _("Since %(time)s no worker has sent the mails that wait.")
            % {"time": since},
        )
    ]


def of_address(address: str, users: list[Any], *, unseen: bool) -> list[Finding]:
    """Return what is known about an email address as such; ``unseen`` where it may be
    of an account that is not to be seen.
    """
    if unseen:
        return [Finding("error", _("No account that you may see is known by this."))]
    return [*_number_of(users), *_limit_of(address)]


def of_account(user: Any) -> Account:
    """Return what keeps one user from resetting, and which links they still hold."""
    email = stored_email(user)
    found = list(conf.user_finder(email)) if email else []
    sentence = sending.obstacle(user, found)
    findings = (
        [Finding("error", sentence)]
        if sentence
        else [Finding("success", _("Nothing is wrong with the account."))]
    )
    trouble = deliveries.trouble_of(email)
    if trouble:
        findings.append(Finding("error", trouble))
    links = _links_of(user)
    rest = (
        *_passwordless(user),
        *_site_of(user),
        *_second_factor_of(user),
        *_links_in_words(links),
        *_changes_of(user),
    )
    return Account(user, [*findings, *rest], links)


def last_mails(addresses: set[str], users: list[Any]) -> list[Mail]:
    """Return the last requests for addresses, or that led to links of users, and what
    became of each.
    """
    mailed = PasswordResetToken.objects.filter(
        user__in=[user.pk for user in users], request__isnull=False
    )
    keys = list(mailed.order_by("-pk").values_list("request_id", flat=True)[:RECENT])
    rows = PasswordResetRequest.objects.filter(Q(email__in=addresses) | Q(pk__in=keys))
    # Accounts that share the address but are not to be seen stay out of it.
    own = PasswordResetToken.objects.filter(user__in=[user.pk for user in users])
    shown = Prefetch("tokens", own)
    recent = rows.order_by("-pk").prefetch_related(shown if users else "tokens")
    found = list(recent[:RECENT])
    sent = deliveries.of_rows(found, to=addresses if users else None)
    retriable = _retriable(found)
    return [
        Mail(
            row,
            list(_fate(row, sent.get(row.pk, []))) or [_settled(row)],
            sent.get(row.pk, []),
            row.pk in retriable,
        )
        for row in found
    ]


def _retriable(rows: list[PasswordResetRequest]) -> set[int]:
    """Return the keys of those rows that a retry would send."""
    open_ones = [row.pk for row in rows if not row.processed_at]
    if not open_ones or not conf.enabled:
        return set()
    found = PasswordResetRequest.objects.filter(pk__in=open_ones).retriable()
    return set(found.values_list("pk", flat=True))


def _number_of(users: list[Any]) -> Iterator[Finding]:
    if not users:
        yield Finding(
            "error",
            _(
                "No account is known by this. No mail leaves, and the page says the "
                "same to everybody."
            ),
        )
    if len(users) > 1:
        words = ngettext(
            "%(count)d account is known by this; each gets a mail of its own.",
            "%(count)d accounts are known by this; each gets a mail of its own.",
            len(users),
        )
        yield Finding("warning", words % {"count": len(users)})


def _limit_of(address: str) -> Iterator[Finding]:
    try:
        seconds = address_retry_after(address)
    except CounterUnavailable:
        yield Finding(
            "error",
            _(
                "The counters cannot be reached: until they can, nobody may ask for a "
                "link."
            ),
        )
        return
    if seconds is not None:
        until = at(timezone.now() + timedelta(seconds=seconds))
        words = _(
            "%(address)s is limited until %(time)s: no mail for those who ask from a "
            "network that has asked today. Links that were mailed before still work, "
            "and staff may send one."
        )
        yield Finding("warning", words % {"address": address, "time": until})


def _passwordless(user: Any) -> Iterator[Finding]:
    """Say which other email goes to an account without a password."""
    answer = answer_to(user)
    if must_reset(user):
        yield Finding(
            "warning",
            _("The site has ended the password: a link lets its owner choose another."),
        )
    elif answer is Answer.EXPLANATION:
        yield Finding(
            "warning",
            _(
                "The account has no password: whoever asks is told by email how to log "
                "in."
            ),
        )
    elif answer is Answer.LINK and not user.has_usable_password():
        yield Finding(
            "info",
            _("The account has no password: a link lets its owner set a first one."),
        )


def _site_of(user: Any) -> Iterator[Finding]:
    """Say what the site has sent by itself, and what became of it."""
    if row := PasswordResetInvitation.objects.filter(user_id=user.pk).first():
        words = {
            "time": at(row.asked_at),
            "by": row.invited_by or _("the site"),
            "state": campaign_states.of_invitation(row),
        }
        sentence = _("At %(time)s invited by %(by)s to choose a password: %(state)s")
        yield Finding("info", sentence % words, row, row.asked_at)
    last = ForcedPasswordReset.objects.filter(user_id=user.pk).order_by("-pk").first()
    if last is not None and last.forced_at:
        words = {
            "time": at(last.forced_at),
            "campaign": str(last.campaign),
            "state": campaign_states.of_forced_reset(last),
        }
        sentence = _(
            "At %(time)s the site ended the password (%(campaign)s); the email: "
            "%(state)s"
        )
        yield Finding("info", sentence % words, last, last.forced_at)


def _second_factor_of(user: Any) -> Iterator[Finding]:
    """Say whether a link of the account asks for a code, and takes one now."""
    try:
        hint = factors.hint_for(user)
        seconds = None if hint is None else second_factor_retry_after(user.pk)
    except factors.SecondFactorUnavailable:
        yield Finding("error", _("The second factor cannot be checked: see the log."))
        return
    except CounterUnavailable:  # said of the address
        return
    if hint is not None:
        sentence = _("A link asks for a second factor, and says: %(hint)s")
        yield Finding("info", sentence % {"hint": hint})
    if seconds is not None:
        until = at(timezone.now() + timedelta(seconds=seconds))
        sentence = _("Too many codes were typed: none is taken until %(time)s.")
        yield Finding("warning", sentence % {"time": until})


def _links_of(user: Any) -> list[PasswordResetToken]:
    return [
        token
        for token in PasswordResetToken.objects.usable().filter(user_id=user.pk)
        if token.matches(user)
    ]


def _links_in_words(usable: list[PasswordResetToken]) -> Iterator[Finding]:
    if usable:
        words = ngettext(
            "Until %(time)s, %(count)d link in a mail still works.",
            "%(count)d links in mails still work, the last of them until %(time)s at "
            "the latest.",
            len(usable),
        )
        last = max(token.expires_at for token in usable)
        yield Finding("info", words % {"count": len(usable), "time": at(last)})


def _changes_of(user: Any) -> Iterator[Finding]:
    notice = PasswordResetNotice.objects.filter(user_id=user.pk).order_by("-pk").first()
    if notice:
        yield Finding(
            "info",
            _("At %(time)s the password was last changed by a link.")
            % {"time": at(notice.created_at)},
            notice,
            notice.created_at,
        )
    if notice and notice.disowned_at:
        yield Finding(
            "error",
            _(
                "At %(time)s the owner said that it was somebody else. Everybody was "
                "logged out, the password ended, and a fresh link was sent."
            )
            % {"time": at(notice.disowned_at)},
            notice,
            notice.disowned_at,
        )


def _fate(
    row: PasswordResetRequest, sent: list[PasswordResetDelivery]
) -> Iterator[Finding]:
    yield from _mails_of(row)
    yield from _reported(sent)
    if row.failed_at:
        words = {"time": at(row.failed_at), "reason": reasons.in_words(row.last_error)}
        yield Finding("error", _("At %(time)s given up: %(reason)s.") % words)
    elif row.is_held:
        words = {"reason": reasons.in_words(row.last_error)}
        yield Finding("warning", _("Nothing was mailed: %(reason)s.") % words)
    elif row.processed_at and not row.mails_sent:
        yield Finding(
            "warning", _("Nothing was mailed: no account that may be reset was found.")
        )
    elif not row.processed_at:
        yield from _wait(row)


def _settled(row: PasswordResetRequest) -> Finding:
    """Say of an email that it was sent, where its link is purged and nobody reports."""
    return Finding("success", of_mail(row))


def _reported(sent: list[PasswordResetDelivery]) -> Iterator[Finding]:
    """Say what the mail provider has reported of a request's emails."""
    for delivery in sent:
        level = "error" if delivery.state in deliveries.TROUBLE else "success"
        yield Finding(level, deliveries.in_words(delivery))


def _mails_of(row: PasswordResetRequest) -> Iterator[Finding]:
    for token in row.tokens.all():
        if token.sent_at:
            words = {
                "address": token.email,
                "time": at(token.sent_at),
                "state": of_link(token),
            }
            yield Finding(
                "success",
                _("At %(time)s mailed to %(address)s; the link: %(state)s") % words,
                token,
            )
        if token.second_factor_tries:
            words = {"state": of_second_factor(token)}
            yield Finding("info", _("Its second factor: %(state)s") % words)
    if row.explained_at:
        words = {"time": at(row.explained_at)}
        yield Finding("success", _("At %(time)s told how to log in.") % words)
    if row.disowned_at:
        words = {"time": at(row.disowned_at)}
        sentence = _("At %(time)s the reader said: it was not me. The links ended.")
        yield Finding("warning", sentence % words)


def _wait(row: PasswordResetRequest) -> Iterator[Finding]:
    when = (
        at(max(row.next_attempt_at, timezone.now()))
        if row.next_attempt_at
        else _("as soon as a worker is free")
    )
    if row.attempts and row.last_error:
        words = {
            "number": row.attempts,
            "all": MAX_ATTEMPTS,
            "reason": reasons.in_words(row.last_error),
        }
        yield Finding(
            "warning", _("Attempt %(number)d of %(all)d failed: %(reason)s.") % words
        )
    yield Finding(
        "info", _("Waits to be sent; next attempt: %(time)s") % {"time": when}
    )
