from django.contrib import admin
from django.urls import include, path

from . import views

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("password_reset.urls")),
    path("api/auth/", include("password_reset.api_urls")),
    path(".well-known/apple-app-site-association", views.apple),
    path(".well-known/assetlinks.json", views.android),
]
