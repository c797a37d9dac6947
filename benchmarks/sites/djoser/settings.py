"""djoser."""

from benchmarks.sites.base import *  # noqa: F403
from benchmarks.sites.base import INSTALLED_APPS

ROOT_URLCONF = "benchmarks.sites.djoser.urls"
INSTALLED_APPS = [
    *INSTALLED_APPS,
    "rest_framework",
    "rest_framework.authtoken",
    "djoser",
]
DOMAIN = "127.0.0.1"
SITE_NAME = "Site"
DJOSER = {"PASSWORD_RESET_CONFIRM_URL": "reset/{uid}/{token}"}
