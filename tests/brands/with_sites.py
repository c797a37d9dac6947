"""The site of three brands with django.contrib.sites, whose table has the domains."""

from tests.brands.settings import *  # noqa: F403
from tests.brands.settings import INSTALLED_APPS, PASSWORD_RESET_BRANDS

INSTALLED_APPS = [*INSTALLED_APPS, "django.contrib.sites"]
PASSWORD_RESET_BRAND_OF = "password_reset.sites.brand_of"
PASSWORD_RESET_BRANDS = {
    "plum": PASSWORD_RESET_BRANDS["plum"] | {"SITE_ID": 7},
    "fig": PASSWORD_RESET_BRANDS["fig"] | {"SITE_ID": 8},
}
