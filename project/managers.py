"""How the demo's users are made and found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.auth.base_user import BaseUserManager

if TYPE_CHECKING:
    from .models import User


class UserManager(BaseUserManager["User"]):
    """Make and find users by their address, whatever its case."""

    def create_user(
        self, email: str, password: str | None = None, **fields: Any
    ) -> User:
        """Create a user; without a password nobody can log in as them."""
        if not email:
            raise ValueError("A user needs an e-mail address.")
        user = self.model(email=self.normalize_email(email), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(
        self, email: str, password: str | None = None, **fields: Any
    ) -> User:
        """Create a user who may do everything."""
        return self.create_user(
            email, password, **{"is_staff": True, "is_superuser": True, **fields}
        )

    def get_by_natural_key(self, email: str | None) -> User:
        """Return the user who logs in with this address, in any case.

        Where two addresses differ in case only, each opens its own account and a third
        spelling none.
        """
        candidates = list(self.filter(email__iexact=email)[:2])
        exact = [user for user in candidates if user.email == email]
        match exact or candidates:
            case [user]:
                return user
        return self.get(email=email)
