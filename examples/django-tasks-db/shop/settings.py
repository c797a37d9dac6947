"""A worker that takes its tasks from the site's own database."""

from .environment import *  # noqa: F403
from .environment import INSTALLED_APPS

INSTALLED_APPS += ["password_reset", "django_tasks_db"]
LOGIN_URL = "admin:login"

TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
