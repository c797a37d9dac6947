"""A button and an action for the host's own user admin."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from django.contrib import admin, messages
from django.contrib.admin.utils import quote
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from . import accounts, forcing, inviting, sending

if TYPE_CHECKING:
    from .lists import ModelAdmin

    Base = ModelAdmin
else:
    Base = object

REQUESTS = "password_reset_passwordresetrequest"
REFUSALS = {"send": sending.refusal, "invite": inviting.refusal}


class SendResetLinkMixin(Base):
    """Put "send a reset link" on a user's page and into the list's actions: ``class
    UserAdmin(SendResetLinkMixin, …)``.

    The page keeps the template that it has: ours extends it by the row of buttons.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.actions is not None:
            ours = ("send_reset_links", "send_invitations", "end_passwords")
            self.actions = [*self.actions, *ours]

    @admin.action(
        permissions=["send_reset_link"], description=gettext_lazy("Send a reset link")
    )
    def send_reset_links(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponse | None:
        return self._confirmed(
            request, queryset, sending.confirmation, sending.send_to_all
        )

    @admin.action(
        permissions=["send_invitation"],
        description=gettext_lazy("Invite to choose a first password"),
    )
    def send_invitations(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponse | None:
        return self._confirmed(
            request, queryset, inviting.confirmation, inviting.invite
        )

    @admin.action(
        permissions=["end_password"],
        description=gettext_lazy("End passwords: everybody has to choose a new one"),
    )
    def end_passwords(
        self, request: HttpRequest, queryset: QuerySet[Any]
    ) -> HttpResponse | None:
        return self._confirmed(request, queryset, forcing.confirmation, forcing.force)

    def has_send_reset_link_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(accounts.SEND)

    def has_send_invitation_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(inviting.INVITE)

    def has_end_password_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(forcing.START)

    def _confirmed(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        ask: Callable[..., TemplateResponse],
        act: Callable[..., None],
    ) -> HttpResponse | None:
        """Do something to a selection of users, once staff have seen who that is."""
        users = list(queryset[: sending.MANY + 1])
        if len(users) > sending.MANY:
            sentence = _("Choose at most %(count)d users at a time.") % {
                "count": sending.MANY
            }
            self.message_user(request, sentence, messages.ERROR)
            return None
        if "confirmed" not in request.POST:
            return ask(self, request, users)
        act(self, request, users)
        return None

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
                (inviting.INVITE, "invite", (quote(user.pk),), "", _("Invite")),
            )
            if request.user.has_perm(permission)
            # Not what would be refused.
            and not (page in REFUSALS and REFUSALS[page](request.user, user))
        ]
        parent = response.resolve_template(response.template_name)
        response.context_data = {
            **(response.context_data or {}),
            "password_reset_parent": parent,
            "password_reset_buttons": [button for button in buttons if button[0]],
        }
        response.template_name = "admin/password_reset/user_change_form.html"
