"""The small host's pages with an admin in which its users stand, whatever they are."""

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.urls import path

from password_reset.admin import SendResetLinkMixin
from tests.hosts.urls import urlpatterns as pages


class PersonAdmin(SendResetLinkMixin, admin.ModelAdmin):
    """The host's own, not Django's UserAdmin."""


if admin.site.is_registered(get_user_model()):
    admin.site.unregister(get_user_model())
admin.site.register(get_user_model(), PersonAdmin)

urlpatterns = [path("admin/", admin.site.urls), *pages]
