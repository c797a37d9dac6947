"""What the host has to offer to the pages: templates, tables, a log-in page."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.checks import CheckMessage, Error, Warning
from django.db import router
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import get_template

from password_reset.models import PasswordResetToken
from password_reset.pages import is_included, login_url


def check_templates(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E007: no template engine of the host finds the pages and emails."""
    try:
        get_template("password_reset/form.html")
        get_template("password_reset/mail/reset.txt")
    except (TemplateDoesNotExist, TemplateSyntaxError) as error:
        return [
            Error(
                f"The templates of this app cannot be loaded: {error}",
                hint="Add {'BACKEND': 'django.template.backends.django."
                "DjangoTemplates', 'APP_DIRS': True} to TEMPLATES; it may stand beside "
                "Jinja2.",
                id="password_reset.E007",
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


def check_login_page(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """W018: the pages cannot lead to a log-in page, since nobody knows where it is."""
    if not is_included() or login_url() is not None:
        return []
    return [
        Warning(
            f"No page answers at LOGIN_URL ({settings.LOGIN_URL}), so the pages of "
            "password reset have no link to log in.",
            hint="Set LOGIN_URL to the name or path of your log-in page, such as "
            "'admin:login'.",
            id="password_reset.W018",
        )
    ]
