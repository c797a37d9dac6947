"""A site whose URLs begin with a language, its log-in page's too."""

from django.conf.urls.i18n import i18n_patterns
from django.contrib import admin
from django.urls import include, path
from django.views.generic import TemplateView

urlpatterns = i18n_patterns(
    path("", include("password_reset.urls")),
    path("login", TemplateView.as_view(), name="login"),
    path("orders", TemplateView.as_view(), name="orders"),
    path("admin/", admin.site.urls),
    prefix_default_language=False,
)
