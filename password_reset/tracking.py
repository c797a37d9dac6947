"""Receive what mail providers report of emails, by the signal of django-anymail.

The host includes anymail's webhook views; without anymail nothing here is connected.
"""

from __future__ import annotations

import logging
import re
from datetime import timedelta
from importlib import import_module
from typing import Any

from django.db.models import Q
from django.utils import timezone

from .deliveries import Delivery, UnknownMessage, record
from .models import PasswordResetNotice, PasswordResetRequest, PasswordResetToken

__all__ = ["NotYetKnown", "connect", "receive"]

logger = logging.getLogger("password_reset")

#: How long an email may be on its way before its ID is written down.
UNDER_WAY = timedelta(minutes=1)

#: anymail's names of what says something about an email's way.
STATES = {
    "deferred": Delivery.DEFERRED,
    "delivered": Delivery.DELIVERED,
    "bounced": Delivery.BOUNCED,
    "rejected": Delivery.REJECTED,
    "failed": Delivery.REJECTED,
    "complained": Delivery.COMPLAINED,
}
#: RFC 3463: class, subject and detail. Of an IP address' or a time's numbers it is told
#: apart by the class and by what stands around it.
ENHANCED = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.])")
REPLY = re.compile(r"(?:^|;|\s)([245]\d\d)(?=[\s-])")
#: The reasons that support staff can do something with, by subject and detail.
BY_NUMBER = {
    "1.0": "no_mailbox",
    "1.1": "no_mailbox",
    "1.2": "no_domain",
    "1.6": "no_mailbox",
    "1.10": "no_domain",
    "2.1": "mailbox_disabled",
    "2.2": "mailbox_full",
    "2.3": "too_large",
    "3.1": "mailbox_full",
    "3.4": "too_large",
    "4.7": "timed_out",
}
BY_SUBJECT = {"4": "unreachable", "7": "policy"}
#: Amazon's ``bounceSubType`` and ``delayType``.
BY_AMAZON = {
    "NoEmail": "no_mailbox",
    "Suppressed": "suppressed",
    "OnAccountSuppressionList": "suppressed",
    "UnsubscribedRecipient": "unsubscribed",
    "MailboxFull": "mailbox_full",
    "MessageTooLarge": "too_large",
    "ContentRejected": "policy",
    "AttachmentRejected": "policy",
    "SpamDetected": "policy",
    "RecipientServerError": "unreachable",
    "TransientCommunicationFailure": "unreachable",
    "BYOIPHostNameLookupUnavailable": "provider",
    "IPFailure": "provider",
    "InternalFailure": "provider",
}
#: anymail's ``reject_reason``: why a provider has not even tried.
BY_REJECTION = {
    "invalid": "invalid",
    "bounced": "suppressed",
    "timed_out": "timed_out",
    "blocked": "policy",
    "spam": "complained_before",
    "unsubscribed": "unsubscribed",
}
#: These heal by themselves or by the owner's hand, whatever class a server gives them.
HEALING = frozenset({"mailbox_full", "timed_out", "unreachable", "policy"})


class NotYetKnown(Exception):
    """An event of an email that is being sent this moment: its provider has to bring it
    again.
    """


def connect() -> None:
    """Listen to anymail's signal, where anymail is installed."""
    try:
        signals = import_module("anymail.signals")
    except ImportError:
        return
    signals.tracking.connect(receive, dispatch_uid="password_reset.tracking")


def receive(sender: Any, event: Any, esp_name: str, **kwargs: Any) -> None:
    """Record an event of anymail, an ``AnymailTrackingEvent``. Emails of others than
    this app are left alone.

    Raises ``NotYetKnown``: providers bring again what is answered with 5xx.
    """
    state, reason = read(event)
    if state is None:
        return
    recipient = event.recipient or ""
    at = event.timestamp or timezone.now()
    try:
        changed = record(event.message_id or "", recipient, state, at, reason)
    except UnknownMessage:
        if _is_under_way(recipient):
            raise NotYetKnown("The ID of this email is not written down yet") from None
        return
    if changed:
        fields = {"status": state.value, "reason": reason, "provider": esp_name}
        logger.info("Password reset mail reported", extra=fields)


