"""The JSON endpoints, usually mounted at ``/api/auth/``."""

from __future__ import annotations

from django.urls import re_path

from . import api

app_name = "password_reset_api"

urlpatterns = [
    re_path(
        r"^request-password-reset/?$", api.RequestEndpoint.as_view(), name="request"
    ),
    re_path(r"^verify-reset-token/?$", api.VerifyEndpoint.as_view(), name="verify"),
    re_path(r"^verify-reset-code/?$", api.CodeEndpoint.as_view(), name="verify_code"),
    re_path(r"^reset-password/?$", api.ResetEndpoint.as_view(), name="reset"),
]
