"""The least that any such page does."""

from benchmarks.sites.base import *  # noqa: F403
from benchmarks.sites.base import INSTALLED_APPS

ROOT_URLCONF = "benchmarks.sites.floor.urls"
INSTALLED_APPS = [*INSTALLED_APPS, "benchmarks.sites.floor"]
