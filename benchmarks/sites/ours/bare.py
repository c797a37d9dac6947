"""This app with neither task queue nor limits: what pages, forms and its own row cost."""

from benchmarks.sites.ours.settings import *  # noqa: F403

PASSWORD_RESET_TASK_BACKEND = None
RATELIMIT_ENABLE = False
