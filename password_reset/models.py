"""The rows of the flow and their named sets. A state is a moment; a race is decided by
an UPDATE's count.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self, TypeVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models
from django.db.models import Case, Q, Value, When
from django.db.models.functions import Length
from django.db.models.lookups import Exact
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from . import tokens
from .campaigns import (
    ForcedPasswordReset,
    PasswordResetCampaign,
    PasswordResetInvitation,
)
from .deliveries import PasswordResetDelivery
from .outbox import PREFIX, OutboxQuerySet, OutboxRow, PrimaryManager
from .purposes import Purpose
from .users import Answer, answer_to, identity

__all__ = [
    "ForcedPasswordReset",
    "LongNameIndex",
    "PasswordResetCampaign",
    "PasswordResetCode",
    "PasswordResetDelivery",
    "PasswordResetInvitation",
    "PasswordResetNotice",
    "PasswordResetRequest",
    "PasswordResetToken",
    "PasswordResetTokenQuerySet",
    "SecretQuerySet",
    "UserSession",
    "UserSessionQuerySet",
]

#: Where a site has no brands, their index is empty.
BRANDED = ~Q(brand="")
Secret = TypeVar("Secret", bound=models.Model)


class LongNameIndex(models.Index):
    """An index that may be called what the deployment guide calls it (Django's own
    limit of 30 dates from Oracle).
    """

    max_name_length = 63


class PasswordResetRequest(OutboxRow):
    """What somebody typed into the form. No row says whether there is an account."""

    class Source(models.TextChoices):
        WEB = "web", _("web")
        API = "api", _("API")
        ADMIN = "admin", _("admin")

    #: As typed, stripped: a case-folded look-up would lose ``Straße@``.
    email = models.CharField(_("email"), max_length=320)
    source = models.CharField(
        _("source"), max_length=8, choices=Source.choices, default=Source.WEB
    )
    #: When those on the address who have no password were told how to log in.
    explained_at = models.DateTimeField(_("explained at"), null=True, blank=True)

    #: The path where its visitor was, to lead back to; checked by ``redirects``.
    next_url = models.CharField(
        max_length=512, blank=True, default="", db_default="", editable=False
    )
    #: Codes that were typed for this request, right or wrong.
    code_tries = models.PositiveSmallIntegerField(
        default=0, db_default=0, editable=False
    )

    objects = PrimaryManager.from_queryset(OutboxQuerySet)()

    class Meta:
        db_table = "password_reset_requests"
        verbose_name = _("password reset request")
        verbose_name_plural = _("password reset requests")
        indexes = [
            models.Index(
                fields=["next_attempt_at", "id"],
                name="password_reset_requests_due",
                condition=Q(processed_at__isnull=True, failed_at__isnull=True),
            ),
            models.Index(fields=["created_at"], name="password_reset_requests_age"),
            # What support looks for: the beginning of an address, a visitor's address,
            # what was given up.
            models.Index(
                fields=["email"],
                name="password_reset_requests_email",
                opclasses=[PREFIX],
            ),
            models.Index(
                fields=["ip_address", "id"], name="password_reset_requests_ip"
            ),
            models.Index(
                fields=["brand", "id"],
                name="password_reset_requests_brand",
                condition=BRANDED,
            ),
            models.Index(
                fields=["id"],
                name="password_reset_requests_failed",
                condition=Q(failed_at__isnull=False),
            ),
            # Few, among many that strangers asked for at addresses without an account.
            models.Index(
                fields=["id"],
                name="password_reset_requests_sent",
                condition=Q(mails_sent__gt=0),
            ),
            # Few, where nobody asks but those who have an account.
            models.Index(
                fields=["id"],
                name="password_reset_requests_nobody",
                condition=Q(mails_sent=0, processed_at__isnull=False),
            ),
        ]
        permissions = [
            ("retry_passwordresetrequest", "Can retry password reset requests"),
            ("send_passwordresetrequest", "Can send a reset link to a user"),
            (
                "explain_passwordresetrequest",
                "Can see why a person cannot reset their password",
            ),
            (
                "erase_passwordresetrequest",
                "Can erase what is kept of an email address",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} ({self.created_at:%Y-%m-%d %H:%M})"


class SecretQuerySet(models.QuerySet[Secret]):
    """Named sets of what is spent once: links and codes."""

    def usable(self) -> Self:
        """Secrets that are neither spent, voided nor expired."""
        return self.filter(used_at__isnull=True, expires_at__gt=timezone.now())

    def spend(self, pk: int, **also: object) -> bool:
        """Spend a usable one, and write what else is known then; ``False`` when
        somebody else was first. Decided by the database.
        """
        rows = self.usable().filter(pk=pk)
        return rows.update(used_at=timezone.now(), **also) == 1

    def void(self, at: datetime | None = None) -> int:
        """Make them useless and return how many were still open."""
        return self.filter(used_at__isnull=True).update(used_at=at or timezone.now())


class PasswordResetTokenQuerySet(SecretQuerySet["PasswordResetToken"]):
    """Named sets of tokens."""

    def expired(self) -> Self:
        """Tokens past their lifetime."""
        return self.filter(expires_at__lte=timezone.now())

    def purgeable(self, retention: timedelta) -> Self:
        """Tokens that died at least ``retention`` ago: the guide's nightly clean-up for
        zero.
        """
        before = timezone.now() - retention
        return self.filter(Q(expires_at__lte=before) | Q(used_at__lte=before))


class PasswordResetToken(models.Model):
    """A link in an email, known by its digest alone."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        db_index=False,
        related_name="password_reset_tokens",
        verbose_name=_("user"),
    )
    request = models.ForeignKey(
        PasswordResetRequest,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name="tokens",
        verbose_name=_("request"),
    )
    email = models.CharField(_("sent to"), max_length=320)
    #: Key of the brand on whose host alone the link opens.
    brand = models.CharField(
        _("brand"), max_length=32, blank=True, default="", db_default=""
    )
    purpose = models.CharField(
        _("purpose"),
        max_length=12,
        choices=Purpose.choices,
        default=Purpose.RESET,
        db_default=Purpose.RESET,
        editable=False,
    )
    token_hash = models.CharField(_("token hash"), max_length=64, editable=False)
    fingerprint = models.CharField(_("fingerprint"), max_length=64, editable=False)
    created_at = models.DateTimeField(
        _("created at"), default=timezone.now, editable=False
    )
    expires_at = models.DateTimeField(_("expires at"))
    sent_at = models.DateTimeField(_("sent at"), null=True, blank=True)
    message_id = models.CharField(_("message ID"), max_length=255, blank=True)
    #: Spent or voided.
    used_at = models.DateTimeField(_("used at"), null=True, blank=True)
    used = models.GeneratedField(
        expression=Case(
            When(used_at__isnull=False, then=Value(True)), default=Value(False)
        ),
        output_field=models.BooleanField(),
        db_persist=True,
        verbose_name=_("used"),
    )
    ip_address = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    user_agent = models.CharField(_("user agent"), max_length=512, blank=True)
    #: Codes of a second factor that were typed behind this link, right or wrong.
    second_factor_tries = models.PositiveIntegerField(
        default=0, db_default=0, editable=False
    )
    #: When one of them was right and the link was spent with it.
    second_factor_at = models.DateTimeField(
        _("second factor at"), null=True, blank=True, editable=False
    )

    objects = PrimaryManager.from_queryset(PasswordResetTokenQuerySet)()

    class Meta:
        db_table = "password_reset_tokens"
        verbose_name = _("password reset token")
        verbose_name_plural = _("password reset tokens")
        constraints = [
            models.UniqueConstraint(
                fields=["token_hash"], name="idx_password_reset_tokens_token"
            ),
            # Devise CVE-2013-0233 and its kin: a blank must never match a row.
            models.CheckConstraint(
                condition=Exact(Length("token_hash"), 64),
                name="password_reset_tokens_digest",
            ),
        ]
        indexes = [
            LongNameIndex(fields=["user"], name="idx_password_reset_tokens_user_id"),
            LongNameIndex(
                fields=["email"],
                name="idx_password_reset_tokens_email",
                opclasses=[PREFIX],
            ),
            LongNameIndex(
                fields=["ip_address", "id"], name="idx_password_reset_tokens_ip_address"
            ),
            LongNameIndex(
                fields=["brand", "id"],
                name="idx_password_reset_tokens_brand",
                condition=BRANDED,
            ),
            LongNameIndex(
                fields=["created_at"], name="idx_password_reset_tokens_created_at"
            ),
            LongNameIndex(
                fields=["expires_at"], name="idx_password_reset_tokens_expires_at"
            ),
            LongNameIndex(
                fields=["used_at"],
                name="idx_password_reset_tokens_used_at",
                condition=Q(used_at__isnull=False),
            ),
        ]
        permissions = [("void_passwordresettoken", "Can void password reset tokens")]

    def __str__(self) -> str:
        return f"{self.email} ({self.created_at:%Y-%m-%d %H:%M})"

    @property
    def is_expired(self) -> bool:
        """Whether the lifetime is over, to the moment."""
        return self.expires_at <= timezone.now()

    @property
    def is_usable(self) -> bool:
        """Whether it is neither spent, voided nor expired."""
        return self.used_at is None and not self.is_expired

    @property
    def next_url(self) -> str:
        """Where whoever asked for the link was; nothing where its request is gone."""
        return self.request.next_url if self.request else ""

    def matches(self, user: AbstractBaseUser) -> bool:
        """Return whether this user may still spend this token: active, same password,
        same address. Without a password only while the site invites to set a first one;
        an invitation only without one.
        """
        if self.purpose != Purpose.INVITATION:
            return _matches(self.fingerprint, user)
        may_accept = user.is_active and not user.has_usable_password()
        own = tokens.matches(
            self.fingerprint, *identity(user), purpose=Purpose.INVITATION.value
        )
        return may_accept and own and not self._is_voided()

    def _is_voided(self) -> bool:
        """Return whether the user's invitation is void, also where a worker had it at
        that moment and has made this link since.
        """
        rows = PasswordResetInvitation.objects.filter(user_id=self.user_id)
        return bool(rows.filter(voided_at__isnull=False).exists())


