"""What a reset ends: sessions, API tokens, and whatever else the host names."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime
from importlib import import_module
from typing import Any

from django.apps import apps
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.backends.base import SessionBase
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from .conf import conf
from .models import UserSession

logger = logging.getLogger("password_reset")

Revoker = Callable[[AbstractBaseUser], int]


class RevocationFailed(Exception):
    """A revoker could not do its work, so the reset is rolled back."""


def revoke_all(user: AbstractBaseUser) -> int:
    """Run every revoker inside the reset's transaction and return how much was ended.

    Raises ``RevocationFailed`` when one of them does not succeed, which rolls the reset
    back: a password that is changed while a stolen API token lives on would be a false
    promise.
    """
    ended = 0
    for revoke in revokers():
        try:
            ended += revoke(user)
        except Exception as error:
            logger.exception("A revoker failed, so a password reset was rolled back")
            raise RevocationFailed from error
    return ended


def revokers() -> Iterator[Revoker]:
    """Yield the built-in revokers whose package is installed, then the host's."""
    if apps.is_installed("rest_framework.authtoken"):
        yield _rows_of("authtoken.Token")
    if apps.is_installed("rest_framework_simplejwt.token_blacklist"):
        yield blacklist_outstanding_tokens
    for entry in conf.revokers:
        yield _resolve(entry)


def blacklist_outstanding_tokens(user: AbstractBaseUser) -> int:
    """Put each of a user's refresh tokens on simplejwt's blacklist."""
    outstanding, blacklisted = (
        _model("token_blacklist.OutstandingToken"),
        _model("token_blacklist.BlacklistedToken"),
    )
    open_tokens = outstanding.objects.filter(
        user_id=user.pk, blacklistedtoken__isnull=True
    )
    return len(
        [blacklisted.objects.get_or_create(token=token) for token in open_tokens]
    )


def end_sessions(user: AbstractBaseUser, before: datetime) -> int:
    """Delete a user's sessions from the session store and return how many there were,
    at least.

    What ends a session is Django's session hash; this makes the stores tidy. A log-in
    after ``before``, with the new password, stays.
    """
    rows = UserSession.objects.filter(user_id=user.pk, created_at__lte=before)
    ended = sum(_delete_session(row.session_key) for row in rows)
    rows.delete()
    return ended


def keeps_sessions() -> bool:
    """Return whether the session engine stores anything: in a signed cookie the key is
    the session itself.
    """
    return not settings.SESSION_ENGINE.endswith("signed_cookies")


def session_store(key: str | None = None) -> SessionBase:
    """Return a session of the host's engine."""
    store: SessionBase = import_module(settings.SESSION_ENGINE).SessionStore(key)
    return store


def _delete_session(key: str) -> bool:
    store = session_store(key)
    existed = bool(store.exists(key))
    store.delete(key)
    return existed


def _resolve(entry: str | Revoker) -> Revoker:
    if callable(entry):
        return entry
    try:
        found: Any = import_string(entry)
    except ImportError:
        return _rows_of(entry)
    if not callable(found) or isinstance(found, type):
        raise ImproperlyConfigured(
            f"PASSWORD_RESET_REVOKERS: {entry} is no function of a user."
        )
    revoker: Revoker = found
    return revoker


def _rows_of(label: str) -> Revoker:
    """Return a revoker that deletes a user's rows of a model with a ``user`` foreign
    key.
    """
    model = _model(label)

    def revoke(user: AbstractBaseUser) -> int:
        deleted: int = (
            model._default_manager.filter(user_id=user.pk)
            .delete()[1]
            .get(model._meta.label, 0)
        )
        return deleted

    return revoke


def _model(label: str) -> Any:
    try:
        return apps.get_model(label)
    except (LookupError, ValueError) as error:
        raise ImproperlyConfigured(
            f"PASSWORD_RESET_REVOKERS: {label} is neither importable nor a model label."
        ) from error
