"""The demo as an ASGI application."""

import os

from django.core.asgi import get_asgi_application

from password_reset.guard import AsyncBodyGuard

from .limits import LIMITS

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
application = AsyncBodyGuard(get_asgi_application(), LIMITS)
