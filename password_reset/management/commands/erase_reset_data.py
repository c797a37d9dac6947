"""Erase what is kept of a person."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from password_reset import services


class Command(BaseCommand):
    help = (
        "Erase what password reset keeps of a user or of an email address, on request "
        "or after a user was deleted. Links stop working, emails that wait are not "
        "sent."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--user", metavar="KEY", help="The user's primary key.")
        parser.add_argument("--email", help="An address, in any spelling.")
        parser.add_argument(
            "--dry-run", action="store_true", help="Count, erase nothing."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            erased = services.erase(
                user_id=options["user"],
                email=options["email"],
                dry_run=options["dry_run"],
            )
        except (ValueError, ValidationError):
            raise CommandError(
                "Name a user by --user KEY, or an address by --email."
            ) from None
        verb = "Would erase" if options["dry_run"] else "Erased"
        for table, count in erased.rows.items():
            self.stdout.write(f"{verb} {count} of {table}.")
        if not erased.total:
            self.stdout.write("Nothing is kept of that person.")
