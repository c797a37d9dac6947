"""The page "It was not me", which both emails lead to."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse

from . import disowning, flows
from .forms import PasswordResetForm
from .models import PasswordResetNotice
from .outbox import OutboxRow
from .pages import Page
from .views import FlowView
from .visitors import visitor_of


class PasswordResetDisownView(FlowView):
    """Ask on GET, which changes nothing, and act on POST. No account is named."""

    template_name = "password_reset/not_me.html"
    done_template_name = "password_reset/not_me_done.html"
    unknown_template_name = "password_reset/not_me_unknown.html"
    flow_page = Page.DISOWN
    http_method_names = ["get", "post", "head", "options"]

    def get(self, request: HttpRequest) -> HttpResponse:
        signed = request.GET.get("n", "")
        try:
            row = disowning.find_row(signed, brand=self.brand.key)
        except disowning.DisownError:
            return self.unknown()
        if row.disowned_at is not None:
            return self.row_page(self.done_template_name, row, is_new=False)
        return self.row_page(self.template_name, row, signed=signed)

    def post(self, request: HttpRequest) -> HttpResponse:
        signed = request.POST.get("n", "")
        try:
            done = flows.disown(signed, visitor_of(request))
        except disowning.DisownError:
            return self.unknown()
        return self.row_page(self.done_template_name, done.row, is_new=done.is_new)

    def unknown(self) -> HttpResponse:
        """Say that the link is too old or damaged, and what can be done instead."""
        return self.page(
            self.unknown_template_name, status=404, form=PasswordResetForm()
        )

    def row_page(
        self, template_name: str, row: OutboxRow, **context: Any
    ) -> HttpResponse:
        """Render a page about the email that a row stands for."""
        is_changed = isinstance(row, PasswordResetNotice)
        return self.page(template_name, is_changed=is_changed, **context)
