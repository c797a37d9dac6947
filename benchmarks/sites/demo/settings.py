"""The demo as it runs in production, but over plain HTTP and with limits that are never
reached.
"""

from benchmarks.sites.ours.limits import *  # noqa: F403
from project.settings import *  # noqa: F403
from project.settings import STORAGES

ALLOWED_HOSTS = ["127.0.0.1"]
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = False
STORAGES = {
    **STORAGES,
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
