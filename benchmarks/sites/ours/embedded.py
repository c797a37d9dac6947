"""This app in a project without TASKS: a thread of each web process sends the email."""

from benchmarks.sites.ours.settings import *  # noqa: F403

del TASKS  # noqa: F821
