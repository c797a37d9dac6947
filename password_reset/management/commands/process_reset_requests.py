"""Send the mails that are due."""

from __future__ import annotations

import logging
import signal
import sys
import time
from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import close_old_connections
from django.utils import timezone

from password_reset import services
from password_reset.management.arguments import positive_integer, positive_seconds

logger = logging.getLogger("password_reset")

#: An older row that is still due means that nobody works, or that no mail leaves.
TOO_OLD = timedelta(minutes=5)


class Command(BaseCommand):
    help = (
        "Send the password reset mails that are due. From cron, each minute, it is the "
        "safety net of any task "
        "queue; with --loop it is a worker by itself. Exits 1 when the oldest due mail "
        "has waited over 5 minutes."
    )

    stopped = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--loop", action="store_true", help="Go on until SIGTERM or SIGINT."
        )
        parser.add_argument(
            "--interval",
            type=positive_seconds,
            default=1.0,
            help="Seconds between two looks in a loop.",
        )
        parser.add_argument(
            "--limit",
            type=positive_integer,
            default=100,
            help="Mails at the most in one go.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["loop"]:
            self.loop(options["interval"], options["limit"])
            return
        waited = services.backlog()
        done = services.process_due(options["limit"])
        self.stdout.write(f"{done} requests processed.")
        if waited.due_seconds > TOO_OLD.total_seconds():
            since = timezone.now() - timedelta(seconds=waited.due_seconds)
            self.stderr.write(
                self.style.WARNING(
                    f"{waited.due} requests wait since {since:%Y-%m-%d %H:%M:%S %Z}."
                )
            )
            sys.exit(1)

    def loop(self, interval: float, limit: int) -> None:
        """Work until asked to stop; the mail in hand is finished first. A database that
        is away is waited for.
        """
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self.stop)
        self.stdout.write("Waiting for password reset requests.")
        while not self.stopped:
            close_old_connections()
            try:
                idle = services.process_due(limit, stopped=lambda: self.stopped) < limit
            except services.DEPENDENCY_DOWN as error:
                logger.warning(
                    "Password reset worker waits for the database: %s",
                    type(error).__name__,
                )
                idle = True
            if idle and not self.stopped:
                time.sleep(interval)

    def stop(self, *args: Any) -> None:
        # No more than a flag: an Event's lock may be held by the very code that the
        # signal interrupts.
        self.stopped = True
