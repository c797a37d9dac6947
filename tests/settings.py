"""The settings of the test run itself: as its processes have them, but each request
does its own work at once.
"""

import os
import tempfile
from pathlib import Path

import django

from tests.site_settings import *  # noqa: F403
from tests.site_settings import DATABASES

# Tests of the queue, of cron and of lost tasks switch to the back end that they are
# about.
TASKS_PACKAGE = "django.tasks" if django.VERSION >= (6, 0) else "django_tasks"
TASKS = {
    "default": {"BACKEND": f"{TASKS_PACKAGE}.backends.immediate.ImmediateBackend"},
    "database": {"BACKEND": "django_tasks_db.DatabaseBackend"},
}

# Threads share a file, while each would get an empty database of its own in memory.
if "sqlite3" in DATABASES["default"]["ENGINE"]:
    folder = Path(tempfile.gettempdir())
    DATABASES["default"]["TEST"] = {
        "NAME": str(folder / f"resetkit-{os.getpid()}-test.sqlite3")
    }
