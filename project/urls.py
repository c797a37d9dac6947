"""The demo's addresses."""

from django.conf import settings
from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.contrib.staticfiles.urls import staticfiles_urlpatterns
from django.urls import include, path

from . import health, mail_preview, mailbox, metrics, webhooks
from .views import AccountView, HomeView, SignInView

# Whoever reads the emails that were sent can use their links: in development only.
development = (
    [
        path("mails", mailbox.MailboxView.as_view(), name="mailbox"),
        path("mails/<slug:name>.<str:part>", mailbox.body, name="mailbox_body"),
        path("mails/samples", mail_preview.SamplesView.as_view(), name="mail_samples"),
        path(
            "mails/samples/<str:kind>/<str:language>.<str:part>",
            mail_preview.body,
            name="mail_sample_body",
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
    *webhooks.urlpatterns(),
    *development,
    *staticfiles_urlpatterns(),  # with DEBUG only: elsewhere nginx serves them
]
