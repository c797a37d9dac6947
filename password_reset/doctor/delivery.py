"""Worker and mail: a row that is really worked on, and a server that is really spoken
to.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from email.utils import parseaddr
from smtplib import SMTPRecipientsRefused, SMTPSenderRefused
from time import monotonic, sleep
from typing import Any

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.smtp import EmailBackend as SmtpBackend

from password_reset import worker
from password_reset.conf import conf
from password_reset.mail_connection import error_code, new_backend
from password_reset.models import PasswordResetRequest

from .findings import TIMEOUT, Finding, Patient, WebError, fault, good, note
from .web import diagnose

#: Of nobody, whoever the users are (RFC 2606).
ADDRESS = "doctor-{}@doctor.invalid"
PAUSE = 0.2
#: Back ends that send to nobody.
SILENT = ("console", "locmem", "dummy", "filebased")
#: What to do about what an SMTP server says, by the kind of the failure.
REMEDIES = {
    "SMTPAuthenticationError": "Correct the user name and password of the mail server.",
    "SMTPNotSupportedError": "Use the port with STARTTLS (587), or TLS from the first "
    "byte (465).",
    "SSLCertVerificationError": "Name the host that the certificate is of, or trust "
    "its authority (SSL_CERT_FILE).",
    "ConnectionRefusedError": "Start the mail server; look at host, port and firewall.",
    "TimeoutError": "Look at host, port and firewall: port 25 is often closed.",
    "gaierror": "Correct the mail server's name.",
    "SMTPSenderRefused": "Let the mail server accept the sender, DEFAULT_FROM_EMAIL.",
    "SMTPRecipientsRefused": "Let the mail server accept mail to others from here.",
}


def check_worker(patient: Patient) -> Iterator[Finding]:
    """A worker takes a row that the site wakes it for, and settles it. The row is of an
    address that nobody has, and goes afterwards.
    """
    if not conf.enabled:
        yield note("The flow is switched off: the worker was not tried.")
        return
    email = ADDRESS.format(secrets.token_hex(8))
    row = PasswordResetRequest.objects.create(email=email, user_agent="doctor")
    try:
        _wake(patient, row.pk)
        yield _judge_worker(patient, _settled(row, patient.wait))
    finally:
        PasswordResetRequest.objects.filter(pk=row.pk).delete()


def check_mail(patient: Patient) -> Iterator[Finding]:
    """The mail server takes our log-in, our sender and a recipient."""
    backend = new_backend()
    if patient.to:
        yield _judge_mail(lambda: _send_to(patient.to), f"An email to {patient.to}")
        return
    kind = type(backend).__module__.rsplit(".", 1)[-1]
    if isinstance(backend, SmtpBackend):
        yield _judge_mail(lambda: _converse(backend), "The mail server")
    elif any(part in kind for part in SILENT) or "console" in kind:
        judge = note if settings.DEBUG else _sends_nothing
        yield judge(f"Emails go nowhere: {type(backend).__module__}.")
    else:
        yield note(
            f"{type(backend).__module__} is tried only by an email: "
            "--to somebody@example.com."
        )


def _wake(patient: Patient, pk: int) -> None:
    """Have the web process wake a worker, as for a visitor; do it here where it does
    not answer, which another check says.
    """
    try:
        diagnose(patient.base_url, TIMEOUT, wake=pk)
    except WebError:
        if not conf.has_embedded_worker():
            worker.wake(worker.deliver_request, pk)


def _settled(row: PasswordResetRequest, seconds: float) -> PasswordResetRequest:
    """Return the row as it is after a worker, or after so many seconds."""
    until = monotonic() + seconds
    while monotonic() < until:
        row.refresh_from_db()
        if row.processed_at or row.failed_at or row.last_error:
            break
        sleep(PAUSE)
    return row


def _judge_worker(patient: Patient, row: PasswordResetRequest) -> Finding:
    patient.settled_at = row.processed_at
    if row.processed_at:
        seconds = (row.processed_at - row.created_at).total_seconds()
        return good(f"A worker has taken and settled a row within {seconds:.1f} s.")
    if row.last_error:
        return fault(
            f"The worker fails: {row.last_error}.",
            'docs/operating.md, "Codes"; its log has the traceback.',
        )
    if row.attempts:
        return fault(
            f"A worker took a row and has not settled it within {patient.wait:.0f} s.",
            "Look at its log: what it waits for has no time-out.",
        )
    return fault(
        f"No worker has taken a row within {patient.wait:.0f} s.",
        "Start the worker of your TASKS back end, or process_reset_requests --loop. "
        "Where only cron sends, ask with --wait 70.",
    )


def _judge_mail(converse: Any, subject: str) -> Finding:
    try:
        converse()
    except Exception as error:
        code = error_code(error)
        remedy = REMEDIES.get(code.partition(" ")[0], 'docs/operating.md, "Codes".')
        return fault(f"{subject} is refused, or cannot be reached: {code}.", remedy)
    return good(f"{subject} was accepted.")


def _converse(backend: SmtpBackend) -> None:
    """Speak to the server up to the recipient, our own sender, and send nothing."""
    backend.timeout = TIMEOUT
    backend.open()
    smtp: Any = backend.connection
    sender = parseaddr(conf.from_email)[1]
    try:
        smtp.ehlo_or_helo_if_needed()
        code, said = smtp.mail(sender)
        if code != 250:
            raise SMTPSenderRefused(code, said, sender)
        code, said = smtp.rcpt(sender)
        if code not in {250, 251}:
            raise SMTPRecipientsRefused({sender: (code, said)})
        smtp.rset()
    finally:
        backend.close()


def _send_to(address: str) -> None:
    text = f"manage.py doctor of {conf.base_url} has sent this: emails leave."
    subject = f"{conf.app_name}: test"
    EmailMessage(subject, text, conf.from_email, [address]).send()


def _sends_nothing(text: str) -> Finding:
    return fault(
        text,
        "Use a back end that sends; this one shows links to whoever reads it (W011).",
    )
