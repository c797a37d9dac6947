"""The connection to the mail provider, kept for a burst of emails, and what its
failures mean.
"""

from __future__ import annotations

import re
from contextlib import suppress
from copy import copy
from email import message_from_bytes
from email.errors import HeaderParseError
from email.headerregistry import AddressHeader
from email.policy import SMTPUTF8
from email.utils import parseaddr
from smtplib import (
    SMTP,
    SMTPDataError,
    SMTPRecipientsRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
)
from typing import TYPE_CHECKING, Any

import django
from django.core import mail
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend as SmtpBackend

from . import telemetry
from .deliveries import Sent

if TYPE_CHECKING or django.VERSION >= (6, 1):
    from django.core.mail import mailers

#: RFC 3463: a full mailbox, a mail system that is full or closed, a policy such as a
#: relay not yet allowed. These heal.
HEALING = re.compile(rb"5\.(?:2\.2|3\.\d+|7\.\d+)\b")
#: RFC 3463's code at the beginning of an answer, and how Postfix, Exim and others name
#: the email in their log.
ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})\b")
QUEUED = re.compile(r"(?:queued as |\bid=)<?([A-Za-z0-9-]{4,40})(?![\w.@-])")
#: RFC 5321: the server is about to close the connection.
CLOSING = 421
#: Codes that speak of the account or the service, and so of every email; Amazon says
#: "454 Throttling failure".
REFUSES_EVERYBODY = frozenset({CLOSING, 454})
#: HTTP answers that speak of the account or the service, and so of every email.
REFUSES_ALL = frozenset({401, 403, 408, 429})
ABOUT_ONE_EMAIL = (SMTPRecipientsRefused, SMTPSenderRefused, SMTPDataError)


class Undeliverable(ValueError):
    """The address on file cannot be used in an email at all."""


class MailConnection:
    """A connection to the mail provider, kept for the next email until one fails."""

    def __init__(self) -> None:
        self._backend: Any = None
        #: Whether the last failure means that no email can be sent at present.
        self.unavailable = False
        #: What an SMTP server said to the last email that it took.
        self.answer = ""
        self._sent: list[Sent] = []

    @property
    def is_open(self) -> bool:
        """Whether the last email was sent, so that another can be expected to be."""
        return self._backend is not None

    def send(self, message: EmailMessage) -> None:
        """Send a message. Raises what the mail back end raises."""
        with telemetry.sending(error_code) as span:
            self._send(message)
            telemetry.mail_server(span, self._backend)

    def _send(self, message: EmailMessage) -> None:
        kept = self._backend is not None
        try:
            self.answer = ""
            _hand_over(self._open(), message)
        except Exception as error:
            self.close()
            # A server may close a connection that is old or has sent many emails, which
            # says nothing about this one.
            if not kept or not _was_closed(error):
                self.unavailable = is_outage(error)
                raise
            self._send(message)
        else:
            self.unavailable = False

    def close(self) -> None:
        """Close the connection. A failure of that must not make an email that was sent
        look like one that was not.
        """
        backend, self._backend = self._backend, None
        if backend is not None:
            with suppress(Exception):
                backend.close()

    def note(self, email: str, message_id: str) -> None:
        """Note whom the last email went to, and its ID."""
        self._sent.append(Sent(email, message_id, self.answer))

    def take_sent(self) -> list[Sent]:
        """Return what was noted since the last time."""
        sent, self._sent = self._sent, []
        return sent

    def _open(self) -> Any:
        if self._backend is None:
            self._backend = new_backend()
            self._backend.open()
            self._listen()
        return self._backend

    def _listen(self) -> None:
        """Keep the answer to an email's end, which smtplib throws away."""
        smtp = getattr(self._backend, "connection", None)
        if not isinstance(smtp, SMTP):
            return
        send_data = smtp.data

        def data(message: Any) -> Any:
            answer = send_data(message)
            self.answer = _in_numbers(*answer)
            return answer

        smtp.data = data  # type: ignore[method-assign,assignment]


def check_address(address: str) -> None:
    """Raise ``Undeliverable`` for a stored address that would be several, a header of
    its own, or nobody's.
    """
    try:
        (mailbox,) = AddressHeader.value_parser(address).all_mailboxes
        same = str(mailbox.addr_spec).replace('"', "") == address.replace('"', "")
    except (HeaderParseError, IndexError, ValueError):
        same = False
    if not same or not mailbox.domain or not address.isprintable():
        raise Undeliverable("The address on file is not one mail address.")
    backend = new_backend()
    if isinstance(backend, SmtpBackend) and not _is_international(address):
        _check_for_smtp(backend, address)


def _check_for_smtp(backend: Any, address: str) -> None:
    """Ask Django 6 whether it can send to an address."""
    try:
        if hasattr(backend, "prep_address"):
            backend.prep_address(address)
    except ValueError:
        raise Undeliverable("The address on file cannot be written in SMTP.") from None


def _is_international(address: str) -> bool:
    """Return whether the part before the @ has letters beyond ASCII; a domain of such
    letters has a spelling in ASCII.
    """
    return not address.rpartition("@")[0].isascii()


def _hand_over(backend: Any, message: EmailMessage) -> None:
    if isinstance(backend, SmtpBackend) and any(map(_is_international, message.to)):
        _send_international(backend, message)
    else:
        backend.send_messages([message])


