"""Whether the pages can be shown, and the host has those that they lead to."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured
from django.template import TemplateDoesNotExist, TemplateSyntaxError
from django.template.loader import get_template
from django.urls import NoReverseMatch

from password_reset.conf import conf
from password_reset.pages import change_password_url, is_included, login_url


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


def check_change_password_url(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E002: password managers are led to a page that is not there."""
    try:
        if conf.change_password_url:
            change_password_url()
    except ImproperlyConfigured:
        return []  # check_settings says so
    except NoReverseMatch as error:
        return [
            Error(
                f"PASSWORD_RESET_CHANGE_PASSWORD_URL names no page: {error}",
                hint="Give it a URL, a path or the name of a URL pattern.",
                id="password_reset.E002",
            )
        ]
    return []
