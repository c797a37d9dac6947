"""Why an email was not sent: the code on a row in words for support staff."""

from __future__ import annotations

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from password_reset.outbox import HELD

SILENT = gettext_lazy("the mail server does not answer")
HUNG_UP = gettext_lazy("the mail server hung up")
CERTIFICATE = gettext_lazy("the mail server's certificate is not trusted")
LOG_IN = gettext_lazy("the mail provider refuses our user name, password or key")
SLOW_DOWN = gettext_lazy("the mail provider takes no more mails from us at present")
PROVIDER = gettext_lazy("the mail provider has trouble of its own")
RECIPIENT = gettext_lazy("the recipient's address is refused")
NOT_NOW = gettext_lazy(
    "the recipient's mail server puts us off, as it does with a full mailbox or an "
    "unknown sender"
)
SENDER = gettext_lazy("our sender address is refused")
MESSAGE = gettext_lazy("the mail itself is refused")
UNDELIVERABLE = gettext_lazy("the address on file cannot be mailed to")
DATABASE = gettext_lazy("the database could not be reached")
TEMPLATE = gettext_lazy("the mail could not be written, since its template is broken")
HOOK = gettext_lazy(
    "the mail could not be written, since this site's own function for mails failed"
)
LIMITED = gettext_lazy(
    "others have asked for this address so often that it gets no more for a while; "
    "a link that staff send still goes out"
)
CRASHED = gettext_lazy("the worker was ended in the middle of it")

#: Why the site mailed somebody nothing by itself.
CAMPAIGNS = {
    "inactive": gettext_lazy("the account is not active"),
    "no_address": gettext_lazy("the account has no mail address"),
    "has_password": gettext_lazy("the owner has chosen a password meanwhile"),
    "no_password": gettext_lazy("the account has no password to replace"),
    "voided": gettext_lazy("the invitation was voided"),
    "restored": gettext_lazy("it is of before the database was restored"),
}
KINDS = {
    **CAMPAIGNS,
    "crashed": CRASHED,
    HELD: LIMITED,
    "TimeoutError": SILENT,
    "ConnectionRefusedError": SILENT,
    "ConnectTimeout": SILENT,
    "ReadTimeout": SILENT,
    "ConnectionError": SILENT,
    "EndpointConnectionError": SILENT,
    "gaierror": gettext_lazy("the mail server's name is not found"),
    "OSError": SILENT,
    "SMTPServerDisconnected": HUNG_UP,
    "ConnectionResetError": HUNG_UP,
    "BrokenPipeError": HUNG_UP,
    "SMTPConnectError": HUNG_UP,
    "SSLCertVerificationError": CERTIFICATE,
    "SSLError": CERTIFICATE,
    "SMTPAuthenticationError": LOG_IN,
    "NoCredentialsError": LOG_IN,
    "SMTPRecipientsRefused": RECIPIENT,
    "AnymailRecipientsRefused": RECIPIENT,
    "SMTPSenderRefused": SENDER,
    "SMTPDataError": MESSAGE,
    "Undeliverable": UNDELIVERABLE,
    "OperationalError": DATABASE,
    "InterfaceError": DATABASE,
    "TemplateDoesNotExist": TEMPLATE,
    "TemplateSyntaxError": TEMPLATE,
    "MailHookFailed": HOOK,
}
#: What RFC 3463's code says: the recipient's server knows best.
ENHANCED = {
    "4.2.2": gettext_lazy("the mailbox is full"),
    "5.1.1": gettext_lazy("there is no such mailbox"),
    "5.1.2": gettext_lazy("the domain of the address takes no email"),
    "5.2.1": gettext_lazy("the mailbox is closed"),
    "5.2.2": gettext_lazy("the mailbox is full"),
}
#: What a web API's status says, where its kind of error says nothing.
STATUSES = {"401": LOG_IN, "403": LOG_IN, "429": SLOW_DOWN, "400": MESSAGE}


def in_words(code: str) -> str:
    """Return a row's last error as a sentence's end, with the code for whoever has to
    repair it.
    """
    if not code:
        return ""
    kind, _space, number = code.partition(" ")
    number, _space, enhanced = number.partition(" ")
    words = (
        ENHANCED.get(enhanced)
        or KINDS.get(kind)
        or STATUSES.get(number)
        or (PROVIDER if number.startswith("5") else _("something failed"))
    )
    if enhanced in ENHANCED:
        return f"{words} ({code})"
    if kind.startswith("SMTP") and number.startswith("4") and words != LOG_IN:
        words = NOT_NOW if kind == "SMTPRecipientsRefused" else SLOW_DOWN
    return f"{words} ({code})"
