"""The colours of a brand as a style sheet of this site, so that the policy of the pages
needs nothing inline.

It is the one of the host that is asked, and reads nothing else of a request.
"""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.views.generic import View

from .colours import style_sheet
from .pages import Page
from .visitors import brand_of

#: Its address changes with the colours.
MAX_AGE = 86400


class BrandStyleView(View):
    """Answer the variables of ``password_reset.css`` in the colours of the brand; none
    where it has no colours of its own.
    """

    flow_page = Page.STYLE
    http_method_names = ["get", "head", "options"]

    @classmethod
    def as_view(cls, **initkwargs: object) -> Callable[..., HttpResponseBase]:
        view = transaction.non_atomic_requests(super().as_view(**initkwargs))
        return login_not_required(view)

    def get(self, request: HttpRequest) -> HttpResponse:
        brand = brand_of(request)
        colours = brand.color, brand.color_dark
        css = style_sheet(*colours) if brand.colors_pages else ""
        response = HttpResponse(css, content_type="text/css; charset=utf-8")
        response["Cache-Control"] = f"public, max-age={MAX_AGE}"
        response["X-Content-Type-Options"] = "nosniff"
        return response
