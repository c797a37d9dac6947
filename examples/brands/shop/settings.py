"""One process, one table of users, three shops: the host says which."""

from .environment import *  # noqa: F403
from .environment import INSTALLED_APPS, PASSWORD_RESET_BASE_URL

# Before the app, so that the templates of this folder are found first.
INSTALLED_APPS += ["shop", "password_reset"]
LOGIN_URL = "admin:login"


def at(name):
    """https://plum.example.com, where BASE_URL is https://example.com."""
    return PASSWORD_RESET_BASE_URL.replace("://", f"://{name}.", 1)


PASSWORD_RESET_APP_NAME = "Garden"  # the default brand, at BASE_URL
PASSWORD_RESET_BRANDS = {
    "plum": {
        "APP_NAME": "Plum & Co",
        "BASE_URL": at("plum"),
        "FROM_EMAIL": "post@plum.example",
        "BRAND_COLOR": "#4a0d2b",
        "TEMPLATES": "plum",
    },
    "fig": {
        "APP_NAME": "Feige",
        "BASE_URL": at("fig"),
        "FROM_EMAIL": "post@feige.example",
        "BRAND_COLOR": "#3d5a1f",
    },
}
