"""The links that ``django.contrib.auth`` has sent: include it where
``django.contrib.auth.urls`` was.

None has the name ``password_reset_confirm``: code that still reverses it
with arguments would build a link that works nowhere, and fails instead.
"""

from __future__ import annotations

from django.urls import path

from .legacy import LegacyLinkView

urlpatterns = [
    # The old form had the token "set-password".
    path(
        "reset/<uidb64>/<token>/",
        LegacyLinkView.as_view(),
        name="password_reset_legacy_link",
    ),
]
