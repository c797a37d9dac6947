"""Codes: for whoever reads the email on another device than the one that asked.

A code is typed into the browser that asked and becomes a link there. It is short, so it
has few tries, a short life and one use, and works for one request alone.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core import signing
from django.db import router, transaction
from django.db.models import F
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.views.decorators.debug import sensitive_variables

from . import brands, tokens
from .conf import conf
from .models import PasswordResetCode, PasswordResetRequest, PasswordResetToken
from .users import identity, stored_email

__all__ = ["LENGTH", "LIFETIME", "TRIES", "CodeError", "OpenedLink"]

#: RFC 8628, 6.1: no vowels, so no words; no digits, so nothing to confuse with them.
#: Eight of twenty letters are 34.5 bits.
ALPHABET = "BCDFGHJKLMNPQRSTVWXZ"
LENGTH = 8
#: ASVS 5.0, 6.5.5: at most ten minutes.
LIFETIME = timedelta(minutes=10)
#: Tries for each request, whether or not anybody has the address.
TRIES = 5
#: How long a browser may type a code: an email can be late by hours.
HANDLE_LIFETIME = timedelta(days=1)
OTHERS = re.compile(rf"[^{ALPHABET}]")
DIGEST_SALT = "password_reset.codes.digest"
HANDLE_SALT = "password_reset.codes.handle"


class CodeError(Exception):
    """A code opens nothing; ``tries_left`` is 0 where none will."""

    def __init__(self, tries_left: int) -> None:
        super().__init__(f"{tries_left} tries left")
        self.tries_left = tries_left


@dataclass(frozen=True)
class OpenedLink:
    """What a right code becomes: the secret of a link that nobody has mailed."""

    raw: str
    token: PasswordResetToken


def clean(typed: str) -> str | None:
    """Return the letters of a code as typed; ``None`` where it has not the shape of
    one. Case, spaces, dashes and full-width letters are forgiven.
    """
    letters = OTHERS.sub("", unicodedata.normalize("NFKC", typed).upper())
    return letters if len(letters) == LENGTH else None


def in_groups(code: str) -> str:
    """Return a code as people read it, in two groups of four; nothing for none."""
    return f"{code[:4]}-{code[4:]}" if code else ""


def handle_of(row: PasswordResetRequest) -> str:
    """Return what a browser keeps of the request it made: signed, without an address,
    the same for every address.
    """
    return signing.dumps(row.pk, salt=HANDLE_SALT)


def request_of(handle: str) -> int | None:
    """Return the key of the request of a handle; ``None`` for one that is forged, of
    another purpose, or too old.
    """
    try:
        key = signing.loads(handle, salt=HANDLE_SALT, max_age=HANDLE_LIFETIME)
    except signing.BadSignature:
        return None
    return key if isinstance(key, int) else None


def issue(row: PasswordResetRequest, user: AbstractBaseUser) -> str:
    """Make a code for a user and a request, and return it. Its row holds a keyed digest
    alone: 34 bits would not withstand a search.
    """
    code = "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))
    PasswordResetCode.objects.create(
        request=row,
        user_id=user.pk,
        email=stored_email(user),
        digest=_digest(code, row.pk),
        fingerprint=tokens.fingerprint(*identity(user)),
        expires_at=timezone.now() + LIFETIME,
    )
    return code


def redeem(
    request_id: int,
    code: str,
    *,
    ip_address: str | None,
    user_agent: str,
    brand: str = "",
) -> OpenedLink:
    """Spend a code and return the link that it becomes.

    Raises ``CodeError``. Each try counts, and runs the same statements whether or not
    the request's address belongs to anybody. A request of another brand has no tries.
    """
    left = _count_try(request_id, brand)
    found = _find(request_id, code)
    if found is None or not found.matches(found.user):
        raise CodeError(left)
    with transaction.atomic(using=router.db_for_write(PasswordResetCode)):
        if not PasswordResetCode.objects.spend(found.pk):
            raise CodeError(left)
        return _open_link(found, ip_address, user_agent)


def _count_try(request_id: int, brand: str) -> int:
    """Count a try; return how many are left."""
    rows = PasswordResetRequest.objects.filter(brands.belongs_to(brand), pk=request_id)
    allowed = rows.filter(code_tries__lt=TRIES)
    if allowed.update(code_tries=F("code_tries") + 1) != 1:
        raise CodeError(0)
    return TRIES - max(rows.values_list("code_tries", flat=True), default=TRIES)


def _find(request_id: int, code: str) -> PasswordResetCode | None:
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    digests = [_digest(code, request_id, secret=key) for key in keys]
    found: PasswordResetCode | None = (
        PasswordResetCode.objects.usable()
        .filter(request_id=request_id, digest__in=digests)
        .select_related("user", "request")
        .first()
    )
    return found


@sensitive_variables("raw")
def _open_link(
    code: PasswordResetCode, ip_address: str | None, user_agent: str
) -> OpenedLink:
    raw, now = tokens.new_token(), timezone.now()
    token = PasswordResetToken.objects.create(
        user_id=code.user_id,
        request=code.request,
        email=code.email,
        brand=code.request.brand,
        token_hash=tokens.digest(raw),
        fingerprint=code.fingerprint,
        expires_at=now + conf.token_lifetime,
        ip_address=ip_address,
        user_agent=user_agent,
    )
    token.user = code.user
    return OpenedLink(raw, token)


def _digest(code: str, request_id: int, *, secret: str | bytes | None = None) -> str:
    value = f"{request_id}:{code}"
    return salted_hmac(
        DIGEST_SALT, value, secret=secret, algorithm="sha256"
    ).hexdigest()
