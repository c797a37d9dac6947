"""Served as in a container: by gunicorn, with whitenoise for the static files."""

from .environment import *  # noqa: F403
from .environment import INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS += ["password_reset"]
LOGIN_URL = "admin:login"

MIDDLEWARE.insert(1, "whitenoise.middleware.WhiteNoiseMiddleware")
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# Two containers of one image: this one answers, the other sends (`--loop`).
PASSWORD_RESET_TASK_BACKEND = None
# The proxy in front; without it all visitors share one limit.
PASSWORD_RESET_TRUSTED_PROXIES = ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"]
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
