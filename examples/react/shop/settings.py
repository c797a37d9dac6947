"""Django REST framework, and a client of React that Vite builds."""

from .environment import *  # noqa: F403
from .environment import BASE_DIR, INSTALLED_APPS, PASSWORD_RESET_BASE_URL, TEMPLATES

INSTALLED_APPS += ["password_reset", "rest_framework"]
LOGIN_URL = "/"

# `npm run build` writes a page, index.html, and the files that it loads.
TEMPLATES[0]["DIRS"] = STATICFILES_DIRS = [BASE_DIR / "client" / "dist"]

PASSWORD_RESET_LINK_TEMPLATE = f"{PASSWORD_RESET_BASE_URL}/#/choose?token={{token}}"
PASSWORD_RESET_CODES = True

_session = "rest_framework.authentication.SessionAuthentication"
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [_session],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}
