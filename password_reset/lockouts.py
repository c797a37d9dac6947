"""What django-axes has counted against an account: a reset takes it away.

Whoever has forgotten a password has usually tried a few, and would wait for the end of
a lock with the new one in hand.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module

from django.apps import apps
from django.contrib.auth.base_user import AbstractBaseUser

from .users import log_in_names


def unlock(user: AbstractBaseUser, ip_address: str | None) -> None:
    """Take away the failed log-ins of a user's names, where django-axes is installed.

    Those of other names, and what is counted for an address alone, stay.
    """
    if not apps.is_installed("axes"):
        return
    for name in log_in_names(user, _counted_as(user)):
        _forget(name, ip_address)


def _counted_as(user: AbstractBaseUser) -> Iterable[str]:
    """Return the spellings of a user's names under which something is counted."""
    helpers = import_module("axes.helpers")
    attempts = import_module("axes.models").AccessAttempt.objects
    for name in log_in_names(user):
        # As axes does after a log-in: the host may have a function of its own.
        yield helpers.get_client_username(None, helpers.get_credentials(name)) or ""
        yield from attempts.filter(username__iexact=name).values_list(
            "username", flat=True
        )


def _forget(name: str, ip_address: str | None) -> None:
    reset = import_module("axes.utils").reset
    # In the database this finds each row of the name. In a cache it finds the count of
    # the name alone, and one of a name at an address needs both.
    reset(username=name)
    if ip_address and _counts_names_only(name):
        reset(username=name, ip=ip_address)


def _counts_names_only(name: str) -> bool:
    """Return whether all that is counted is of a name: otherwise, with an address, what
    is counted for that alone would go too, and is of others.
    """
    helpers = import_module("axes.helpers")
    attempt = import_module("axes.models").AccessAttempt(username=name)
    counted = helpers.get_lockout_parameters(attempt, helpers.get_credentials(name))
    return all(
        "username" in ([each] if isinstance(each, str) else each) for each in counted
    )
