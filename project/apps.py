"""The demo site as a Django app."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class ProjectConfig(AppConfig):
    """Register the demo's user model and commands."""

    name = "project"
    verbose_name = _("Demo site")
    default_auto_field = "django.db.models.BigAutoField"
