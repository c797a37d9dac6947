"""The user model of every site."""

from typing import ClassVar, Self

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.functions import Upper


class User(AbstractBaseUser, PermissionsMixin):
    """Log in by e-mail address, found by the index that Django's own look-up uses."""

    email = models.EmailField(unique=True)
    is_active = models.BooleanField(default=True)
    is_staff = models.BooleanField(default=False)

    objects: ClassVar[BaseUserManager[Self]] = BaseUserManager()

    EMAIL_FIELD = "email"
    USERNAME_FIELD = "email"

    class Meta:
        db_table = "users"
        indexes = (models.Index(Upper("email"), name="users_upper_email"),)

    def __str__(self) -> str:
        return self.email
