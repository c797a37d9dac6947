"""django-allauth logs people in and up; this app has the forgotten passwords."""

from .environment import *  # noqa: F403
from .environment import INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS += ["password_reset", "allauth", "allauth.account"]
MIDDLEWARE += ["allauth.account.middleware.AccountMiddleware"]
AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "account_email"
