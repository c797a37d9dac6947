"""The demo's addresses."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.urls import include, path

from . import health, mailbox, metrics
from .views import AccountView, HomeView, SignInView

# Samples are harmless, but no visitor of a deployed site has a use for them.
development = (
    [
        path("mails", mailbox.MailboxView.as_view(), name="mailbox"),
        path(
            "mails/<str:kind>/<str:language>.<str:part>",
            mailbox.body,
            name="mailbox_body",
        ),
    ]
    if settings.ENVIRONMENT == "development"
    else []
)
urlpatterns = [
    path("", include("password_reset.urls")),
    path("", include("password_reset.well_known_urls")),
    path("api/auth/", include("password_reset.api_urls")),
    path("", HomeView.as_view(), name="home"),
    path("login", SignInView.as_view(), name="login"),
    path("logout", LogoutView.as_view(), name="logout"),
    path("account", AccountView.as_view(), name="account"),
    path("admin/", admin.site.urls),
    path("health", health.ready, name="health"),
    path("health/live", health.live, name="health_live"),
    path("metrics", metrics.exposition, name="metrics"),
    *development,
    *staticfiles_urlpatterns(),  # with DEBUG only: elsewhere nginx serves them
]
