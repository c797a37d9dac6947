"""This app with nothing that rings the worker: cron does the work."""

from benchmarks.sites.ours.settings import *  # noqa: F403

PASSWORD_RESET_TASK_BACKEND = None
