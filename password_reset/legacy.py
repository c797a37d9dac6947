"""The answer to links that another reset flow has sent before this app came."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.utils.log import log_response

from .forms import PasswordResetForm
from .redaction import redact
from .views import FlowView


class LegacyLinkView(FlowView):
    """Say that a link no longer works, and offer a new one. Nothing is looked up."""

    template_name = "password_reset/link_legacy.html"
    http_method_names = ["get", "post", "head", "options"]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        response = self.page(self.template_name, status=410, form=PasswordResetForm())
        # Django would log the path, and so the token of a flow that may still be there.
        log_response("Gone: %s", redact(request.path), response=response)
        return response

    #: A form of the old flow may have stayed open in a tab.
    post = get
