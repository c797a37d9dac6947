"""Examine the site as it runs."""

from __future__ import annotations

import json
import sys
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandParser

from password_reset.conf import conf
from password_reset.doctor.examination import examine
from password_reset.doctor.findings import Finding, Level, Patient
from password_reset.management.arguments import positive_seconds

SIGNS = {
    Level.GOOD: "ok",
    Level.NOTE: "note",
    Level.WARNING: "warning",
    Level.FAULT: "FAULT",
}


class Command(BaseCommand):
    help = (
        "Examine the site as it runs: a line for each thing, and what to do. Exits 0 "
        "where all is well, 1 with a warning, 2 with a fault. It sends no email but "
        "with --to, and leaves nothing behind."
    )
    # It says itself what the checks find.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="For programs.")
        parser.add_argument("--to", default="", help="Send a test email there.")
        parser.add_argument(
            "--wait",
            type=positive_seconds,
            default=20.0,
            metavar="S",
            help="Seconds that a worker has; 70 where only cron sends.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        patient = Patient(base_url(), options["to"], options["wait"])
        found = []
        for name, finding in examine(patient):
            found.append((name, finding))
            if not options["json"]:
                self.show(name, finding)
        if options["json"]:
            self.stdout.write(json.dumps([as_dict(*each) for each in found], indent=1))
        sys.exit(max([Level.NOTE, *(finding.level for _name, finding in found)]))

    def show(self, name: str, finding: Finding) -> None:
        """Write a line at once: some checks take seconds."""
        styles = {Level.WARNING: self.style.WARNING, Level.FAULT: self.style.ERROR}
        line = f"{SIGNS[finding.level]:<8}{name:<11}{finding.text}"
        if finding.remedy:
            line += f" -> {finding.remedy}"
        self.stdout.write(styles.get(finding.level, str)(line))
        self.stdout.flush()


def base_url() -> str:
    """Return the address of the site; nothing where the settings lack it, which a check
    says.
    """
    try:
        return conf.base_url
    except ImproperlyConfigured:
        return ""


def as_dict(name: str, finding: Finding) -> dict[str, str]:
    """Return a finding for programs."""
    return {
        "check": name,
        "level": finding.level.name.lower(),
        "text": finding.text,
        "remedy": finding.remedy,
    }
