"""No worker: cron sends the emails."""

from .environment import *  # noqa: F403
from .environment import INSTALLED_APPS

INSTALLED_APPS += ["password_reset"]
LOGIN_URL = "admin:login"

PASSWORD_RESET_TASK_BACKEND = None