def _send_international(backend: SmtpBackend, message: EmailMessage) -> None:
    """Speak SMTPUTF8 (RFC 6531) for an address that needs it: Django 5.2 would write to
    another one, Django 6 raises.

    Raises ``Undeliverable`` for a mail server that does not speak it.
    """
    smtp: Any = backend.connection
    smtp.ehlo_or_helo_if_needed()
    if not smtp.has_extn("smtputf8"):
        raise Undeliverable(
            "The mail server does not speak SMTPUTF8, which the address on file needs."
        )
    recipients, plain = message.to, copy(message)
    plain.to = ["somebody@localhost"]
    letter = message_from_bytes(plain.message().as_bytes(), policy=SMTPUTF8)
    letter.replace_header("To", ", ".join(recipients))
    sender = parseaddr(message.from_email)[1]
    smtp.sendmail(
        sender,
        recipients,
        letter.as_bytes(),
        mail_options=["SMTPUTF8", "BODY=8BITMIME"],
    )


def error_code(error: BaseException) -> str:
    """Return what a row may store of a failure: its kind and the server's code, never
    its text.
    """
    return f"{_kind(error)} {_code(error)}".strip()[:64]


def is_permanent(error: BaseException) -> bool:
    """Return whether the address itself is refused: no later attempt can succeed."""
    if isinstance(error, SMTPRecipientsRefused):
        return all(
            500 <= code < 600 and not HEALING.match(text)
            for code, text in error.recipients.values()
        )
    if _http_status(error) == 400:
        return _names_the_recipient(error)
    return (
        isinstance(error, Undeliverable)
        or type(error).__name__ == "AnymailRecipientsRefused"
    )


def is_outage(error: BaseException) -> bool:
    """Return whether the failure is of the provider or of our log-in there, so that no
    email can be sent at present.
    """
    status = _http_status(error)
    if status:
        return status in REFUSES_ALL or status >= 500
    if isinstance(error, ABOUT_ONE_EMAIL):
        return bool(REFUSES_EVERYBODY & _smtp_codes(error))
    return isinstance(error, OSError) or type(error).__name__ == "AnymailAPIError"


def _in_numbers(code: int, text: bytes) -> str:
    """Return a server's answer without its words: the codes, and the number by which
    its log knows the email.
    """
    said = text.decode("ascii", "replace")
    found = [ENHANCED.match(said), QUEUED.search(said)]
    return " ".join([str(code), *(each[1] for each in found if each)])


def new_backend() -> Any:
    """Return the back end by which this site sends."""
    # What `message.send()` does, on either side of the change from EMAIL_BACKEND to
    # MAILERS.
    return mailers.default if django.VERSION >= (6, 1) else mail.get_connection()


def _was_closed(error: BaseException) -> bool:
    # A server that timed out may still deliver what it has: sending that again at once
    # would make a second email.
    gone = isinstance(
        error, ConnectionError | SMTPServerDisconnected
    ) and not _timed_out(error)
    return gone or CLOSING in _smtp_codes(error)


def _timed_out(error: BaseException) -> bool:
    # smtplib calls a server that does not respond in time "disconnected".
    return isinstance(error, SMTPServerDisconnected) and isinstance(
        error.__context__, TimeoutError
    )


def _smtp_codes(error: BaseException) -> set[int]:
    if isinstance(error, SMTPRecipientsRefused):
        return {code for code, _ in error.recipients.values()}
    return {error.smtp_code} if isinstance(error, SMTPResponseException) else set()


def _http_status(error: BaseException) -> int | None:
    """Return the status of a web API's refusal, from anymail's exceptions or from
    boto3's behind them.
    """
    status = getattr(error, "status_code", None) or _of_amazon(
        error, "ResponseMetadata", "HTTPStatusCode"
    )
    return status if isinstance(status, int) else None


def _of_amazon(error: BaseException, *path: str) -> Any:
    found = getattr(error.__cause__, "response", None)
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _names_the_recipient(error: BaseException) -> bool:
    """SendGrid names the field that it refuses: a recipient stands in
    ``personalizations``.
    """
    with suppress(Exception):
        faults = vars(error)["response"].json()["errors"]
        return all(
            str(fault["field"]).startswith("personalizations") for fault in faults
        )
    return False


def _kind(error: BaseException) -> str:
    # anymail wraps what went wrong on the way, and so does smtplib a time-out: the
    # inner name says more.
    if type(error).__name__.startswith("Anymail") and error.__cause__ is not None:
        return str(_of_amazon(error, "Error", "Code") or type(error.__cause__).__name__)
    return "TimeoutError" if _timed_out(error) else type(error).__name__


def _code(error: BaseException) -> str:
    codes = sorted(_smtp_codes(error))
    status = _http_status(error)
    numbers = [*map(str, codes or ([status] if status else []))]
    return " ".join([*numbers, *_enhanced(error)])


def _enhanced(error: BaseException) -> list[str]:
    """Return the codes of RFC 3463 in the answers of an SMTP server."""
    said: list[Any] = []
    if isinstance(error, SMTPRecipientsRefused):
        said = [text for _code, text in error.recipients.values()]
    elif isinstance(error, ABOUT_ONE_EMAIL):
        said = [getattr(error, "smtp_error", b"")]
    texts = (
        text.decode("ascii", "replace") if isinstance(text, bytes) else str(text)
        for text in said
    )
    return sorted({found[1] for text in texts if (found := ENHANCED.match(text))})
