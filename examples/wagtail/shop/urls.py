from django.conf import settings
from django.conf.urls.static import static
from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView

from password_reset.legacy import LegacyLinkView

urlpatterns = [
    path("admin/", admin.site.urls),
    path("", include("password_reset.urls")),
    path("api/auth/", include("password_reset.api_urls")),
    # Before Wagtail's own: links that it has mailed, and the link on its log-in page.
    re_path(r"^cms/password_reset/confirm/", LegacyLinkView.as_view()),
    re_path(
        r"^cms/password_reset/", RedirectView.as_view(pattern_name="password_reset")
    ),
    path("cms/", include("wagtail.admin.urls")),
    path("documents/", include("wagtail.documents.urls")),
    *static(settings.MEDIA_URL, document_root=settings.MEDIA_ROOT),  # with DEBUG only
    path("", include("wagtail.urls")),  # the last: every other path is a page's
]
