"""Requests and notices: the emails to send and what became of them, with an action to
try again now.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html, format_html_join
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from password_reset import worker
from password_reset.conf import conf
from password_reset.models import PasswordResetRequest, PasswordResetToken
from password_reset.outbox import OutboxQuerySet, OutboxRow

from . import deliveries, erasing, inviting, reasons, sending, states, support
from .accounts import link
from .brands import BrandColumnMixin
from .lists import ReadOnlyAdmin, in_chunks, log, pks

#: Rows that are sent in this process where the task back end works at once; cron, or
#: the worker that is woken, finds the rest.
AT_ONCE = 100


class OutboxAdmin(BrandColumnMixin, ReadOnlyAdmin):
    """Emails to send, their attempts and their outcome."""

    actions = ["retry"]
    kind: worker.Kind

    @admin.action(permissions=["retry"], description=gettext_lazy("Try again now"))
    def retry(self, request: HttpRequest, queryset: OutboxQuerySet[Any]) -> None:
        if not conf.enabled:
            self.message_user(request, sending.SWITCHED_OFF, messages.ERROR)
            return
        requeued = 0
        for rows in in_chunks(queryset.retriable()):
            keys = [row.pk for row in rows]
            requeued += self.model.objects.filter(pk__in=keys).requeue()
            log(request, rows, _("Asked to be tried again at once."))
            # Robust: whatever fails here, cron finds the rows due.
            wake = partial(worker.wake_for, self.kind, keys[:AT_ONCE])
            transaction.on_commit(wake, robust=True)
        self._tell(request, requeued)

    def has_retry_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(
            f"{self.opts.app_label}.retry_{self.opts.model_name}"
        )

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: OutboxRow) -> str:
        return states.of_mail(row)

    @admin.display(description=gettext_lazy("state"))
    def outcome(self, row: OutboxRow) -> str:
        """The state, with the last trouble below it: a list has no room for both."""
        lines = [(line,) for line in (self.state(row), self.trouble(row)) if line]
        return format_html(
            "<div>{}</div>", format_html_join("", "<div>{}</div>", lines)
        )

    @admin.display(description=gettext_lazy("last trouble"))
    def trouble(self, row: OutboxRow) -> str:
        return reasons.in_words(row.last_error)

    @admin.display(description=gettext_lazy("next attempt at"))
    def next_attempt(self, row: OutboxRow) -> str:
        """What is settled keeps the end of its last lease."""
        is_settled = row.processed_at or row.failed_at
        moment = None if is_settled else row.next_attempt_at
        return states.at(moment) if moment else "-"

    @admin.display(description=gettext_lazy("what became of the emails"))
    def delivery(self, row: OutboxRow) -> str:
        return deliveries.in_lines(deliveries.of_row(row))

    def _tell(self, request: HttpRequest, requeued: int) -> None:
        done = ngettext(
            "%(count)d mail is due at once.",
            "%(count)d mails are due at once.",
            requeued,
        )
        rest = _(
            "What is sent already, or is tried within five minutes by itself, was left "
            "alone."
        )
        level = messages.SUCCESS if requeued else messages.WARNING
        self.message_user(request, f"{done % {'count': requeued}} {rest}", level)


class RequestAdmin(OutboxAdmin):
    """What people typed into the form."""

    actions = [*OutboxAdmin.actions, "erase"]
    kind = worker.REQUESTS
    list_display = ("email", "outcome", "created_at", "ip_address")
    list_filter = (
        states.RequestStateFilter,
        deliveries.DeliveryFilter,
        *ReadOnlyAdmin.by_date,
    )
    fields = (
        "email",
        "source",
        "created_at",
        "state",
        "attempts",
        "next_attempt",
        "processed_at",
        "failed_at",
        "mails_sent",
        "delivery",
        "explained_at",
        "disowned_at",
        "trouble",
        "links",
        "ip_address",
        "user_agent",
        "language",
    )
    readonly_fields = (
        "state",
        "next_attempt",
        "trouble",
        "delivery",
        "links",
        "disowned_at",
    )

    def get_urls(self) -> list[URLPattern]:
        name = f"{self.opts.app_label}_{self.opts.model_name}"
        wrap = self.admin_site.admin_view
        return [
            path("why/", wrap(partial(support.view, self)), name=f"{name}_explain"),
            path(
                "send/<path:user_id>/",
                wrap(partial(sending.view, self)),
                name=f"{name}_send",
            ),
            path(
                "invite/<path:user_id>/",
                wrap(partial(inviting.view, self)),
                name=f"{name}_invite",
            ),
            *super().get_urls(),
        ]

    @admin.action(
        permissions=["erase"],
        description=gettext_lazy("Erase what is kept of the addresses"),
    )
    def erase(
        self, request: HttpRequest, queryset: OutboxQuerySet[Any]
    ) -> TemplateResponse | None:
        return erasing.view(self, request, queryset)

    def has_erase_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("password_reset.erase_passwordresetrequest")

    def of_users(self, users: QuerySet[Any]) -> Q:
        """A request knows no user; the links that it led to do."""
        mailed = PasswordResetToken.objects.filter(
            user__in=pks(users), request__isnull=False
        )
        return Q(pk__in=list(mailed.values_list("request_id", flat=True)[:1000]))

    @admin.display(description=gettext_lazy("links"))
    def links(self, row: PasswordResetRequest) -> str:
        address = link(self.admin_site, "password_reset_passwordresettoken_changelist")
        return format_html(
            '<a href="{}?request__exact={}">{}</a>',
            address,
            row.pk,
            _("Links that were mailed"),
        )


class NoticeAdmin(OutboxAdmin):
    """The emails that tell owners of a changed password."""

    kind = worker.NOTICES
    list_display = ("email", "user", "outcome", "created_at", "ip_address")
    list_filter = (
        states.OutboxStateFilter,
        deliveries.DeliveryFilter,
        *ReadOnlyAdmin.by_date,
    )
    list_select_related = ("user",)
    fields = (
        "user",
        "email",
        "created_at",
        "sessions_deleted",
        "state",
        "attempts",
        "next_attempt",
        "processed_at",
        "failed_at",
        "delivery",
        "disowned_at",
        "trouble",
        "ip_address",
        "user_agent",
        "language",
    )
    readonly_fields = ("state", "next_attempt", "trouble", "delivery", "disowned_at")
