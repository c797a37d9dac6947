"""This app with its limits switched off."""

from benchmarks.sites.ours.settings import *  # noqa: F403

RATELIMIT_ENABLE = False
