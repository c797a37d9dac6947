"""The emails: what they say, to whom, and in which language."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, tzinfo
from email.utils import make_msgid, parseaddr
from functools import partial
from secrets import token_hex
from typing import Any
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.urls import NoReverseMatch, get_script_prefix
from django.utils import timezone, translation
from django.utils.encoding import punycode

from . import brand_templates, brands, mail_hooks, tokens
from .brands import Brand
from .codes import LIFETIME, in_groups
from .conf import conf
from .mail_connection import MailConnection, check_address
from .models import PasswordResetNotice, PasswordResetRequest
from .outbox import OutboxRow
from .pages import Page, login_url, path_of
from .purposes import Purpose, lifetime_of
from .users import login_name, must_reset, stored_email, time_zone_of
from .visitors import browser_in_words

NAME_LENGTH = 40
#: What stands between the letters of names. The dots of other scripts (evil。com) and
#: whatever else makes a link, an address or a sentence do not (danbooru #4274).
BETWEEN_LETTERS = frozenset(" '-.,\u2010\u2019")
#: A dot inside a word, and Lisu's letters that look like dots.
DOTTED = re.compile(r"\.[^ ,]|[\ua4f8-\ua4ff]")
#: A third digit makes a telephone number of a name.
DIGITS = 2
#: RFC 3834 and Microsoft's own: no holiday notice answers these emails.
HEADERS = {"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All"}


def reset_message(
    row: OutboxRow,
    user: AbstractBaseUser,
    raw: str,
    expires_at: datetime,
    to: str = "",
    code: str = "",
    purpose: Purpose = Purpose.RESET,
) -> EmailMultiAlternatives:
    """Write the email with the link and, where there is one, the code, in the reader's
    language and time zone; it goes to the address on file unless ``to`` is given.

    The row is a request, a notice whose reader said that they changed no password, or
    one of a campaign; each purpose has templates of its own.
    """
    is_asked = isinstance(row, PasswordResetRequest)
    brand = brands.get(row.brand)
    with _for_reader(user, row.language) as at:
        context = {
            **_context(row, user, brand),
            "link": link(raw, brand),
            "is_first": not (user.has_usable_password() or must_reset(user)),
            "username": login_name(user),
            "code": in_groups(code),
            "code_lifetime": LIFETIME,
            "expires_at": at(expires_at),
            "token_lifetime": lifetime_of(purpose),
            "requested_at": at(row.created_at) if is_asked else None,
            "disown_url": _disown_url("request", row, brand) if is_asked else "",
        }
        return _message(purpose.value, to or stored_email(user), context)


def explanation_message(
    request: PasswordResetRequest, user: AbstractBaseUser
) -> EmailMultiAlternatives:
    """Write the email that says how to log in to an account without a password, in the
    reader's language.
    """
    brand = brands.get(request.brand)
    with _for_reader(user, request.language) as at:
        found = conf.login_providers(user)
        names = [found] if isinstance(found, str) else [str(name) for name in found]
        context = {
            **_context(request, user, brand),
            "providers": names,
            "login_url": _login_url(brand),
            "requested_at": at(request.created_at),
        }
        return _message("explanation", stored_email(user), context)


def changed_message(notice: PasswordResetNotice) -> EmailMultiAlternatives:
    """Write the email that tells of a changed password, in the reader's language."""
    user: AbstractBaseUser = notice.user
    brand = brands.get(notice.brand)
    with _for_reader(user, notice.language) as at:
        context = {
            **_context(notice, user, brand),
            "changed_at": at(notice.created_at),
            "sessions_deleted": notice.sessions_deleted,
            "disown_url": _disown_url("notice", notice, brand),
        }
        return _message("changed", notice.email, context)


def link(raw: str, brand: Brand) -> str:
    """Return the link in the email: always of the brand that the settings name, never
    of the request's host.
    """
    if template := brand.link_template:
        return template.replace("{token}", raw)
    return f"{_url(Page.CONFIRM, brand)}?token={raw}"


def language_of(user: AbstractBaseUser, fallback: str) -> str:
    """Return the user's stored ``language`` (an attribute or property of the host's
    model), else the request's.
    """
    for code in (getattr(user, "language", ""), fallback):
        try:
            return translation.get_supported_language_variant(code)
        except (LookupError, TypeError, AttributeError):
            continue
    return settings.LANGUAGE_CODE


@contextmanager
def _for_reader(
    user: AbstractBaseUser, language: str
) -> Iterator[Callable[[datetime], datetime]]:
    """Write in a user's language and time zone, whatever the request or the worker has;
    yield what turns a moment into one of that zone.
    """
    zone = time_zone_of(user)
    with (
        translation.override(language_of(user, language)),
        timezone.override(zone or timezone.get_default_timezone()),
    ):
        yield partial(_in_zone, zone=zone)


