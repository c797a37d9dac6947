"""The host's own admin of its users, whatever they are: not Django's UserAdmin."""

from django.contrib import admin
from django.contrib.auth import get_user_model

from password_reset.admin import SendResetLinkMixin


class PersonAdmin(SendResetLinkMixin, admin.ModelAdmin):
    """Any model that Django takes for a user."""


if admin.site.is_registered(get_user_model()):
    admin.site.unregister(get_user_model())
admin.site.register(get_user_model(), PersonAdmin)
