"""Log-ins that django-axes locks after three failures."""

from datetime import timedelta
from typing import Any

from django.conf import settings as django_settings
from django.test import Client

DATABASE = "axes.handlers.database.AxesDatabaseHandler"
HERE = "192.0.2.7"


def use_axes(settings: Any, handler: str = DATABASE) -> Any:
    """Switch django-axes on in a test's settings, and return them."""
    settings.AXES_ENABLED = True
    settings.AXES_HANDLER = handler
    settings.AXES_FAILURE_LIMIT = 3
    settings.AXES_COOLOFF_TIME = timedelta(hours=1)
    settings.AXES_LOCKOUT_PARAMETERS = ["username"]
    settings.AXES_USERNAME_FORM_FIELD = "username"
    settings.SIGN_IN_RATE = "1000/m"
    settings.AUTHENTICATION_BACKENDS = [
        "axes.backends.AxesStandaloneBackend",
        *django_settings.AUTHENTICATION_BACKENDS,
    ]
    settings.MIDDLEWARE = [
        *django_settings.MIDDLEWARE,
        "axes.middleware.AxesMiddleware",
    ]
    return settings


def log_in(name: str, password: str, address: str = HERE) -> int:
    """Return the status of a log-in: 302 in, 200 refused, 429 locked."""
    form = {"username": name, "password": password}
    return Client(REMOTE_ADDR=address).post("/login", form).status_code


def lock(name: str, address: str = HERE) -> None:
    """Fail until the log-in is locked."""
    statuses = [log_in(name, "not this one", address) for _ in range(3)]
    assert statuses[-1] == 429
