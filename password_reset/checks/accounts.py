"""Whether the host's user model suits the flow."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.conf import global_settings, settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import FieldDoesNotExist, ImproperlyConfigured
from django.db import connections, router

from password_reset.conf import conf
from password_reset.models import PasswordResetToken


def check_user_model(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E004: the user model lacks what the flow needs."""
    model = get_user_model()
    try:
        model._meta.get_field("is_active")
    except FieldDoesNotExist:
        return [
            Error(
                f"{model._meta.label} has no field is_active, by which deactivated "
                "accounts are told.",
                hint="Add a BooleanField is_active with default=True.",
                id="password_reset.E004",
            )
        ]
    return []


def check_databases(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E008: the tables of this app and the users are in different databases."""
    ours = router.db_for_write(PasswordResetToken)
    users = router.db_for_write(get_user_model())
    if ours == users:
        return []
    return [
        Error(
            f"The tables of this app are in the database {ours!r}, but the users are "
            f"in {users!r}.",
            hint="Have DATABASE_ROUTERS send the app password_reset to the database "
            "of the user model: its tables refer to users.",
            id="password_reset.E008",
        )
    ]


def check_second_factor(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E010: nobody can reset a password, since the second factor cannot be asked."""
    problem = _problem_of_adapter()
    if problem is None:
        return []
    return [
        Error(
            f"PASSWORD_RESET_SECOND_FACTOR is set, but {problem}.",
            hint="Install the package and add its apps to INSTALLED_APPS, or name a "
            "class with is_required(user) and verify(user, code).",
            id="password_reset.E010",
        )
    ]


def _problem_of_adapter() -> str | None:
    try:
        adapter = conf.second_factor and conf.second_factor()
    except ImproperlyConfigured:  # E002 says so
        return None
    except Exception as error:
        return f"calling it raises {type(error).__name__}: {error}"
    if adapter is None:
        return None if conf.second_factor is None else "calling it returns None"
    for method in ("is_required", "verify"):
        if not callable(getattr(adapter, method, None)):
            return f"{type(adapter).__name__} has no method {method}"
    missing = [
        app for app in getattr(adapter, "apps", ()) if not apps.is_installed(app)
    ]
    return f"{missing[0]!r} is not in INSTALLED_APPS" if missing else None


def check_timeout_setting(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W014: a setting of Django's own flow is set in vain."""
    if settings.PASSWORD_RESET_TIMEOUT == global_settings.PASSWORD_RESET_TIMEOUT:
        return []
    return [
        Warning(
            "PASSWORD_RESET_TIMEOUT is set, but this app does not use it.",
            hint="Set PASSWORD_RESET_TOKEN_LIFETIME to a timedelta.",
            id="password_reset.W014",
        )
    ]


def check_address_index(
    app_configs: Any, databases: Any = None, **kwargs: Any
) -> list[CheckMessage]:
    """W012: each look-up by address reads the whole user table."""
    model = get_user_model()
    database = router.db_for_read(model)
    if (
        database not in (databases or ())
        or connections[database].vendor != "postgresql"
    ):
        return []
    if hasattr(settings, "PASSWORD_RESET_USER_FINDER") or _has_index(model, database):
        return []
    name = model.get_email_field_name()
    return [
        Warning(
            f"{model._meta.label} has no index for a look-up by {name} in any "
            "spelling.",
            hint=f"Add models.Index(Upper('{name}'), name='…') to the model, or CREATE "
            "INDEX ON "
            f"{model._meta.db_table} (UPPER({name})).",
            id="password_reset.W012",
        )
    ]


def _has_index(model: Any, database: str) -> bool:
    column = model._meta.get_field(model.get_email_field_name()).column
    with connections[database].cursor() as cursor:
        cursor.execute(
            "SELECT indexdef FROM pg_indexes WHERE tablename = %s",
            [model._meta.db_table],
        )
        definitions = [row[0].lower() for row in cursor.fetchall()]
    # An empty list is a table that migrate has not made yet.
    return not definitions or any(
        "upper(" in definition and column.lower() in definition
        for definition in definitions
    )
