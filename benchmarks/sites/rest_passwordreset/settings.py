"""django-rest-passwordreset; its host writes the mail."""

from benchmarks.sites.base import *  # noqa: F403
from benchmarks.sites.base import INSTALLED_APPS

ROOT_URLCONF = "benchmarks.sites.rest_passwordreset.urls"
INSTALLED_APPS = [*INSTALLED_APPS, "rest_framework", "django_rest_passwordreset"]
# Its default of three requests a day would end the measurement at once.
DJANGO_REST_PASSWORDRESET_THROTTLE_CLASSES = ()