def read(event: Any) -> tuple[Delivery | None, str]:
    """Return what an event says of an email's way, and the code of its reason."""
    state = STATES.get(event.event_type)
    if _of_amazon(event, "deliveryDelay"):  # which anymail does not know
        state = Delivery.DEFERRED
    if state in {None, Delivery.DELIVERED, Delivery.COMPLAINED}:
        return state, ""
    code, number = _code(event), _number(event)
    if state is Delivery.BOUNCED and _is_soft(event, code, number):
        state = Delivery.SOFT_BOUNCED
    return state, f"{code} {number}".strip()


def _code(event: Any) -> str:
    amazon = _amazon_type(event)
    if amazon in BY_AMAZON:
        return BY_AMAZON[amazon]
    if found := ENHANCED.search(_said(event)):
        kind, subject, detail = found.groups()
        by_number = BY_NUMBER.get(f"{subject}.{detail}") or BY_SUBJECT.get(subject)
        # Of the first class, "no such mailbox" is what greylisting says.
        if by_number and (kind == "5" or by_number in HEALING):
            return by_number
    return BY_REJECTION.get(event.reject_reason, "other") if _is_refused(event) else ""


def _number(event: Any) -> str:
    """Return the server's numbers alone: its words may name the mailbox."""
    said = _said(event)
    found = ENHANCED.search(said)
    return found[0] if found else next(iter(REPLY.findall(said)), "")


def _is_soft(event: Any, code: str, number: str) -> bool:
    """Return whether another email may get through: the mailbox is there."""
    amazon = _of_amazon(event, "bounce").get("bounceType", "")
    if amazon in {"Permanent", "Transient"}:
        return bool(amazon == "Transient")
    # SendGrid calls a refusal "blocked" that says nothing about the mailbox.
    blocked = str(_raw(event).get("type")) == "blocked"
    return bool(blocked or number.startswith("4") or code in HEALING)


def _is_refused(event: Any) -> bool:
    return str(event.event_type) != "deferred"


def _said(event: Any) -> str:
    """Return the words of the recipient's server, with the status that a report has
    beside them.
    """
    raw = _raw(event)
    amazon = [
        str(one.get("status", "")) + " " + str(one.get("diagnosticCode", ""))
        for name in ("bounce", "deliveryDelay")
        for one in _recipients(_of_amazon(event, name))
    ]
    beside = [raw.get("status"), event.mta_response, *amazon]
    return " ; ".join(str(text) for text in beside if text)


def _recipients(part: dict[str, Any]) -> list[dict[str, Any]]:
    found = part.get("bouncedRecipients") or part.get("delayedRecipients") or []
    return [one for one in found if isinstance(one, dict)]


def _amazon_type(event: Any) -> str:
    bounce, delay = _of_amazon(event, "bounce"), _of_amazon(event, "deliveryDelay")
    return str(bounce.get("bounceSubType") or delay.get("delayType") or "")


def _of_amazon(event: Any, name: str) -> dict[str, Any]:
    found = _raw(event).get(name)
    return found if isinstance(found, dict) else {}


def _raw(event: Any) -> dict[str, Any]:
    """Return the provider's own event, where it is JSON."""
    return event.esp_event if isinstance(event.esp_event, dict) else {}


def _is_under_way(recipient: str) -> bool:
    """Return whether an email to this address may have been sent a moment ago."""
    if not recipient:
        return False
    since = timezone.now() - UNDER_WAY
    # Not every email has a link: a notice and an explanation have their row alone.
    by_worker = Q(processed_at=None, failed_at=None, claim_id__isnull=False)
    recent = Q(processed_at__gte=since) | by_worker
    found = (
        PasswordResetToken.objects.filter(created_at__gte=since),
        PasswordResetNotice.objects.filter(recent),
        PasswordResetRequest.objects.filter(recent),
    )
    return any(rows.filter(email=recipient).exists() for rows in found)
