"""Secrets of the flow: how they are made, recognised and compared. No models, no
settings of ours.
"""

from __future__ import annotations

import json
import re
import secrets
from datetime import timedelta
from hashlib import sha256
from typing import Any, TypeGuard

from django.conf import settings
from django.core.signing import TimestampSigner
from django.utils.crypto import constant_time_compare, salted_hmac

#: 256 bits from the operating system: OWASP asks for 128 at least, ASVS 5.0 (11.5.1)
#: for a CSPRNG.
TOKEN_BYTES = 32
TOKEN_SHAPE = re.compile(r"[0-9a-f]{64}")
FINGERPRINT_SALT = "password_reset.tokens.fingerprint"
#: What is signed for "it was not me" means nothing anywhere else, and the reverse.
DISOWN_SALT = "password_reset.tokens.disown"


def new_token() -> str:
    """Return a new secret of 64 lower-case hexadecimal digits."""
    return secrets.token_hex(TOKEN_BYTES)


def is_well_formed(raw: object) -> TypeGuard[str]:
    """Return whether a value could be a token at all, before anything else sees it."""
    return isinstance(raw, str) and TOKEN_SHAPE.fullmatch(raw) is not None


def digest(raw: str) -> str:
    """Return the SHA-256 of a token in hexadecimal: all that a table ever holds.

    A fast hash is enough, since the input is uniformly random (NIST SP 800-63B-4,
    look-up secrets).
    """
    return sha256(raw.encode("ascii")).hexdigest()


def mask(raw: object) -> str:
    """Return what a log may contain of a token: eight digits, or ``malformed``."""
    return f"{raw[:8]}..." if is_well_formed(raw) else "malformed"


def fingerprint(
    user_id: Any,
    password: str,
    email: str,
    *,
    purpose: str = "",
    secret: str | bytes | None = None,
) -> str:
    """Return a keyed digest of what must not change between email and reset.

    ``password`` is the stored hash. The link of one user, password and address opens
    nothing else (authentik CVE-2023-26481), and dies with any of the three. That of one
    ``purpose`` is no link of another.
    """
    values = [str(user_id), password, email]
    value = json.dumps([*values, purpose] if purpose else values)
    return salted_hmac(
        FINGERPRINT_SALT, value, secret=secret, algorithm="sha256"
    ).hexdigest()


def matches(
    expected: str, user_id: Any, password: str, email: str, *, purpose: str = ""
) -> bool:
    """Return whether a fingerprint is of these values, under the current key or one of
    its fallbacks.
    """
    keys = [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]
    return any(
        constant_time_compare(
            expected,
            fingerprint(user_id, password, email, purpose=purpose, secret=key),
        )
        for key in keys
    )


def sign_row(kind: str, pk: int) -> str:
    """Return the signed number of a row, for its owner to say "it was not me".

    It names no account and opens nothing.
    """
    return TimestampSigner(salt=DISOWN_SALT).sign(f"{kind}.{pk}")


def signed_row(value: str, max_age: timedelta) -> tuple[str, int]:
    """Return the kind and number that ``sign_row`` has signed.

    Raises ``BadSignature``, and ``SignatureExpired`` for a number that is too old.
    """
    kind, _dot, pk = (
        TimestampSigner(salt=DISOWN_SALT).unsign(value, max_age).partition(".")
    )
    return kind, int(pk)
