"""Make accounts to try the flow out with."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from project.models import User

PASSWORD = "only-for-trying-out"  # noqa: S105 - public, and refused outside development
ACCOUNTS: dict[str, dict[str, Any]] = {
    "demo@example.com": {"first_name": "Dana", "last_name": "Demo"},
    "other@example.com": {"first_name": "Otto", "last_name": "Other"},
    "admin@example.com": {
        "first_name": "Ada",
        "last_name": "Admin",
        "is_staff": True,
        "is_superuser": True,
    },
}


class Command(BaseCommand):
    """Make the demo's accounts, unless they exist, and print how to log in."""

    help = (
        "Make the demo's accounts, unless they exist, and print how to log in. In "
        "development only."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        if settings.ENVIRONMENT != "development":
            raise CommandError(
                "The demo's accounts have a public password: they are made in "
                "development only."
            )
        for email, fields in ACCOUNTS.items():
            user = User.objects.filter(email=email).first() or User.objects.create_user(
                email, PASSWORD, **fields
            )
            # Never set again: somebody may have tried the reset, and is about to log in
            # with the new one.
            known = user.check_password(PASSWORD)
            password = (
                f"password: {PASSWORD}"
                if known
                else "with the password that you have set since"
            )
            self.stdout.write(
                f"{'Admin' if user.is_superuser else 'Account'}: {email}   {password}"
            )