def _matches(fingerprint: str, user: AbstractBaseUser) -> bool:
    may_reset = answer_to(user) is Answer.LINK
    return may_reset and tokens.matches(fingerprint, *identity(user))


class PasswordResetCode(models.Model):
    """A code in an email, known by a keyed digest alone."""

    request = models.ForeignKey(
        PasswordResetRequest,
        models.CASCADE,
        related_name="codes",
        verbose_name=_("request"),
    )
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="+",
        verbose_name=_("user"),
    )
    email = models.CharField(_("sent to"), max_length=320)
    digest = models.CharField(max_length=64, editable=False)
    fingerprint = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(
        _("created at"), default=timezone.now, editable=False
    )
    expires_at = models.DateTimeField(_("expires at"))
    #: Spent or voided.
    used_at = models.DateTimeField(_("used at"), null=True, blank=True)

    objects = PrimaryManager.from_queryset(SecretQuerySet)()

    class Meta:
        db_table = "password_reset_codes"
        verbose_name = _("password reset code")
        verbose_name_plural = _("password reset codes")
        default_permissions = ()
        indexes = [
            models.Index(fields=["expires_at"], name="password_reset_codes_expires")
        ]

    def __str__(self) -> str:
        return f"{self.email} ({self.created_at:%Y-%m-%d %H:%M})"

    def matches(self, user: AbstractBaseUser) -> bool:
        """Return whether this user may still spend this code, as of a token."""
        return _matches(self.fingerprint, user)


