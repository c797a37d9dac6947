"""Remember log-ins, best effort, so that a reset can clean the session store."""

from __future__ import annotations

import logging
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.db import router, transaction

from .models import UserSession
from .revokers import keeps_sessions
from .visitors import USER_AGENT_LENGTH, printable

logger = logging.getLogger("password_reset")


def connect() -> None:
    """Listen to log-in and log-out."""
    user_logged_in.connect(remember, dispatch_uid="password_reset.remember_session")
    user_logged_out.connect(forget, dispatch_uid="password_reset.forget_session")


def remember(sender: Any, request: Any, user: AbstractBaseUser, **kwargs: Any) -> None:
    """Keep the key of a new session. A failure never stops a log-in."""
    session = getattr(request, "session", None)
    if session is None or not keeps_sessions():
        return
    try:
        if (
            session.session_key is None
        ):  # somebody else's log-in in this browser was flushed a moment ago
            session.save()
        with transaction.atomic(using=router.db_for_write(UserSession)):
            _keep(session.session_key, user, _browser(request))
    except Exception:
        logger.exception("A log-in could not be recorded")


def _keep(key: str, user: AbstractBaseUser, user_agent: str) -> None:
    # The write comes first: SQLite cannot upgrade a read lock ("database is
    # locked").
    values = {"user_id": user.pk, "user_agent": user_agent}
    if not UserSession.objects.filter(session_key=key).update(**values):
        UserSession.objects.create(session_key=key, **values)


def _browser(request: Any) -> str:
    return printable(request.META.get("HTTP_USER_AGENT", ""), USER_AGENT_LENGTH)


def forget(sender: Any, request: Any, **kwargs: Any) -> None:
    """Drop the key of a session that ends."""
    key = getattr(getattr(request, "session", None), "session_key", None)
    if not key:
        return
    try:
        with transaction.atomic(using=router.db_for_write(UserSession)):
            UserSession.objects.filter(session_key=key).delete()
    except Exception:
        logger.exception("A log-out could not be recorded")
