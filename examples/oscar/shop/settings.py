"""A django-oscar shop; this app has the forgotten passwords."""

from .getting_started import *  # noqa: F403
from .getting_started import INSTALLED_APPS

# `shop` before the app, so that the templates of this folder are found first.
INSTALLED_APPS += ["shop", "password_reset"]
OSCAR_SHOP_NAME = PASSWORD_RESET_APP_NAME = "Frobshop"
PASSWORD_RESET_BRAND_COLOR = "#343a40"  # of the emails
LOGIN_URL = "customer:login"
PASSWORD_RESET_LOGIN_FIELD = "email"  # Oscar makes the user names up
