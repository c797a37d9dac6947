"""Fixtures that every test may use; servers and processes come with their own modules."""

from typing import Any

import django
import pytest
from django.conf import settings
from django.core.cache import cache
from django.utils import translation
from pytest_django.fixtures import Settings

from tests.tools.factories import UserFactory
from tests.tools.smtp import SmtpServer
from tests.tools.walk import mailed_token

pytest_plugins = ["tests.tools.brands", "tests.tools.processes"]

SMTP_BACKEND = "django.core.mail.backends.smtp.EmailBackend"


@pytest.fixture(autouse=True)
def empty_cache() -> None:
    """Start each test with untouched counters."""
    cache.clear()


@pytest.fixture(autouse=True)
def no_burst() -> None:
    """Start each test without the burst of the one before it."""
    from password_reset import wakeup  # noqa: PLC0415 - needs settings

    wakeup._throttle.cache_clear()


@pytest.fixture(autouse=True)
def site_language() -> None:
    """Start each test in the site's language, whatever a request before it asked for."""
    translation.activate(settings.LANGUAGE_CODE)


@pytest.fixture
def user(db: None) -> Any:
    """A user who knows `tests.tools.factories.OLD_PASSWORD`."""
    return UserFactory.create()


@pytest.fixture
def ada(db: None) -> Any:
    """A user whose address and mail the tests of Django's own cases look for."""
    return UserFactory.create(email="ada@example.com")


@pytest.fixture
def link(client: Any, ada: Any) -> str:
    """The secret of a link that was mailed to Ada a moment ago."""
    return mailed_token(client, ada.email)


@pytest.fixture
def smtp(smtp_server: SmtpServer, settings: Settings) -> SmtpServer:
    """A real SMTP server that this process sends its mail to."""
    host = {"host": "127.0.0.1", "port": smtp_server.port, "timeout": 10}
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": SMTP_BACKEND, "OPTIONS": host}}
    else:
        settings.EMAIL_BACKEND = SMTP_BACKEND
        settings.EMAIL_HOST, settings.EMAIL_PORT, settings.EMAIL_TIMEOUT = host.values()
        settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
        settings.EMAIL_HOST_USER = settings.EMAIL_HOST_PASSWORD = ""
    return smtp_server
