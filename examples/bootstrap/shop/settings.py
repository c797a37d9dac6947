"""Bootstrap's look and class names, its files served by the site itself."""

from .environment import *  # noqa: F403
from .environment import INSTALLED_APPS

# `shop` before the app, so that the templates of this folder are found first.
INSTALLED_APPS += ["shop", "password_reset", "js_lib_bootstrap5"]
LOGIN_URL = "admin:login"
