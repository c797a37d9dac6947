"""Delete what the flow no longer needs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from password_reset import services
from password_reset.conf import conf
from password_reset.management.arguments import positive_integer
from password_reset.purge import BATCH_SIZE


class Command(BaseCommand):
    help = (
        "Delete dead reset tokens, settled requests past their retention, and old "
        "session rows, in batches."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--dry-run", action="store_true", help="Count, delete nothing."
        )
        parser.add_argument(
            "--batch-size",
            type=positive_integer,
            default=BATCH_SIZE,
            metavar="N",
            help="Rows per transaction.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not conf.enabled:
            self.stdout.write("Password reset is switched off: nothing is deleted.")
            return
        result = services.purge(
            dry_run=options["dry_run"],
            batch_size=options["batch_size"],
            progress=self.count_up(self.stdout.isatty()),
        )
        verb = "Would delete" if options["dry_run"] else "Deleted"
        numbers = ", ".join(f"{count} {name}" for name, count in asdict(result).items())
        self.stdout.write(f"{self.over}{verb} {numbers}.")

    def count_up(self, terminal: bool) -> Callable[[str, int], None]:
        """Return a callback that counts rows on a terminal, in one place, and is silent
        in cron.
        """
        self.over = "\r" if terminal else ""
        total = 0

        def show(table: str, count: int) -> None:
            nonlocal total
            total += count
            if terminal:
                self.stdout.write(f"\r{total} rows deleted", ending="")
                self.stdout.flush()

        return show
