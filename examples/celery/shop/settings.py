"""Celery sends the emails, and its beat does what cron does elsewhere."""

import os

from .environment import *  # noqa: F403
from .environment import INSTALLED_APPS

INSTALLED_APPS += ["password_reset"]
LOGIN_URL = "admin:login"

REDIS_URL = os.environ["REDIS_URL"]
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
    }
}

CELERY_BROKER_URL = REDIS_URL
TASKS = {"default": {"BACKEND": "django_tasks_celery.CeleryBackend"}}
# Nobody asks for a task's result: the row of the request has it.
SILENCED_SYSTEM_CHECKS = ["django_tasks_celery.W001", "django_tasks_celery.W002"]
