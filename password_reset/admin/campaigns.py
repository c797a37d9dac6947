"""What the site sends by itself: invitations, forced resets, and their campaigns."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from password_reset import forced_resets, invitations, worker
from password_reset.campaigns import PasswordResetCampaign
from password_reset.visitors import parse_address

from . import states
from .campaign_states import of_forced_reset, of_invitation
from .deliveries import DeliveryFilter
from .lists import ReadOnlyAdmin, in_chunks, log
from .requests import OutboxAdmin


class CampaignStateFilter(states.StateFilter):
    """Emails of the site by what became of them."""

    states = {
        **states.OutboxStateFilter.states,
        "unmailed": (gettext_lazy("not sent"), lambda rows: rows.unmailed()),
    }


class CampaignRowAdmin(OutboxAdmin):
    """Emails that nobody has asked for: no address of a visitor is on their rows."""

    list_filter = (CampaignStateFilter, DeliveryFilter, *ReadOnlyAdmin.by_date)
    list_select_related = ("user", "campaign")
    linkable = ReadOnlyAdmin.linkable | {"campaign__exact"}
    search_help_text = gettext_lazy(
        "A mail address or its beginning, or a user's name or number."
    )

    def matching(self, term: str) -> Q:
        return Q(pk__in=[]) if parse_address(term) else super().matching(term)


class InvitationAdmin(CampaignRowAdmin):
    """Users who were asked to choose a first password."""

    kind = worker.INVITATIONS
    actions = ["retry", "void"]
    list_filter = (
        CampaignStateFilter,
        DeliveryFilter,
        ("asked_at", admin.DateFieldListFilter),
    )
    linkable = CampaignRowAdmin.linkable | {"asked_at__gte", "asked_at__lt"}
    list_display = ("email", "user", "outcome", "asked_at", "invited_by")
    fields = (
        "user",
        "email",
        "invited_by",
        "campaign",
        "asked_at",
        "state",
        "attempts",
        "next_attempt",
        "processed_at",
        "failed_at",
        "accepted_at",
        "voided_at",
        "delivery",
        "trouble",
    )
    readonly_fields = ("state", "next_attempt", "trouble", "delivery", "asked_at")

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: Any) -> str:
        return of_invitation(row)

    @admin.action(
        permissions=["void"],
        description=gettext_lazy("Void: the selected invitations stop working"),
    )
    def void(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        count = 0
        for chunk in in_chunks(queryset.select_related(None)):
            voided = [row for row in chunk if invitations.void_invitation(row.user_id)]
            log(request, voided, _("Voided: the invitation stops working."))
            count += len(voided)
        message = ngettext(
            "%(count)d invitation was voided.",
            "%(count)d invitations were voided.",
            count,
        )
        level = messages.SUCCESS if count else messages.WARNING
        self.message_user(request, message % {"count": count}, level)

    def has_void_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("password_reset.void_passwordresetinvitation")


class ForcedResetAdmin(CampaignRowAdmin):
    """Users whose password the site has ended."""

    kind = worker.FORCED_RESETS
    list_display = ("email", "user", "outcome", "forced_at", "campaign")
    fields = (
        "user",
        "email",
        "campaign",
        "forced_at",
        "sessions_deleted",
        "state",
        "attempts",
        "next_attempt",
        "processed_at",
        "failed_at",
        "delivery",
        "trouble",
    )
    readonly_fields = ("state", "next_attempt", "trouble", "delivery")

    @admin.display(description=gettext_lazy("state"))
    def state(self, row: Any) -> str:
        return of_forced_reset(row)


class CampaignAdmin(ReadOnlyAdmin):
    """Emails to many, and how far they are."""

    list_display = ("__str__", "started_by", "rate", "people", "emails", "finished_at")
    list_per_page = 20
    search_fields = ("started_by",)
    search_help_text = gettext_lazy("Who has started it.")
    linkable = frozenset[str]()
    fields = (
        "kind",
        "started_by",
        "rate",
        "created_at",
        "people",
        "emails",
        "completed_at",
        "finished_at",
    )
    readonly_fields = ("created_at", "people", "emails")

    def matching(self, term: str) -> Q:
        return Q(started_by__icontains=term)

    @admin.display(description=gettext_lazy("dealt with"))
    def people(self, row: PasswordResetCampaign) -> str:
        found = forced_resets.counts(row)
        return _("%(done)d of %(all)d") % {"done": found.ended, "all": found.people}

    @admin.display(description=gettext_lazy("emails"))
    def emails(self, row: PasswordResetCampaign) -> str:
        found = forced_resets.counts(row)
        return _(
            "%(mailed)d sent, %(waiting)d waiting, %(unmailed)d not sent, %(failed)d "
            "given up"
        ) % {
            "mailed": found.mailed,
            "waiting": found.waiting,
            "unmailed": found.unmailed,
            "failed": found.failed,
        }
