from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("password_reset.urls")),
    path("api/auth/", include("password_reset.api_urls")),
]
