"""What a link is for: a forgotten password, a first password, or one that the site has
ended.
"""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.utils.translation import gettext_lazy as _

from .conf import conf


class Purpose(models.TextChoices):
    """What a link was mailed for. An invitation opens nothing but a first password, and
    nothing else is one.
    """

    RESET = "reset", _("reset")
    INVITATION = "invitation", _("invitation")
    FORCED = "forced", _("forced reset")


def lifetime_of(purpose: Purpose) -> timedelta:
    """Return how long a link of this purpose works from the moment it is made."""
    if purpose is Purpose.INVITATION:
        return conf.invitation_lifetime
    if purpose is Purpose.FORCED:
        return conf.forced_reset_lifetime
    return conf.token_lifetime
