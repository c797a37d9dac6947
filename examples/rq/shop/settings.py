"""RQ sends the emails."""

import os

from .environment import *  # noqa: F403
from .environment import INSTALLED_APPS

INSTALLED_APPS += ["password_reset", "django_rq", "django_tasks_rq"]
LOGIN_URL = "admin:login"

REDIS_URL = os.environ["REDIS_URL"]
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
    }
}
RQ_QUEUES = {"default": {"URL": REDIS_URL}}

TASKS = {"default": {"BACKEND": "django_tasks_rq.RQBackend"}}
