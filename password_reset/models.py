"""The rows of the flow and their named sets. A state is a moment; a race is decided by
an UPDATE's count.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any, Self, TypeVar

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models, router
from django.db.models import Case, F, Q, Value, When
from django.db.models.functions import Length
from django.db.models.lookups import Exact
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from . import tokens

#: How long a worker owns the row that it claimed. A crash makes the row due again by
#: itself.
LEASE = timedelta(minutes=5)
MAX_ATTEMPTS = 12
FIRST_PAUSE = timedelta(seconds=15)
#: 15 s doubling up to two hours: twelve attempts span about six hours.
LONGEST_PAUSE = timedelta(hours=2)
#: PostgreSQL's operator class by which an index answers "begins with" in every
#: collation; equality too.
PREFIX = "varchar_pattern_ops"


class LongNameIndex(models.Index):
    """An index that may be called what the deployment guide calls it (Django's own
    limit of 30 dates from Oracle).
    """

    max_name_length = 63


def pause_after(attempts: int) -> timedelta:
    """Return how long to wait after the given number of attempts, with jitter so that
    rows spread out.
    """
    doubled = FIRST_PAUSE * (1 << min(attempts - 1, 16))
    return min(doubled, LONGEST_PAUSE) * random.uniform(0.8, 1.2)  # noqa: S311 (no secret)


class PrimaryManager(models.Manager[Any]):
    """Read where the flow writes: on a replica that lags, a row that was claimed or a
    link that was mailed a moment ago is not there yet.
    """

    def get_queryset(self) -> models.QuerySet[Any]:
        return super().get_queryset().using(router.db_for_write(self.model))


Row = TypeVar("Row", bound="OutboxRow")


class OutboxQuerySet(models.QuerySet[Row]):
    """Named sets of rows that a worker settles."""

    def pending(self) -> Self:
        """Rows that are neither sent nor given up."""
        return self.filter(processed_at__isnull=True, failed_at__isnull=True)

    def due(self) -> Self:
        """Rows that a worker may claim now."""
        due_by_now = Q(next_attempt_at__isnull=True) | Q(
            next_attempt_at__lte=timezone.now()
        )
        return self.pending().filter(due_by_now, attempts__lt=MAX_ATTEMPTS)

    def exhausted(self) -> Self:
        """Rows whose last attempt ended in a crash: nobody is left to give them up."""
        return self.pending().filter(
            attempts__gte=MAX_ATTEMPTS, next_attempt_at__lte=timezone.now()
        )

    def settled(self) -> Self:
        """Rows that are sent or given up."""
        return self.filter(Q(processed_at__isnull=False) | Q(failed_at__isnull=False))

    def retriable(self) -> Self:
        """Rows that may be tried again at once: given up, or waiting and surely in no
        worker's hands.

        What is due within a lease may be leased: to set it back would send its mail
        twice.
        """
        leased = Q(
            attempts__gt=0,
            next_attempt_at__gt=timezone.now(),
            next_attempt_at__lte=timezone.now() + LEASE,
        )
        return self.filter(processed_at__isnull=True).exclude(
            Q(failed_at__isnull=True) & leased
        )

    def revive(self) -> int:
        """Make rows due at once, with all their attempts before them; return how many
        could be.
        """
        return self.retriable().update(attempts=0, next_attempt_at=None, failed_at=None)

    def claim(self, pk: int) -> Row | None:
        """Take one due row for the length of a lease; ``None`` when another worker has
        it.
        """
        lease = timezone.now() + LEASE
        if (
            self.due()
            .filter(pk=pk)
            .update(attempts=F("attempts") + 1, next_attempt_at=lease)
            == 1
        ):
            return self.get(pk=pk)
        return None


class OutboxRow(models.Model):
    """A mail to send: the row is the truth, the task queue only a bell."""

    ip_address = models.GenericIPAddressField(_("IP address"), null=True, blank=True)
    user_agent = models.CharField(_("user agent"), max_length=512, blank=True)
    language = models.CharField(_("language"), max_length=35, blank=True)
    created_at = models.DateTimeField(
        _("created at"), default=timezone.now, editable=False
    )
    attempts = models.PositiveSmallIntegerField(_("attempts"), default=0)
    next_attempt_at = models.DateTimeField(_("next attempt at"), null=True, blank=True)
    processed_at = models.DateTimeField(_("processed at"), null=True, blank=True)
    failed_at = models.DateTimeField(_("given up at"), null=True, blank=True)
    mails_sent = models.PositiveSmallIntegerField(_("mails sent"), default=0)
    #: A code, never an address or a secret.
    last_error = models.CharField(_("last error"), max_length=64, blank=True)

    class Meta:
        abstract = True

    @property
    def is_last_attempt(self) -> bool:
        """Whether nobody will try again after this attempt."""
        return self.attempts >= MAX_ATTEMPTS

    def renew_lease(self) -> bool:
        """Keep the row for another lease while its mails are sent; ``False`` when
        another worker has it.
        """
        return self._update(next_attempt_at=timezone.now() + LEASE)

    def settle(self, error: str = "") -> bool:
        """Record that everything that could be sent is sent; ``False`` when another
        worker has the row.
        """
        return self._update(processed_at=timezone.now(), last_error=error)

    def postpone(self, error: str) -> bool:
        """Try again later; ``False`` when another worker has the row."""
        return self._update(
            next_attempt_at=timezone.now() + pause_after(self.attempts),
            last_error=error,
        )

    def give_up(self, error: str) -> bool:
        """Record that nobody will try again by themselves; the admin can. ``False``
        when another was first.
        """
        return self._update(failed_at=timezone.now(), last_error=error)

    def _update(self, **values: object) -> bool:
        """Write unless the row is settled or, after a lease that ran out, in another
        worker's attempt.
        """
        for name, value in values.items():
            setattr(self, name, value)
        mine = type(self)._default_manager.filter(
            pk=self.pk,
            attempts=self.attempts,
            processed_at__isnull=True,
            failed_at__isnull=True,
        )
        return mine.update(**values) == 1


class PasswordResetRequest(OutboxRow):
    """What somebody typed into the form. No request knows whether an account exists."""

    class Source(models.TextChoices):
        WEB = "web", _("web")
        API = "api", _("API")
        ADMIN = "admin", _("admin")

    #: As typed, stripped: a case-folded look-up would lose ``Straße@``.
    email = models.CharField(_("email"), max_length=320)
    source = models.CharField(
        _("source"), max_length=8, choices=Source.choices, default=Source.WEB
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
        ]
        permissions = [
            ("retry_passwordresetrequest", "Can retry password reset requests"),
            ("send_passwordresetrequest", "Can send a reset link to a user"),
            (
                "explain_passwordresetrequest",
                "Can see why a person cannot reset their password",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} ({self.created_at:%Y-%m-%d %H:%M})"


class PasswordResetTokenQuerySet(models.QuerySet["PasswordResetToken"]):
    """Named sets of tokens."""

    def usable(self) -> Self:
        """Tokens that are neither spent, voided nor expired."""
        return self.filter(used_at__isnull=True, expires_at__gt=timezone.now())

    def expired(self) -> Self:
        """Tokens past their lifetime."""
        return self.filter(expires_at__lte=timezone.now())

    def spend(self, pk: int) -> bool:
        """Spend a usable token; ``False`` when somebody else was first. Decided by the
        database.
        """
        return self.usable().filter(pk=pk).update(used_at=timezone.now()) == 1

    def void(self, at: datetime | None = None) -> int:
        """Make tokens useless and return how many were still open."""
        return self.filter(used_at__isnull=True).update(used_at=at or timezone.now())

    def purgeable(self, retention: timedelta) -> Self:
        """Tokens that died at least ``retention`` ago: the guide's nightly clean-up for
        zero.
        """
        before = timezone.now() - retention
        return self.filter(Q(expires_at__lte=before) | Q(used_at__lte=before))


class PasswordResetToken(models.Model):
    """A link in a mail, known by its digest alone."""

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

    def fits(self, user: AbstractBaseUser) -> bool:
        """Tell whether this user may still spend this token: active, same password,
        same address.
        """
        return bool(user.is_active) and tokens.fits(self.fingerprint, *identity(user))


def identity(user: AbstractBaseUser) -> tuple[object, str, str]:
    """Return what a fingerprint is taken of: key, password hash, stored address."""
    return user.pk, user.password, stored_email(user)


def stored_email(user: AbstractBaseUser) -> str:
    """Return the address on file, whatever the field's name; mail goes there and
    nowhere else.
    """
    return getattr(user, type(user).get_email_field_name(), None) or ""


class PasswordResetNotice(OutboxRow):
    """The "your password was changed" mail, written in the reset's own transaction so
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
