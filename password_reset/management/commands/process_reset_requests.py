"""Send the emails that are due."""

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

from password_reset import metrics, services
from password_reset.listener import Listener
from password_reset.management.arguments import positive_integer, positive_seconds

logger = logging.getLogger("password_reset")

#: An older row that is still due means that no worker runs, or that no email can be
#: sent.
TOO_OLD = timedelta(minutes=5)


class Command(BaseCommand):
    help = (
        "Send the password reset emails that are due. From cron, each minute, it is "
        "the safety net of any task queue; with --loop it is a worker by itself. Exits "
        "1 when the oldest due email has waited over 5 minutes."
    )

    stopped = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--loop", action="store_true", help="Go on until SIGTERM or SIGINT."
        )
        parser.add_argument(
            "--concurrency",
            type=positive_integer,
            default=services.CONCURRENCY,
            help="Emails on their way at once, each over connections of its own.",
        )
        parser.add_argument(
            "--seconds",
            type=positive_seconds,
            default=50.0,
            help="End after so many seconds, for the next run of cron; not in a loop.",
        )
        parser.add_argument(
            "--interval",
            type=positive_seconds,
            default=1.0,
            help="Seconds between two looks in a loop that nobody wakes.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["loop"]:
            self.loop(options["interval"], options["concurrency"])
            return
        waited = services.backlog()
        until = time.monotonic() + options["seconds"]
        done = services.process_due(
            limit=None,
            concurrency=options["concurrency"],
            stopped=lambda: time.monotonic() > until,
            linger=services.LINGER,
            progress=self.progress,
        )
        metrics.last_sweep_timestamp_seconds.set(timezone.now().timestamp())
        self.stdout.write(f"{counted(done)} processed.")
        if waited.due_seconds > TOO_OLD.total_seconds():
            since = timezone.now() - timedelta(seconds=waited.due_seconds)
            text = f"{counted(waited.due)} due since {since:%Y-%m-%d %H:%M:%S %Z}."
            self.stderr.write(self.style.WARNING(text))
            sys.exit(1)

    def loop(self, interval: float, concurrency: int) -> None:
        """Work until asked to stop; what is on its way is finished first. A database
        that is away is waited for.
        """
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, self.stop)
        self.stdout.write("Waiting for password reset requests.")
        listener = Listener(interval)
        while not self.stopped:
            close_old_connections()
            try:
                services.process_due(
                    limit=None,
                    concurrency=concurrency,
                    stopped=lambda: self.stopped,
                    linger=services.LINGER,
                )
            except services.DEPENDENCY_DOWN as error:
                logger.warning(
                    "Password reset worker waits for the database: %s",
                    type(error).__name__,
                )
            if not self.stopped:
                listener.wait(lambda: self.stopped)
        listener.close()

    def progress(self, done: int) -> None:
        """Say how far a long run is, on a terminal only."""
        if self.stdout.isatty():
            self.stdout.write(f"\r{counted(done)} processed", ending="")
            self.stdout.flush()

    def stop(self, *args: Any) -> None:
        # Only a flag: an Event's lock may be held by the very code that the
        # signal interrupts.
        self.stopped = True


def counted(number: int) -> str:
    """Return a number of requests in words."""
    return f"{number} request" if number == 1 else f"{number} requests"
