"""A button and an action for the host's own user admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from . import accounts, sending

if TYPE_CHECKING:
    from .lists import ModelAdmin

    Base = ModelAdmin
else:
    Base = object

REQUESTS = "password_reset_passwordresetrequest"


class SendResetLinkMixin(Base):
    """Put "send a reset link" on a user's page and into the list's actions: ``class
    UserAdmin(SendResetLinkMixin, …)``.

    The page keeps the template that it has: ours extends it by the row of buttons.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.actions is not None:
            self.actions = [*self.actions, "send_reset_links"]

    @admin.action(
        permissions=["send_reset_link"], description=gettext_lazy("Send a reset link")
    )
    def send_reset_links(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponse | None:
        users = list(queryset[: sending.MANY + 1])
        if len(users) > sending.MANY:
            sentence = _("Choose at most %(count)d users at a time.") % {
                "count": sending.MANY
            }
            self.message_user(request, sentence, messages.ERROR)
            return None
        if "confirmed" not in request.POST:
            return sending.confirmation(self, request, users)
        sending.send_to_all(self, request, users)
        return None

    def has_send_reset_link_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(accounts.SEND)

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        response = super().render_change_form(request, context, *args, **kwargs)
        user = context.get("original")
        if user is not None and isinstance(response, TemplateResponse):
            self._add_buttons(request, response, user)
        return response

    def _add_buttons(
        self, request: HttpRequest, response: TemplateResponse, user: Any
    ) -> None:
        buttons = [
            (accounts.link(self.admin_site, f"{REQUESTS}_{page}", *args), query, label)
            for permission, page, args, query, label in (
                (
                    accounts.EXPLAIN,
                    "explain",
                    (),
                    f"?user={quote(user.pk)}",
                    _("Why no reset?"),
                ),
                (accounts.SEND, "send", (quote(user.pk),), "", _("Send a reset link")),
            )
            if request.user.has_perm(permission)
            # Not what would be refused.
            and not (page == "send" and sending.refusal(request.user, user))
        ]
        parent = response.resolve_template(response.template_name)
        response.context_data = {
            **(response.context_data or {}),
            "password_reset_parent": parent,
            "password_reset_buttons": [button for button in buttons if button[0]],
        }
        response.template_name = "admin/password_reset/user_change_form.html"
