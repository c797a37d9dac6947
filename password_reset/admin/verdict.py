"""The one sentence on top of "Why can this person not reset?"."""

from __future__ import annotations

from django.utils.translation import ngettext

from password_reset.conf import conf

from . import deliveries
from .explanation import Account, Finding, Mail


def of(
    site: list[Finding],
    address: list[Finding],
    accounts: list[Account],
    mails: list[Mail],
) -> Finding:
    """Return what matters most: what stands in the way of everything, or what happened
    last, or the worst of the rest.
    """
    in_the_way = _in_the_way(site, address, accounts)
    if in_the_way or mails or _events(accounts):
        return in_the_way or _latest(site, accounts, mails)
    able = [account for account in accounts if not _is_barred(account)]
    rest = [finding for account in able for finding in account.findings]
    return _worst([*address, *rest])


def _in_the_way(
    site: list[Finding], address: list[Finding], accounts: list[Account]
) -> Finding | None:
    if not conf.enabled:
        return site[0]
    if errors := [finding for finding in address if finding.level == "error"]:
        return errors[0]
    are_barred = accounts and all(map(_is_barred, accounts))
    return accounts[0].findings[0] if are_barred else None


def _is_barred(account: Account) -> bool:
    """Return whether an account has something against a reset: it is the first thing
    that is said of it.
    """
    return account.findings[0].level == "error"


def _events(accounts: list[Account]) -> list[Finding]:
    every = (finding for account in accounts for finding in account.findings)
    return [finding for finding in every if finding.at]


def _latest(site: list[Finding], accounts: list[Account], mails: list[Mail]) -> Finding:
    """Return what became of the newest request, or what has happened since."""
    newest = mails[0].row.created_at if mails else None
    since = [
        (finding.at, finding)
        for finding in _events(accounts)
        if finding.at and (newest is None or finding.at >= newest)
    ]
    if since:
        return max(since, key=lambda pair: pair[0])[1]
    if site and mails[0].can_retry:
        return site[0]
    return _of_mails(mails)


def _of_mails(mails: list[Mail]) -> Finding:
    """Count the emails where each of them met the same trouble."""
    worst = _worst(mails[0].findings)
    sent = [delivery for mail in mails for delivery in mail.sent]
    states = {delivery.state for delivery in sent}
    is_same = len(sent) > 1 and len(states) == 1 and states <= set(deliveries.TROUBLE)
    if not is_same or not mails[0].sent:
        return worst
    words = ngettext(
        "Mailed %(count)d time, with one result: %(state)s.",
        "Mailed %(count)d times, each with the same result: %(state)s.",
        len(sent),
    ) % {"count": len(sent), "state": sent[0].get_state_display()}
    return Finding("error", words)


def _worst(findings: list[Finding]) -> Finding:
    return max(findings, key=lambda finding: finding.severity)
