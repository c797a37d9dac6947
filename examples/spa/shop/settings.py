"""Django REST framework, and a single-page client that has the pages of the flow."""

from .environment import *  # noqa: F403
from .environment import INSTALLED_APPS, PASSWORD_RESET_BASE_URL

INSTALLED_APPS += [
    "password_reset",
    "rest_framework",
    "rest_framework.authtoken",
    "shop",
]
LOGIN_URL = "/"

PASSWORD_RESET_LINK_TEMPLATE = f"{PASSWORD_RESET_BASE_URL}/#/choose?token={{token}}"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "rest_framework.authentication.TokenAuthentication"
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
