from django.contrib import admin
from django.urls import include, path

from .views import Client, Session

urlpatterns = [
    path("", Client.as_view()),
    path("admin/", admin.site.urls),
    path("api/auth/", include("password_reset.api_urls")),
    path("api/session", Session.as_view()),
]
