"""The rows of what the site itself sends: invitations, forced resets, and the campaigns
that pace them.

Each person has one row, with one state; a campaign says how fast its emails leave.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar, Self, TypeVar

from django.conf import settings
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .conf import conf
from .outbox import PREFIX, OutboxQuerySet, OutboxRow, PrimaryManager
from .purposes import Purpose
from .users import must_reset, stored_email

#: Emails that a campaign may catch up with, in seconds of its pace, when its slots came
#: late.
CATCH_UP = timedelta(seconds=1)
#: What makes a settled row due once more, for another email.
AFRESH: dict[str, Any] = {
    "attempts": 0,
    "next_attempt_at": None,
    "processed_at": None,
    "failed_at": None,
    "mails_sent": 0,
    "last_error": "",
    "claim_id": None,
}

Row = TypeVar("Row", bound="CampaignRow")


class CampaignQuerySet(models.QuerySet["PasswordResetCampaign"]):
    """Named sets of campaigns."""

    def running(self) -> Self:
        """Campaigns with emails to send, the one that waits longest for a slot
        first.
        """
        return self.filter(finished_at__isnull=True).order_by("next_slot_at", "pk")


class PasswordResetCampaign(models.Model):
    """Emails to many people at a given pace, and how far they are."""

    class Kind(models.TextChoices):
        INVITATION = "invitation", _("invitations")
        FORCED = "forced", _("forced resets")

    kind = models.CharField(_("kind"), max_length=12, choices=Kind.choices)
    #: Who was chosen, as a digest: the same command again continues, and does not begin
    #: anew.
    selection = models.CharField(max_length=64, editable=False)
    #: The selection while its people are not all dealt with, then nothing: of two
    #: commands at once one makes the campaign and both work on it.
    open_key = models.CharField(  # noqa: DJ001 - of empty texts one alone is unique
        max_length=80, null=True, unique=True, editable=False
    )
    started_by = models.CharField(_("started by"), max_length=150, blank=True)
    #: Emails a second; nothing for as many as the workers can send.
    rate = models.FloatField(_("emails per second"), null=True, blank=True)
    next_slot_at = models.DateTimeField(default=timezone.now, editable=False)
    created_at = models.DateTimeField(
        _("created at"), default=timezone.now, editable=False
    )
    #: When all its people were dealt with: invited, or their passwords ended.
    completed_at = models.DateTimeField(_("completed at"), null=True, blank=True)
    #: When the last of its emails was settled.
    finished_at = models.DateTimeField(_("finished at"), null=True, blank=True)

    objects = PrimaryManager.from_queryset(CampaignQuerySet)()

    class Meta:
        db_table = "password_reset_campaigns"
        verbose_name = _("password campaign")
        verbose_name_plural = _("password campaigns")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["created_at"], name="password_reset_campaigns_age"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.pk} ({self.created_at:%Y-%m-%d %H:%M})"

    @property
    def rows(self) -> OutboxQuerySet[Any]:
        """Its emails."""
        model: Any = (
            PasswordResetInvitation
            if self.kind == self.Kind.INVITATION
            else ForcedPasswordReset
        )
        rows: OutboxQuerySet[Any] = model.objects.filter(campaign_id=self.pk)
        return rows

    def take_slots(self, wanted: int) -> int:
        """Take the right to send some emails now; return how many, 0 when it is too
        early or another worker was first. Decided by the database.
        """
        now = timezone.now()
        if not self.rate:
            # As fast as the workers are, in turn with the other campaigns.
            type(self).objects.filter(pk=self.pk).update(next_slot_at=now)
            return wanted
        if self.next_slot_at > now:
            return 0
        # At most what half a second brings, or the pace would come in lumps.
        count = max(1, min(wanted, int(self.rate / 2)))
        begins = max(self.next_slot_at, now - CATCH_UP)
        next_slot_at = begins + timedelta(seconds=count / self.rate)
        mine = type(self).objects.filter(pk=self.pk, next_slot_at=self.next_slot_at)
        return count if mine.update(next_slot_at=next_slot_at) == 1 else 0

    def complete(self) -> None:
        """Record that all its people are dealt with."""
        type(self).objects.filter(pk=self.pk, completed_at__isnull=True).update(
            completed_at=timezone.now(), open_key=None
        )

    def finish(self) -> None:
        """Record that no email of it waits any more, where that is so."""
        if not self.completed_at or self.rows.pending().exists():
            return
        done = type(self).objects.filter(pk=self.pk, completed_at__isnull=False)
        done.filter(finished_at__isnull=True).update(finished_at=timezone.now())


class CampaignRowQuerySet(OutboxQuerySet[Row]):
    """Named sets of emails that the site sends."""

    def requeue(self) -> int:
        with transaction.atomic(using=self.db):
            keys = set(self.retriable().values_list("campaign_id", flat=True))
            requeued = super().requeue()
            # Nobody looks for the emails of a campaign that is over.
            PasswordResetCampaign.objects.filter(pk__in=keys).update(finished_at=None)
            return requeued


class CampaignRow(OutboxRow):
    """An email that the site sends to one of its users without being asked."""

    purpose: ClassVar[Purpose]

    email = models.CharField(_("email"), max_length=320)

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return f"{self.email} ({self.created_at:%Y-%m-%d %H:%M})"

    @property
    def wanted_since(self) -> datetime:
        """From when on a link that was sent is the one that this row asks for."""
        raise NotImplementedError

    def obstacle(self) -> str:
        """Return why its user is mailed nothing, as a code; an empty text otherwise."""
        user: Any = self.user  # type: ignore[attr-defined]
        if not user.is_active:
            return "inactive"
        if not stored_email(user):
            return "no_address"
        return "has_password" if user.has_usable_password() else ""


class InvitationQuerySet(CampaignRowQuerySet["PasswordResetInvitation"]):
    """Named sets of invitations."""

    def open(self) -> Self:
        """Invitations that are neither accepted nor voided; their links may have
        expired.
        """
        return self.filter(accepted_at__isnull=True, voided_at__isnull=True)

    def due(self) -> Self:
        return super().due().open()


class PasswordResetInvitation(CampaignRow):
    """Somebody whom the site has asked to choose a first password; one row for each
    user.
    """

    purpose = Purpose.INVITATION

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="+",
        verbose_name=_("user"),
    )
    campaign = models.ForeignKey(
        PasswordResetCampaign,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="invitations",
        verbose_name=_("campaign"),
    )
    invited_by = models.CharField(_("invited by"), max_length=150, blank=True)
    #: When it was last sent for: a resend begins anew.
    asked_at = models.DateTimeField(_("asked at"), default=timezone.now, editable=False)
    accepted_at = models.DateTimeField(_("accepted at"), null=True, blank=True)
    voided_at = models.DateTimeField(_("voided at"), null=True, blank=True)

    objects = PrimaryManager.from_queryset(InvitationQuerySet)()

    class Meta:
        db_table = "password_reset_invitations"
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        indexes = [
            models.Index(
                fields=["next_attempt_at", "id"],
                name="password_reset_invitations_due",
                condition=Q(processed_at__isnull=True, failed_at__isnull=True),
            ),
            models.Index(fields=["asked_at"], name="password_reset_invitations_age"),
            models.Index(
                fields=["email"],
                name="password_reset_invitations_ema",
                opclasses=[PREFIX],
            ),
            models.Index(
                fields=["id"],
                name="password_reset_invitations_fai",
                condition=Q(failed_at__isnull=False),
            ),
        ]
        permissions = [
            ("send_passwordresetinvitation", "Can invite a user to set a password"),
            ("retry_passwordresetinvitation", "Can retry invitations"),
            ("void_passwordresetinvitation", "Can void invitations"),
        ]

    @property
    def wanted_since(self) -> datetime:
        return self.asked_at

    @property
    def ends_at(self) -> datetime:
        """When the link that was sent last stops working, at the latest."""
        return (self.processed_at or timezone.now()) + conf.invitation_lifetime

    @property
    def is_open(self) -> bool:
        """Whether it is neither accepted nor voided."""
        return self.accepted_at is None and self.voided_at is None

    def obstacle(self) -> str:
        return super().obstacle() if self.is_open else "voided"


class ForcedResetQuerySet(CampaignRowQuerySet["ForcedPasswordReset"]):
    """Named sets of forced resets."""

    def untouched(self) -> Self:
        """Rows of people whose password is not ended yet."""
        return self.filter(forced_at__isnull=True)

    def due(self) -> Self:
        # An email never leaves before the password has ended.
        return super().due().filter(forced_at__isnull=False)


class ForcedPasswordReset(CampaignRow):
    """Somebody whose password the site ends in a campaign; one row for each person."""

    purpose = Purpose.FORCED

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="+",
        verbose_name=_("user"),
    )
    campaign = models.ForeignKey(
        PasswordResetCampaign,
        models.CASCADE,
        related_name="resets",
        verbose_name=_("campaign"),
    )
    #: When password, sessions and tokens ended.
    forced_at = models.DateTimeField(_("password ended at"), null=True, blank=True)
    sessions_deleted = models.PositiveIntegerField(
        _("sessions ended"), null=True, blank=True
    )

    objects = PrimaryManager.from_queryset(ForcedResetQuerySet)()

    class Meta:
        db_table = "password_reset_forced_resets"
        verbose_name = _("forced reset")
        verbose_name_plural = _("forced resets")
        constraints = [
            models.UniqueConstraint(
                fields=["campaign", "user"], name="password_reset_forced_once"
            )
        ]
        indexes = [
            models.Index(
                fields=["next_attempt_at", "id"],
                name="password_reset_forced_due",
                condition=Q(processed_at__isnull=True, failed_at__isnull=True),
            ),
            models.Index(fields=["created_at"], name="password_reset_forced_age"),
            models.Index(
                fields=["email"],
                name="password_reset_forced_email",
                opclasses=[PREFIX],
            ),
            models.Index(
                fields=["id"],
                name="password_reset_forced_failed",
                condition=Q(failed_at__isnull=False),
            ),
            models.Index(
                fields=["campaign", "id"],
                name="password_reset_forced_todo",
                condition=Q(forced_at__isnull=True),
            ),
        ]
        permissions = [
            ("start_forcedpasswordreset", "Can force users to choose a new password"),
            ("retry_forcedpasswordreset", "Can retry emails of forced resets"),
        ]

    @property
    def wanted_since(self) -> datetime:
        return self.forced_at or timezone.now()

    def obstacle(self) -> str:
        found = super().obstacle()
        if not found and not must_reset(self.user):
            return "no_password"
        return found
