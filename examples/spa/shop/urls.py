from django.contrib import admin
from django.urls import include, path
from django.views.generic import TemplateView
from rest_framework.authtoken.views import obtain_auth_token

from .views import Me

urlpatterns = [
    path("", TemplateView.as_view(template_name="shop/client.html")),
    path("admin/", admin.site.urls),
    path("api/auth/", include("password_reset.api_urls")),
    path("api/token", obtain_auth_token),
    path("api/me", Me.as_view()),
]
