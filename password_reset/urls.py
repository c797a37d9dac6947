"""The pages, under Django's own four names and without a namespace."""

from __future__ import annotations

from django.urls import re_path

from . import views

urlpatterns = [
    re_path(
        r"^forgot-password/?$", views.PasswordResetView.as_view(), name="password_reset"
    ),
    re_path(
        r"^forgot-password/done/?$",
        views.PasswordResetDoneView.as_view(),
        name="password_reset_done",
    ),
    re_path(
        r"^reset-password/?$",
        views.PasswordResetConfirmView.as_view(),
        name="password_reset_confirm",
    ),
    re_path(
        r"^reset-password/done/?$",
        views.PasswordResetCompleteView.as_view(),
        name="password_reset_complete",
    ),
]
