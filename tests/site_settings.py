"""The demo's settings, with what tests need on top: more apps and a fast hasher.
Processes of a test run on these.
"""

from project.settings import *  # noqa: F403 - tests run on the demo's own settings
from project.settings import INSTALLED_APPS

INSTALLED_APPS = [
    *INSTALLED_APPS,
    "rest_framework",
    "rest_framework.authtoken",
    "rest_framework_simplejwt.token_blacklist",
    "knox",
]

# Two hashers: tests make users with the fast one and upgrade to the real one where that
# matters.
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