class PasswordResetNotice(OutboxRow):
    """The "your password was changed" email, written in the reset's own transaction so
    that none is lost.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="+",
        verbose_name=_("user"),
    )
    email = models.CharField(_("email"), max_length=320)
    #: Sessions and tokens ended by the reset; unknown when the process died before it
    #: could count.
    sessions_deleted = models.PositiveIntegerField(
        _("sessions ended"), null=True, blank=True
    )

    objects = PrimaryManager.from_queryset(OutboxQuerySet)()

    class Meta:
        db_table = "password_reset_notices"
        verbose_name = _("password change notice")
        verbose_name_plural = _("password change notices")
        indexes = [
            models.Index(
                fields=["next_attempt_at", "id"],
                name="password_reset_notices_due",
                condition=Q(processed_at__isnull=True, failed_at__isnull=True),
            ),
            models.Index(fields=["created_at"], name="password_reset_notices_age"),
            models.Index(
                fields=["email"],
                name="password_reset_notices_email",
                opclasses=[PREFIX],
            ),
            models.Index(fields=["ip_address", "id"], name="password_reset_notices_ip"),
            models.Index(
                fields=["brand", "id"],
                name="password_reset_notices_brand",
                condition=BRANDED,
            ),
            models.Index(
                fields=["id"],
                name="password_reset_notices_failed",
                condition=Q(failed_at__isnull=False),
            ),
        ]
        permissions = [
            ("retry_passwordresetnotice", "Can retry password change notices")
        ]

    def __str__(self) -> str:
        return f"{self.email} ({self.created_at:%Y-%m-%d %H:%M})"


class UserSessionQuerySet(models.QuerySet["UserSession"]):
    """Named sets of session rows."""

    def outlived(self) -> Self:
        """Rows older than any session of this site can be."""
        return self.filter(
            created_at__lt=timezone.now()
            - timedelta(seconds=settings.SESSION_COOKIE_AGE)
        )


class UserSession(models.Model):
    """A log-in, remembered so that a reset can clean the session store.

    Best effort: what ends a session is Django's session hash.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="+",
        verbose_name=_("user"),
    )
    session_key = models.CharField(
        _("session key"), max_length=64, unique=True, editable=False
    )
    #: Of whoever logged in, so that staff can tell one log-in from another.
    user_agent = models.CharField(
        _("user agent"), max_length=512, blank=True, default="", db_default=""
    )
    created_at = models.DateTimeField(
        _("created at"), default=timezone.now, editable=False
    )

    objects = PrimaryManager.from_queryset(UserSessionQuerySet)()

    class Meta:
        db_table = "user_sessions"
        verbose_name = _("user session")
        verbose_name_plural = _("user sessions")
        indexes = [models.Index(fields=["created_at"], name="user_sessions_created_at")]

    def __str__(self) -> str:
        return f"{self.user_id} ({self.created_at:%Y-%m-%d %H:%M})"
