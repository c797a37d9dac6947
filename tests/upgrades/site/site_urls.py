from django.contrib.auth.views import LoginView
from django.urls import include, path

urlpatterns = [
    path("login", LoginView.as_view(), name="login"),
    path("api/auth/", include("password_reset.api_urls")),
    path("", include("password_reset.urls")),
]
