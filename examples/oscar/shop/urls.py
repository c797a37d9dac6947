from django.apps import apps
from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

urlpatterns = [
    path("admin/", admin.site.urls),
    path("i18n/", include("django.conf.urls.i18n")),
    path("", include("password_reset.urls")),
    path("api/auth/", include("password_reset.api_urls")),
    # Before Oscar's own: where its log-in page and its emails lead.
    re_path(r"^password-reset/", RedirectView.as_view(pattern_name="password_reset")),
    # The dashboard's button leads to the page of the admin that sends a link.
    path(
        "dashboard/users/<user_id>/password-reset/",
        RedirectView.as_view(
            pattern_name="admin:password_reset_passwordresetrequest_send"
        ),
    ),
    path("", include(apps.get_app_config("oscar").urls[0])),
]
