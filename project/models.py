"""The demo's users: they log in by e-mail address."""

from __future__ import annotations

from typing import ClassVar

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, PermissionsMixin
from django.db import models
from django.db.models.functions import Upper
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from .managers import UserManager


def languages() -> list[tuple[str, str]]:
    """Return the site's languages; callable, so that a new one needs no migration."""
    return [(code, str(name)) for code, name in settings.LANGUAGES]


class User(AbstractBaseUser, PermissionsMixin):
    """A person with an account, known by e-mail address."""

    email = models.EmailField(_("email address"), unique=True)
    first_name = models.CharField(_("first name"), max_length=60, blank=True)
    last_name = models.CharField(_("last name"), max_length=60, blank=True)
    language = models.CharField(
        _("language"), max_length=10, choices=languages, blank=True
    )
    is_staff = models.BooleanField(_("staff status"), default=False)
    is_active = models.BooleanField(_("active"), default=True)
    date_joined = models.DateTimeField(_("date joined"), default=timezone.now)

    objects: ClassVar[UserManager] = UserManager()

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        db_table = "users"
        verbose_name = _("user")
        verbose_name_plural = _("users")
        # Look-ups by address ignore case, which PostgreSQL answers from this index
        # only.
        indexes = [models.Index(Upper("email"), name="users_upper_email")]

    def __str__(self) -> str:
        return self.email

    def get_full_name(self) -> str:
        """Return both names, or nothing."""
        return f"{self.first_name} {self.last_name}".strip()

    def get_short_name(self) -> str:
        """Return the first name, or nothing."""
        return self.first_name
