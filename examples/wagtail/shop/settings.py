"""Wagtail has the pages and their editors; this app has the forgotten passwords."""

from .environment import *  # noqa: F403
from .environment import BASE_DIR, INSTALLED_APPS, PASSWORD_RESET_BASE_URL

# `shop` before the others, so that the templates of this folder are found first.
INSTALLED_APPS += [
    "shop",
    "password_reset",
    "wagtail.sites",
    "wagtail.users",
    "wagtail.documents",
    "wagtail.images",
    "wagtail.admin",
    "wagtail",
    "modelcluster",
    "taggit",
    "django_filters",
]
LOGIN_URL = "wagtailadmin_login"
PASSWORD_RESET_APP_NAME = WAGTAIL_SITE_NAME = "Plum & Co"
# The keys to wagtail.api.v3, or they would outlive the password.
PASSWORD_RESET_REVOKERS = ["wagtailcore.APIToken"]

WAGTAILADMIN_BASE_URL = PASSWORD_RESET_BASE_URL
MEDIA_ROOT, MEDIA_URL = BASE_DIR / "media", "media/"
WAGTAIL_GRAVATAR_PROVIDER_URL = None  # it tells another site who edits
WAGTAILDOCS_EXTENSIONS = ["pdf", "txt"]
