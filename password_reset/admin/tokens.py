"""Links and log-ins. No digest, fingerprint or session key is ever shown."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext_lazy

from password_reset.models import (
    PasswordResetCode,
    PasswordResetToken,
    PasswordResetTokenQuerySet,
    UserSession,
)
from password_reset.visitors import browser_in_words

from . import deliveries, states
from .accounts import known_as
from .brands import BrandColumnMixin
from .lists import ReadOnlyAdmin, crumbs, in_chunks, log


class TokenAdmin(BrandColumnMixin, ReadOnlyAdmin):
    """The links that were sent, with everything but their secret."""

    actions = ["void"]
    list_display = ("email", "user", "state", "created_at", "ip_address")
    list_filter = (states.TokenStateFilter, *ReadOnlyAdmin.by_date)
    list_select_related = ("user",)
    linkable = ReadOnlyAdmin.linkable | {"request__exact"}
    fields = (
        "user",
        "email",
        "purpose",
        "request",
        "state",
        "created_at",
        "sent_at",
        "expires_at",
        "used_at",
        "second_factor",
        "message_id",
        "delivery",
        "ip_address",
        "user_agent",
    )
    readonly_fields = ("state", "purpose", "second_factor", "delivery")

    @admin.action(
        permissions=["void"],
        description=gettext_lazy("Void: the selected links stop working"),
    )
    def void(
        self, request: HttpRequest, queryset: PasswordResetTokenQuerySet
    ) -> TemplateResponse | None:
        if "confirmed" not in request.POST:
            return self._ask(request, queryset.usable())
        self.void_all(request, queryset)
        return None

    def void_all(
        self, request: HttpRequest, queryset: PasswordResetTokenQuerySet
    ) -> None:
        """Void what still works of some links, and tell staff how many."""
        chunks = in_chunks(queryset.usable())
        count = sum(self._void(request, chunk) for chunk in chunks)
        message = ngettext(
            "%(count)d link was voided.", "%(count)d links were voided.", count
        ) % {"count": count}
        self.message_user(
            request, message, messages.SUCCESS if count else messages.WARNING
        )

    def has_void_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("password_reset.void_passwordresettoken")

    @admin.display(description=gettext_lazy("state"))
    def state(self, token: PasswordResetToken) -> str:
        return states.of_link(token)

    @admin.display(description=gettext_lazy("second factor"))
    def second_factor(self, token: PasswordResetToken) -> str:
        return states.of_second_factor(token)

    @admin.display(description=gettext_lazy("what became of the email"))
    def delivery(self, token: PasswordResetToken) -> str:
        return deliveries.in_lines(deliveries.of_link(token))

    def _void(self, request: HttpRequest, chunk: list[Any]) -> int:
        now, tokens = (
            timezone.now(),
            PasswordResetToken.objects.filter(pk__in=[token.pk for token in chunk]),
        )
        # The code of the same email first: it would become another link.
        PasswordResetCode.objects.filter(
            request__in=tokens.values("request"), user__in=tokens.values("user")
        ).void()
        count = tokens.void(now)
        # By the moment: a link that was spent while we looked was not voided.
        log(request, tokens.filter(used_at=now), _("Voided: the link stops working."))
        return count

    def _ask(self, request: HttpRequest, usable: QuerySet[Any]) -> TemplateResponse:
        request.current_app = self.admin_site.name
        context = {
            **self.admin_site.each_context(request),
            **crumbs(self, request),
            "title": _("Void links"),
            "tokens": list(usable[: self.list_per_page]),
            "count": usable.order_by()[: self.list_max_show_all + 1].count(),
            "shown": self.list_per_page,
            "across": request.POST.get("select_across", "0"),
            "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
            "action_checkbox_name": ACTION_CHECKBOX_NAME,
        }
        return TemplateResponse(
            request, "admin/password_reset/void_confirmation.html", context
        )


class SessionAdmin(ReadOnlyAdmin):
    """Log-ins that a reset ends."""

    list_display = ("user", "browser", "created_at")
    list_filter = ReadOnlyAdmin.by_date
    list_select_related = ("user",)
    search_help_text = gettext_lazy("A user's name, mail address or number.")
    fields = ("user", "browser", "user_agent", "created_at")
    readonly_fields = ("browser",)

    def matching(self, term: str) -> Q:
        return self.of_users(known_as(term))

    @admin.display(description=pgettext_lazy("password reset", "Browser"))
    def browser(self, session: UserSession) -> str:
        return browser_in_words(session.user_agent)
