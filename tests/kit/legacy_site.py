"""The demo's addresses, on a site that had Django's own flow before."""

from django.urls import include, path

from project import urls

urlpatterns = [
    *urls.urlpatterns,
    path("accounts/", include("password_reset.legacy_urls")),
]
