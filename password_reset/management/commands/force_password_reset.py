"""End the passwords of users, as after a breach, and have each choose another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from password_reset import forced_resets, people
from password_reset.campaigns import ForcedPasswordReset, PasswordResetCampaign
from password_reset.conf import conf
from password_reset.management import selection
from password_reset.management.selection import counted

FORCED = PasswordResetCampaign.Kind.FORCED


class Command(BaseCommand):
    help = (
        "End the passwords, sessions and API tokens of users, and send each an email "
        "with a link to choose a new password. Interrupted or killed, and started "
        "again with the same arguments, it goes on where it was: nobody is forced "
        "twice. The emails are sent by the worker, at the given pace and behind what "
        "people ask for themselves."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        selection.add_arguments(parser)
        parser.add_argument("--all", action="store_true", help="Everybody.")
        parser.add_argument(
            "--include-superusers",
            action="store_true",
            help="Superusers too. Without it they keep their passwords, so that you "
            "are not locked out.",
        )
        parser.add_argument(
            "--again",
            action="store_true",
            help="Once more, although the same people were forced within a day.",
        )
        parser.add_argument(
            "--resume",
            type=int,
            metavar="CAMPAIGN",
            help="Go on with a campaign of this number, as one that was begun in the "
            "admin; with --rate, at another pace.",
        )
        parser.add_argument(
            "--status", action="store_true", help="Say how far the last campaigns are."
        )
        parser.add_argument(
            "--no-input", action="store_true", help="Ask nothing on a terminal."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["status"]:
            self.report()
        elif options["resume"] is not None:
            self.run(self.resumed(options["resume"], options["rate"]))
        else:
            self.begin(options)

    def begin(self, options: dict[str, Any]) -> None:
        """Find out whom it is about, and begin or go on."""
        keys = self.keys(options)
        digest = self.digest(keys, options)
        before = forced_resets.recent(FORCED, digest)
        if before is not None and before.completed_at and not options["again"]:
            raise CommandError(
                f"{before} has forced these people within a day: nothing is done. "
                "--again forces them once more, --status says how far it is."
            )
        is_begun = before is not None and before.completed_at is None
        if not keys and not is_begun:
            raise CommandError("Nobody is named. See --help, --file and --all.")
        if options["dry_run"]:
            self.foretell(keys, before if is_begun else None)
            return
        if not is_begun and not options["again"]:
            self.refuse_beside_another()
        if not is_begun and not self.is_wanted(len(keys), options["no_input"]):
            self.stdout.write("Nothing is done.")
            return
        self.run(
            forced_resets.campaign_of(
                FORCED,
                digest,
                keys,
                rate=options["rate"],
                started_by=selection.operator(),
                brand=options["brand"],
            )
        )

    def refuse_beside_another(self) -> None:
        """Raise ``CommandError`` while another campaign has people to deal with, who
        may be the same.
        """
        others = PasswordResetCampaign.objects.filter(
            kind=FORCED, completed_at__isnull=True
        )
        if (other := others.first()) is not None:
            raise CommandError(
                f"{other} is not completed: --resume {other.pk} goes on with it, "
                "--again begins another beside it."
            )

    def keys(self, options: dict[str, Any]) -> list[Any]:
        """Return the keys of those who are named, without superusers unless they are
        asked for.
        """
        keys = selection.chosen(self, options)
        if options["all"]:
            keys = list(people.all_users().values_list("pk", flat=True))
        if options["include_superusers"]:
            return keys
        superusers = people.all_users().filter(people.superusers())
        spared = set(superusers.values_list("pk", flat=True)) & set(keys)
        if spared:
            self.stdout.write(
                f"Left out: {counted(len(spared))} with all rights (superusers). "
                "--include-superusers forces them too."
            )
        return [key for key in keys if key not in spared]

    def digest(self, keys: Sequence[Any], options: dict[str, Any]) -> str:
        """Return the selection: of everybody the same, whoever has joined since."""
        if options["all"]:
            rights = " with superusers" if options["include_superusers"] else ""
            return forced_resets.selection_of(f"all{rights}")
        return forced_resets.selection_of(keys)

    def foretell(
        self, keys: Sequence[Any], begun: PasswordResetCampaign | None
    ) -> None:
        if begun is not None:
            left = ForcedPasswordReset.objects.untouched().filter(campaign=begun)
            words = f"Would go on with {begun}: {counted(left.count())} left."
        else:
            words = f"Would end the passwords of {counted(len(keys))}."
        self.stdout.write(words)

    def is_wanted(self, count: int, no_input: bool) -> bool:
        """Ask on a terminal whether so many people are meant."""
        if no_input or not self.stdout.isatty():
            return True
        question = (
            f"This ends the passwords and sessions of {counted(count)} at once, and "
            f"cannot be undone.\nType {count} to go on: "
        )
        return input(question).strip() == str(count)

    def resumed(self, number: int, rate: float) -> PasswordResetCampaign:
        """Return a campaign, at a new pace."""
        campaigns = PasswordResetCampaign.objects.filter(pk=number, kind=FORCED)
        campaigns.update(rate=rate)
        campaign: PasswordResetCampaign | None = campaigns.first()
        if campaign is None:
            raise CommandError(f"There is no campaign {number}. See --status.")
        return campaign

    def run(self, campaign: PasswordResetCampaign) -> None:
        """End what is not ended yet, and leave the emails to the worker."""
        total = forced_resets.counts(campaign).people
        self.stdout.write(f"{campaign}: {counted(total)}.")
        ended, failed = forced_resets.end_passwords(
            campaign, selection.progress(self, total)
        )
        selection.end_progress(self)
        selection.wake(self, campaign)
        self.stdout.write(f"Ended the passwords of {counted(ended)}.")
        if not conf.enabled:
            self.stdout.write(
                "Password reset is switched off: the emails leave when it is on again."
            )
        if failed:
            raise CommandError(
                f"{counted(failed)} could not be forced, since a revoker or a rule of "
                "the host failed (see the log). The same command again, or "
                f"--resume {campaign.pk}, goes on with them."
            )

    def report(self) -> None:
        for campaign in PasswordResetCampaign.objects.order_by("-pk")[:5]:
            found = forced_resets.counts(campaign)
            self.stdout.write(
                f"{campaign}: {found.ended} of {found.people} dealt with; emails: "
                f"{found.mailed} sent, {found.waiting} waiting, {found.unmailed} not "
                f"needed or not possible, {found.failed} given up."
            )
