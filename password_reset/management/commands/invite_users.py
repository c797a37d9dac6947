"""Invite users to choose a first password."""

from __future__ import annotations

from collections import Counter
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from password_reset import forced_resets, invitations, people
from password_reset.campaigns import PasswordResetCampaign
from password_reset.conf import conf
from password_reset.management import selection
from password_reset.management.selection import counted

#: Why somebody is not invited, in words.
REASONS = {
    "inactive": "inactive",
    "no_address": "without an address",
    "has_password": "with a password",
    "must_reset": "whose password was ended: a reset link works for them",
    "has_logged_in": "who have logged in without a password",
    "invited": "invited before: see --resend",
}


class Command(BaseCommand):
    help = (
        "Invite users to choose a first password, each by an email with a link. Who "
        "has been invited is not invited again, so it can be interrupted and repeated. "
        "The emails are sent by the worker, at the given pace and behind what people "
        "ask for themselves."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        selection.add_arguments(parser)
        parser.add_argument(
            "--without-password",
            action="store_true",
            help="All active users who have an address, no password, and never logged "
            "in.",
        )
        parser.add_argument(
            "--resend",
            action="store_true",
            help="Send those another email who were invited before and have no "
            "password yet.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not conf.enabled:
            raise CommandError("Password reset is switched off: no link would work.")
        keys = self.keys(options)
        if not keys:
            raise CommandError(
                "Nobody is named. See --help, --file and --without-password."
            )
        if options["dry_run"]:
            self.say("Would invite", *self.foreseen(keys, options["resend"]))
            return
        campaign = self.campaign(keys, options)
        count, refused = invitations.invite_all(
            keys,
            campaign,
            brand=options["brand"],
            again=options["resend"],
            progress=selection.progress(self, len(keys)),
        )
        selection.end_progress(self)
        selection.wake(self, campaign)
        self.say("Invited", count, refused)

    def keys(self, options: dict[str, Any]) -> list[Any]:
        """Return the keys of those who are named or, where asked, all without a
        password.
        """
        keys = selection.chosen(self, options)
        if options["without_password"]:
            found = invitations.without_password().values_list("pk", flat=True)
            keys = list(dict.fromkeys([*keys, *found]))
        return keys

    def campaign(
        self, keys: list[Any], options: dict[str, Any]
    ) -> PasswordResetCampaign:
        """Return the campaign that this command began before it was killed, or a new
        one. Raises ``CommandError`` where a resend was done today.
        """
        kind = PasswordResetCampaign.Kind.INVITATION
        # Those whom it has invited are among them still: it is the same selection.
        chosen = "resend" if options["resend"] else "invite"
        if options["without_password"]:
            digest = forced_resets.selection_of(f"{chosen} without password")
        else:
            digest = forced_resets.selection_of([chosen, *keys])
        before = forced_resets.recent(kind, digest)
        if options["resend"] and before is not None and before.completed_at:
            raise CommandError(
                f"{before} has sent these people another email within a day: nothing "
                "is done."
            )
        return forced_resets.campaign_of(
            kind, digest, rate=options["rate"], started_by=selection.operator()
        )

    def foreseen(self, keys: list[Any], again: bool) -> tuple[int, dict[str, int]]:
        """Return how many would be invited, and how many not for which reason."""
        reasons = Counter[str]()
        for chunk in people.chunks(keys, people.CHUNK):
            known = set() if again else invitations.invited(chunk)
            for user in people.all_users().filter(pk__in=chunk):
                reason = invitations.refusal(user)
                reasons[reason or ("invited" if user.pk in known else "")] += 1
        count = reasons.pop("", 0)
        return count, dict(reasons)

    def say(self, verb: str, count: int, refused: dict[str, int]) -> None:
        self.stdout.write(f"{verb} {counted(count)}.")
        for reason, number in sorted(refused.items()):
            words = REASONS.get(reason, reason)
            self.stdout.write(f"Not invited: {counted(number)} {words}.")
