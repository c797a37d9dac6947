"""What became of what the site has sent by itself, in a word or two."""

from __future__ import annotations

from django.utils import timezone
from django.utils.translation import gettext as _

from password_reset.campaigns import ForcedPasswordReset, PasswordResetInvitation

from . import states
from .states import at


def of_invitation(row: PasswordResetInvitation) -> str:
    """Return what became of an invitation, in a word or two."""
    if row.accepted_at:
        return _("accepted at %(time)s") % {"time": at(row.accepted_at)}
    if row.voided_at:
        return _("voided at %(time)s") % {"time": at(row.voided_at)}
    if row.processed_at and row.mails_sent:
        words = {"time": at(row.ends_at)}
        if row.ends_at <= timezone.now():
            return _("expired at %(time)s") % words
        return _("sent; works until %(time)s") % words
    return _not_sent(row)


def of_forced_reset(row: ForcedPasswordReset) -> str:
    """Return what became of a forced reset, in a word or two."""
    if row.forced_at is None:
        return _("password not ended yet")
    return _not_sent(row)


def _not_sent(row: PasswordResetInvitation | ForcedPasswordReset) -> str:
    is_needless = row.processed_at and not row.mails_sent
    return _("not sent") if is_needless else states.of_mail(row)
