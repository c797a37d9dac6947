"""The host's own settings, and what a test needs to see what it does. Its own files know
nothing of this.
"""

import os

import django
from host.settings import *  # noqa: F403
from host.settings import BASE_DIR, MIDDLEWARE

MIDDLEWARE = ["stage.statements.Statements", *MIDDLEWARE]
if os.environ["CATCH_MAILS"] == "yes":
    _files = "django.core.mail.backends.filebased.EmailBackend"
    if django.VERSION >= (6, 1):
        MAILERS = {
            "default": {"BACKEND": _files, "OPTIONS": {"file_path": BASE_DIR / "mails"}}
        }
    else:
        EMAIL_BACKEND = _files
        EMAIL_FILE_PATH = BASE_DIR / "mails"
if os.environ["QUICK_HASHES"] == "yes":
    PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.MD5PasswordHasher",
        # How old accounts are kept.
        "django.contrib.auth.hashers.PBKDF2SHA1PasswordHasher",
    ]
