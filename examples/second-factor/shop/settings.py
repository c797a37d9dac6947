"""Whoever has a second factor of django-otp types a code of it behind the link, too."""

from .environment import *  # noqa: F403
from .environment import INSTALLED_APPS, MIDDLEWARE

INSTALLED_APPS += [
    "password_reset",
    "django_otp",
    "django_otp.plugins.otp_static",
    "django_otp.plugins.otp_totp",
]
MIDDLEWARE += ["django_otp.middleware.OTPMiddleware"]
LOGIN_URL = "admin:login"

PASSWORD_RESET_SECOND_FACTOR = "password_reset.second_factor.DjangoOTP"
