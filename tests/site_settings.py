"""The demo's settings, with what tests need on top: more apps, a fast hasher, the
package's own limits and a folder for emails. Processes of a test run on these.
"""

import os
import tempfile
from pathlib import Path

from project.settings import *  # noqa: F403 - tests run on the demo's own settings
from project.settings import INSTALLED_APPS

INSTALLED_APPS = [
    *INSTALLED_APPS,
    "rest_framework",
    "rest_framework.authtoken",
    "rest_framework_simplejwt.token_blacklist",
    "knox",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "django_otp.plugins.otp_email",
]
# Only tests of its locks switch it on.
AXES_ENABLED = False

# Two hashers: tests make users with the fast one and upgrade to the real one where that
# matters.
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.MD5PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]

# Tests are of the package's own limits, which a deployed site has.
for name in ("REQUEST_RATE_PER_IP", "REQUEST_RATE_PER_EMAIL"):
    globals().pop(f"PASSWORD_RESET_{name}", None)

# Not among the emails of whoever tries the demo out meanwhile.
SENT_MAILS = (
    os.environ.get("SENT_MAILS") or Path(tempfile.gettempdir()) / "resetkit-mails"
)

# Sessions end in every engine.
SESSION_ENGINE = os.environ.get("SESSION_ENGINE", "django.contrib.sessions.backends.db")
SESSION_FILE_PATH = os.environ.get("SESSION_FILE_PATH")
