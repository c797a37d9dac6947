"""Django's own password reset."""

from benchmarks.sites.base import *  # noqa: F403

ROOT_URLCONF = "benchmarks.sites.contrib_auth.urls"
