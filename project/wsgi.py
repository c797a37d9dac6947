"""The demo as a WSGI application."""

import os

from django.core.wsgi import get_wsgi_application

from password_reset.guard import BodyGuard

from .limits import LIMITS

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
application = BodyGuard(get_wsgi_application(), LIMITS)
