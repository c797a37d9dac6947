"""What differs between this machine and a server; the same file in all examples.

`examples/run` sets DEBUG and makes a SECRET_KEY. A server has DEBUG unset, and so sends
its emails by SMTP and is served over HTTPS only.
"""

import os

import django

from .startproject import *  # noqa: F403
from .startproject import BASE_DIR

DEBUG = os.environ.get("DEBUG") == "yes"
SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "").split()
PASSWORD_RESET_BASE_URL = os.environ["BASE_URL"]
DEFAULT_FROM_EMAIL = os.environ.get("FROM_EMAIL", "shop@example.com")
STATIC_ROOT = BASE_DIR / "collected"

if DEBUG:
    _backend, _options = "filebased", {"file_path": BASE_DIR / "mails"}
else:
    _backend = "smtp"
    _options = {"host": os.environ.get("EMAIL_HOST", "127.0.0.1"), "timeout": 10}
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = True
    SECURE_HSTS_SECONDS = 365 * 24 * 3600

_backend = f"django.core.mail.backends.{_backend}.EmailBackend"
if django.VERSION >= (6, 1):
    MAILERS = {"default": {"BACKEND": _backend, "OPTIONS": _options}}
else:
    EMAIL_BACKEND = _backend
    EMAIL_FILE_PATH = _options.get("file_path")
    EMAIL_HOST, EMAIL_TIMEOUT = _options.get("host"), _options.get("timeout")
