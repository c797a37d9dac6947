"""What a host adds to the emails: its own context, and a last touch on each message.

A hook that fails is a failure of this attempt, as a broken template is: the row waits
and is tried again, and staff see why.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.mail import EmailMultiAlternatives

from .brands import Brand
from .conf import PREFIX, conf

__all__ = ["MailHookFailed"]

logger = logging.getLogger("password_reset")

#: Headers that name recipients, some of which providers obey.
RECIPIENTS = frozenset({"to", "cc", "bcc", "resent-to", "resent-cc", "resent-bcc"})


class MailHookFailed(Exception):
    """A function of the host raised, or returned what it should not; the message names
    the setting.
    """


def add_context(
    context: dict[str, Any], user: AbstractBaseUser, kind: str
) -> dict[str, Any]:
    """Return the context of an email with what the host adds to it. The names of this
    app stay as they are: a hook cannot put another link under ``link``.
    """
    hook = conf.mail_context
    if hook is None:
        return context
    try:
        extra = hook(user, brand=context["brand"], kind=kind)
    except Exception as error:
        raise MailHookFailed(f"{PREFIX}MAIL_CONTEXT") from error
    if extra is not None and not isinstance(extra, Mapping):
        raise MailHookFailed(f"{PREFIX}MAIL_CONTEXT returned no dict")
    extra = extra or {}
    if taken := sorted(map(str, extra.keys() & context.keys())):
        logger.warning("PASSWORD_RESET_MAIL_CONTEXT cannot replace %s", taken)
    return {**extra, **context}


def last_touch(
    message: EmailMultiAlternatives,
    user: AbstractBaseUser,
    brand: Brand,
    kind: str,
    *,
    has_secret: bool,
) -> EmailMultiAlternatives:
    """Return an email as the host's hook leaves it, for the recipient that it had.

    Whoever else gets an email with a secret could take the account, so such an email
    has no blind copy either.
    """
    hook = conf.mail_message
    if hook is None:
        return message
    to, ours = list(message.to), dict(message.extra_headers)
    try:
        touched = hook(message, user=user, brand=brand, kind=kind)
    except Exception as error:
        raise MailHookFailed(f"{PREFIX}MAIL_MESSAGE") from error
    touched = message if touched is None else touched
    if not isinstance(touched, EmailMultiAlternatives):
        raise MailHookFailed(f"{PREFIX}MAIL_MESSAGE returned no email")
    _keep_recipient(touched, to, has_secret)
    # By its ID an email is found again in the log of the provider.
    kept = RECIPIENTS | {name.lower() for name in ours}
    theirs = touched.extra_headers.items()
    added = {name: value for name, value in theirs if name.lower() not in kept}
    touched.extra_headers = {**added, **ours}
    return touched


def _keep_recipient(
    message: EmailMultiAlternatives, to: list[str], has_secret: bool
) -> None:
    bcc = [] if has_secret else list(message.bcc)
    if (list(message.to), list(message.cc), list(message.bcc)) != (to, [], bcc):
        logger.warning(
            "PASSWORD_RESET_MAIL_MESSAGE cannot change the recipients of an email%s",
            ", nor copy one with a link" if has_secret else "",
        )
    message.to, message.cc, message.bcc = to, [], bcc
