"""This app without a task queue: `process_reset_requests` does the work."""

from benchmarks.sites.ours.settings import *  # noqa: F403

PASSWORD_RESET_TASK_BACKEND = None
