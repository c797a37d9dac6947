"""The app; its ``ready`` is the only place with side effects."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class PasswordResetConfig(AppConfig):
    """Register checks and listen to log-ins."""

    name = "password_reset"
    label = "password_reset"
    verbose_name = _("Password reset")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Models exist only now.
        from . import checks, sessions, tracking  # noqa: PLC0415

        checks.register_all()
        sessions.connect()
        tracking.connect()
