"""The demo's addresses."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.urls import include, path
from django.views.generic import RedirectView

from . import health, metrics
from .views import AccountView, HomeView, SignInView

urlpatterns = [
    path("", include("password_reset.urls")),
    path("api/auth/", include("password_reset.api_urls")),
    path("", HomeView.as_view(), name="home"),
    path("login", SignInView.as_view(), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("account", AccountView.as_view(), name="account"),
    path("admin/", admin.site.urls),
    # https://w3c.github.io/webappsec-change-password-url/: where password managers send people.
    path(".well-known/change-password", RedirectView.as_view(pattern_name="password_reset"), name="change_password"),
    path("health", health.ready, name="health"),
    path("health/live", health.live, name="health_live"),
    path("metrics", metrics.exposition, name="metrics"),
    *staticfiles_urlpatterns(),  # with DEBUG only: elsewhere nginx serves them
]
