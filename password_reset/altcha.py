"""ALTCHA's proof of work, made and judged by this site alone (extra ``altcha``).

The browser looks for a number whose SHA-256, behind a salt, is the one that was asked
for: a second for a person, and a bill for whoever asks a hundred thousand times.
"""

from __future__ import annotations

import base64
import json
from datetime import timedelta
from typing import Any

from altcha.v1 import create_challenge, verify_solution
from django.utils import timezone
from django.utils.crypto import salted_hmac

from .challenge import PROOF_FIELD, spend_proof

__all__ = ["AltchaChallenge"]

TEXTS = ("algorithm", "challenge", "salt", "signature")
#: Bytes of a proof in base64, with room to spare.
LONGEST = 1000


class AltchaChallenge:
    """A challenge of ALTCHA, version 1: SHA-256, signed, and good for ten minutes."""

    template_name = "password_reset/altcha.html"
    #: The largest number to try; half of them are tried on average.
    max_number = 100_000
    lifetime = timedelta(minutes=10)

    def issue(self) -> dict[str, Any]:
        """Return a challenge as ALTCHA writes it."""
        made = create_challenge(
            algorithm="SHA-256",
            max_number=self.max_number,
            salt_length=12,
            hmac_key=_key(),
            salt="",
            number=None,
            expires=timezone.now().astimezone() + self.lifetime,
            params=None,
        )
        return {"field": PROOF_FIELD, **vars(made)}

    def accepts(self, proof: str) -> bool:
        """Return whether a solution is right, in time, of a challenge of this form, and
        the first.
        """
        solution = _read(proof)
        if solution is None or not verify_solution(solution, _key())[0]:
            return False
        # By what was asked, not by how the answer is written.
        seconds = int(self.lifetime.total_seconds()) + 60
        return spend_proof(solution["challenge"], seconds)


def _read(proof: str) -> Any:
    """Return a solution of the right types, or ``None``.

    A number that is a text could carry a part of the salt, and so hide when the
    challenge expires (as CVE-2025-68113 did).
    """
    try:
        found = json.loads(base64.b64decode(proof[:LONGEST], validate=True))
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or type(found.get("number")) is not int:
        return None
    texts = [found.get(name) for name in TEXTS]
    sound = all(isinstance(text, str) and text.isascii() for text in texts)
    return found if sound and "expires=" in found["salt"] else None


def _key() -> str:
    """Return a key of this form's own: no other challenge of the site counts here."""
    return salted_hmac("password_reset.altcha", "proof", algorithm="sha256").hexdigest()