def _in_zone(moment: datetime, zone: tzinfo | None) -> datetime:
    if zone is None:
        return moment
    # Naive under USE_TZ = False; and a template leaves alone there what is not.
    site = timezone.get_default_timezone()
    aware = timezone.make_aware(moment, site) if timezone.is_naive(moment) else moment
    return aware.astimezone(zone)


def greeting_name(user: AbstractBaseUser) -> str:
    """Return a short name to greet by, or nothing where the stored one could carry
    somebody else's message.
    """
    getter = getattr(user, "get_short_name", None)
    stored = str((getter() if getter else "") or "")
    # Normalised first: what mail programs make of a full-width dot is a dot.
    name = unicodedata.normalize("NFKC", stored[: NAME_LENGTH * 4].strip())
    return name if _is_a_name(name) else ""


def _is_a_name(text: str) -> bool:
    if len(text) > NAME_LENGTH or DOTTED.search(text):
        return False
    digits = sum(character.isdecimal() for character in text)
    return digits <= DIGITS and all(map(_is_of_a_name, text))


def _is_of_a_name(character: str) -> bool:
    """Return whether names have a character: a letter, a mark on one, a digit, or what
    stands between them.
    """
    kind = unicodedata.category(character)
    return kind[0] in "LM" or kind == "Nd" or character in BETWEEN_LETTERS


def _context(row: OutboxRow, user: AbstractBaseUser, brand: Brand) -> dict[str, Any]:
    has_pages = not brand.link_template
    return {
        "brand": brand,
        "app_name": brand.name,
        "brand_color": brand.color,
        "site_url": brand.base_url,
        "request_url": _url(Page.REQUEST, brand) if has_pages else brand.base_url,
        "user": user,
        "greeting_name": greeting_name(user),
        "email": stored_email(user),
        "ip_address": row.ip_address,
        "browser": browser_in_words(row.user_agent),
    }


def _url(page: Page, brand: Brand) -> str:
    return _absolute(path_of(page), brand)


def _absolute(path: str, brand: Brand) -> str:
    # A worker knows no script prefix: where the site has one, it is part of the base
    # URL.
    return f"{brand.base_url}/{path.removeprefix(get_script_prefix())}"


def _disown_url(kind: str, row: OutboxRow, brand: Brand) -> str:
    """Return where to say "it was not me"; nothing where the site has no such page."""
    try:
        return f"{_url(Page.DISOWN, brand)}?n={tokens.sign_row(kind, row.pk)}"
    except NoReverseMatch:
        return ""


def _login_url(brand: Brand) -> str:
    """Return where to log in: the site itself where it has no page for that alone."""
    url = login_url(brand)
    if url is None:
        return brand.base_url
    return url if urlsplit(url).netloc else _absolute(url, brand)


def _domain(sender: str) -> str:
    return punycode(parseaddr(sender)[1].rpartition("@")[2]) or "localhost"


class WholeLinks(EmailMultiAlternatives):
    """An email whose text keeps each link in one piece, also where it is printed.

    From Django 6.0 on, Python's policy would encode a line of over 78 characters as
    quoted-printable, and a console or a log would show ``token=3D…`` in pieces.
    """

    def message(self, **kwargs: Any) -> Any:
        written: Any = super().message(**kwargs)
        # Python would look for one that no part contains, with a new pattern each time.
        written.set_boundary(f"={token_hex(16)}")
        if django.VERSION >= (6, 0):
            encoding = "7bit" if self.body.isascii() else "8bit"
            written.get_body(["plain"]).set_content(self.body, cte=encoding)
        return written


def _message(name: str, to: str, context: dict[str, Any]) -> EmailMultiAlternatives:
    """Write an email to the user of a context, which has a secret under ``link`` where
    it carries one.
    """
    check_address(to)
    brand, user, has_secret = context["brand"], context["user"], "link" in context
    context = mail_hooks.add_context(context, user, name)
    subject, text, html = (
        brand_templates.render(f"password_reset/mail/{name}{end}", context, brand)
        for end in ("_subject.txt", ".txt", ".html")
    )
    headers = {**HEADERS, "Message-ID": make_msgid(domain=_domain(brand.from_email))}
    message = WholeLinks(
        " ".join(subject.split()), text, brand.from_email, [to], headers=headers
    )
    message.attach_alternative(html, "text/html")
    return mail_hooks.last_touch(message, user, brand, name, has_secret=has_secret)


def send(message: EmailMessage, connection: MailConnection) -> str:
    """Send a message and return its ID. Raises what the mail back end raises."""
    connection.send(message)
    # Amazon and SendGrid give the message an ID of their own.
    status = getattr(message, "anymail_status", None)
    message_id = str(
        getattr(status, "message_id", None) or message.extra_headers["Message-ID"]
    )
    connection.note(message.to[0], message_id)
    return message_id
