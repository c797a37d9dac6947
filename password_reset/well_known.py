"""Where password managers send people to change a password.

https://w3c.github.io/webappsec-change-password-url/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponseBase
from django.views.generic import RedirectView

from .pages import change_password_url
from .views import FlowView, secured


class ChangePasswordView(RedirectView):
    """Lead to the host's page, or to the one that asks for a link."""

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        return login_not_required(super().as_view(**initkwargs))

    def dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        return secured(super().dispatch(request, *args, **kwargs), FlowView)

    def get_redirect_url(self, *args: Any, **kwargs: Any) -> str:
        return change_password_url()
