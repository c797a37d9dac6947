"""A proof instead of a refusal: above a soft limit the form may ask for one.

Whether it does depends on how many requests came from a network or to the site, never
on the address, so a challenge tells nothing of an account.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol

from django.conf import settings
from django.core.cache import caches

from . import ratelimit
from .conf import conf

__all__ = ["Challenge", "ProofNeeded", "spend_proof"]

logger = logging.getLogger("password_reset")

#: The field of the form that carries a proof.
PROOF_FIELD = "proof"
#: Seconds after which to come back without a proof; most limits are by the hour.
WAIT_WITHOUT_PROOF = 3600


class Challenge(Protocol):
    """What ``PASSWORD_RESET_CHALLENGE`` names makes one of these, for each request."""

    #: Included in the form, with what ``issue`` returns as ``challenge``.
    template_name: str

    def issue(self) -> dict[str, Any]:
        """Return what the template needs; store nothing."""

    def accepts(self, proof: str) -> bool:
        """Return whether a proof is sound, and the first to come with it.

        Anything may come: an answer that is no proof is ``False``, not an exception.
        """


class ProofNeeded(Exception):
    """A soft limit is reached, and the request has no proof that counts."""

    def __init__(self, challenge: Challenge) -> None:
        super().__init__(type(challenge).__name__)
        self.challenge = challenge


def is_proven(ip_address: str | None, proof: str | None) -> bool:
    """Return whether a request came with a proof that it needed.

    ``None`` stands for a client that can show no challenge: nothing is asked of it.
    Raises ``ProofNeeded`` or ``ratelimit.CounterUnavailable``.
    """
    if proof is None or conf.challenge is None:
        return False
    if ratelimit.soft_limit(ip_address) is None:
        return False
    challenge: Challenge = conf.challenge()
    if not (proof and challenge.accepts(proof)):
        raise ProofNeeded(challenge)
    return True


def spend_proof(name: str, seconds: int) -> bool:
    """Return whether a proof is the first of this name; it is remembered for so long,
    in the cache of the counters.

    Raises ``ratelimit.CounterUnavailable``: what cannot be remembered does not count.
    """
    cache = caches[getattr(settings, "RATELIMIT_USE_CACHE", "default")]
    try:
        return bool(cache.add(f"password-reset:proof:{name}", 1, seconds))
    except Exception as error:  # each cache client raises its own
        logger.error("A proof cannot be remembered: %s", type(error).__name__)
        raise ratelimit.CounterUnavailable from error
