"""Where password managers send people to change a password.

https://w3c.github.io/webappsec-change-password-url/
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponseBase
from django.views.decorators.csrf import csrf_exempt
from django.views.generic import RedirectView

from .bodies import BadBody, check_request
from .pages import change_password_url
from .views import FlowView, secured
from .visitors import brand_of


class ChangePasswordView(RedirectView):
    """Lead to the host's page, or to the one that asks for a link."""

    http_method_names = ["get", "head", "options"]
    body_limit = FlowView.body_limit
    refused = FlowView.refused

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        return login_not_required(csrf_exempt(super().as_view(**initkwargs)))

    def dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        try:
            check_request(request, self.body_limit)
        except BadBody as error:
            return self.refused(error, brand_of(request))
        return secured(super().dispatch(request, *args, **kwargs), FlowView)

    def get_redirect_url(self, *args: Any, **kwargs: Any) -> str:
        return change_password_url()
