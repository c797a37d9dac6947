from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from password_reset.legacy import LegacyLinkView

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("password_reset.urls")),
    path("api/auth/", include("password_reset.api_urls")),
    # Before allauth's own: links that it has mailed, and the link on its log-in page.
    re_path(r"^accounts/password/reset/key/", LegacyLinkView.as_view()),
    re_path(
        r"^accounts/password/reset/",
        RedirectView.as_view(pattern_name="password_reset"),
    ),
    path("accounts/", include("allauth.urls")),
]
