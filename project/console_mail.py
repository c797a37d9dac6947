"""Development's mail back end: the console shows what a person reads in an email, and
the page of sent emails shows the rest.
"""

from __future__ import annotations

from django.core.mail import EmailMessage
from django.core.mail.backends import console

from . import sent_mails


class EmailBackend(console.EmailBackend):
    """Print sender, recipient, subject and text, and keep the email for ``/mails``.

    Django's own back end prints the email as it travels: with its HTML, and with long
    lines broken, so that no link can be copied.
    """

    def write_message(self, message: EmailMessage) -> None:
        sent_mails.keep(message)
        lines = (
            f"From: {message.from_email}",
            f"To: {', '.join(message.to)}",
            f"Subject: {message.subject}",
            "",
            str(message.body).strip(),
        )
        rule = "-" * 79
        self.stream.write("\n".join((rule, *lines, rule, "")))
