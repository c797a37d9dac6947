from django.contrib import admin
from django.urls import include, path
from django_otp.admin import OTPAdminSite

admin.site.__class__ = OTPAdminSite  # its log-in asks for a code

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("password_reset.urls")),
    path("api/auth/", include("password_reset.api_urls")),
]
