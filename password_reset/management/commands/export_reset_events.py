"""Export what happened to accounts."""

from __future__ import annotations

import os
from argparse import ArgumentTypeError
from datetime import datetime, time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from password_reset.audit import events
from password_reset.audit_formats import FORMATS


class Command(BaseCommand):
    help = (
        "Write what happened to accounts, in OCSF's terms (class Account Change), to "
        "the standard output or to the end of a file."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--since",
            type=moment,
            required=True,
            metavar="TIME",
            help="2026-03-01 or 2026-03-01T08:00+01:00; without offset in TIME_ZONE.",
        )
        parser.add_argument(
            "--until", type=moment, metavar="TIME", help="Before then; default: now."
        )
        parser.add_argument("--format", choices=sorted(FORMATS), default="jsonl")
        parser.add_argument(
            "--output",
            metavar="FILE",
            help="Appended to; a new one is for its owner's eyes only.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        until = options["until"] or timezone.now()
        if options["since"] >= until:
            raise CommandError("--since is not before --until.")
        found = events(options["since"], until)
        write = FORMATS[options["format"]]
        if options["output"] is None:
            write(found, self.stdout, new=True)
            return
        try:
            with appended(options["output"]) as file:
                count = write(found, file, new=file.tell() == 0)
        except OSError as error:
            raise CommandError(f"{options['output']}: {error.strerror}") from None
        self.stdout.write(f"{count} events written.")


def appended(path: str) -> Any:
    """Open a file to write to its end and nowhere else."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    return os.fdopen(os.open(path, flags, 0o600), "a", encoding="utf-8", newline="")


def moment(text: str) -> datetime:
    """Return a moment as the database keeps moments."""
    try:
        day = parse_date(text)
        found = datetime.combine(day, time.min) if day else parse_datetime(text)
    except ValueError:
        found = None
    if found is None:
        raise ArgumentTypeError(f"{text} is not a time such as 2026-03-01T08:00")
    if timezone.is_naive(found) and settings.USE_TZ:
        return timezone.make_aware(found)
    if timezone.is_aware(found) and not settings.USE_TZ:
        return timezone.make_naive(found)
    return found
