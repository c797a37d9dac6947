"""Delete what the flow no longer needs."""

from __future__ import annotations

from argparse import ArgumentTypeError
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from password_reset import services
from password_reset.conf import conf


def positive(text: str) -> int:
    """Return a whole number above zero."""
    if not text.isdigit() or int(text) < 1:
        raise ArgumentTypeError(f"{text} is not a whole number above zero")
    return int(text)


class Command(BaseCommand):
    help = "Delete dead reset tokens, settled requests past their retention, and old session rows, in batches."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Count, delete nothing.")
        parser.add_argument("--batch-size", type=positive, default=1000, metavar="N", help="Rows per transaction.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not conf.enabled:
            self.stdout.write("Password reset is switched off: nothing is deleted.")
            return
        result = services.purge(dry_run=options["dry_run"], batch_size=options["batch_size"], progress=self.progress())
        verb = "Would delete" if options["dry_run"] else "Deleted"
        numbers = ", ".join(f"{count} {name}" for name, count in asdict(result).items())
        self.stdout.write(f"{verb} {numbers}.")

    def progress(self) -> Any:
        """Return a callback that counts up on a terminal and is silent in cron."""
        done: dict[str, int] = {}

        def show(table: str, count: int) -> None:
            done[table] = done.get(table, 0) + count
            if self.stdout.isatty():
                self.stdout.write(f"\r{table}: {done[table]}", ending="")

        return show
