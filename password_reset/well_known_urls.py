"""The address that password managers know; include it at the root of the site."""

from __future__ import annotations

from django.urls import path

from .well_known import ChangePasswordView

urlpatterns = [
    path(
        ".well-known/change-password",
        ChangePasswordView.as_view(),
        name="password_reset_change_password",
    ),
]
