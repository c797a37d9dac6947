"""This app, with a worker behind Django's task queue in the database."""

import django

from benchmarks.sites.base import *  # noqa: F403
from benchmarks.sites.base import INSTALLED_APPS
from benchmarks.sites.ours.limits import *  # noqa: F403

ROOT_URLCONF = "benchmarks.sites.ours.urls"
INSTALLED_APPS = [
    *INSTALLED_APPS,
    *(["django_tasks"] if django.VERSION < (6, 0) else []),
    "django_tasks_db",
    "password_reset",
]
TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
PASSWORD_RESET_BASE_URL = "http://127.0.0.1"
LOGIN_URL = "/admin/"
