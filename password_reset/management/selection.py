"""Whom a command is about: keys and addresses, from the command line, a file, or a
queryset of the host.
"""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable, Iterator
from getpass import getuser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils.module_loading import import_string

from password_reset import forced_resets, people
from password_reset.campaigns import PasswordResetCampaign
from password_reset.conf import conf

from .arguments import rate

#: Names that a message shows.
SHOWN = 10


def add_arguments(parser: CommandParser) -> None:
    """Add the arguments that name people, and how fast to mail them."""
    parser.add_argument(
        "people", nargs="*", metavar="PERSON", help="A user's key or email address."
    )
    parser.add_argument(
        "--file",
        metavar="FILE",
        help="A file with a key or an address on each line; - for standard input.",
    )
    parser.add_argument(
        "--queryset",
        metavar="NAME",
        help="Dotted path of a function that returns a queryset of users.",
    )
    parser.add_argument(
        "--ignore-unknown",
        action="store_true",
        help="Go on although some of the keys and addresses name nobody.",
    )
    parser.add_argument(
        "--rate",
        type=rate,
        default=50.0,
        metavar="RATE",
        help="Emails that leave at most, such as 50/s (the default), 600/m or 1000/h.",
    )
    parser.add_argument(
        "--brand",
        type=brand,
        default="",
        metavar="KEY",
        help="The brand for which the emails speak; the default one without it.",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="Say who it would be; change nothing."
    )


def brand(key: str) -> str:
    """Return the key of a brand that the settings have; raise for any other."""
    if key and key not in conf.brands:
        known = ", ".join(sorted(conf.brands)) or "there are none"
        raise ArgumentTypeError(f"{key!r} is no brand of this site ({known})")
    return key


def chosen(command: BaseCommand, options: dict[str, Any]) -> list[Any]:
    """Return the keys of the people whom the arguments name, each once and in order.

    Raises ``CommandError`` where some name nobody, unless they are to be ignored.
    """
    terms = [*options["people"], *_lines(options["file"])]
    keys, unknown = people.named(terms)
    if unknown:
        names = ", ".join(unknown[:SHOWN]) + (" …" if len(unknown) > SHOWN else "")
        sentence = f"{len(unknown)} of {len(terms)} name no user: {names}"
        if not options["ignore_unknown"]:
            raise CommandError(f"{sentence}\nNothing is done. See --ignore-unknown.")
        command.stderr.write(command.style.WARNING(sentence))
    return list(dict.fromkeys([*keys, *_of_queryset(options["queryset"])]))


def operator() -> str:
    """Return who runs a command, for those who read its rows later."""
    try:
        return f"manage.py, {getuser()}"
    except (KeyError, OSError):  # a container's user may have no name
        return "manage.py"


def progress(command: BaseCommand, total: int) -> Callable[[int], None]:
    """Return a callback that counts up on a terminal, in one place, and is silent in a
    log.
    """

    def show(done: int) -> None:
        if command.stdout.isatty():
            command.stdout.write(f"\r{done} of {total}", ending="")
            command.stdout.flush()

    return show


def end_progress(command: BaseCommand) -> None:
    """Begin a new line where ``progress`` has written one."""
    if command.stdout.isatty():
        command.stdout.write("")


def wake(command: BaseCommand, campaign: PasswordResetCampaign) -> None:
    """Wake a worker for the emails, or say what sends them."""
    if conf.has_embedded_worker():
        # A thread of this process would die with it, in the middle of an email.
        words = "The emails leave with the next run of process_reset_requests."
        command.stdout.write(words)
    else:
        forced_resets.wake(campaign)


def counted(number: int) -> str:
    """Return a number of people in words."""
    return "1 person" if number == 1 else f"{number} people"


def _lines(name: str | None) -> Iterator[str]:
    if name is None:
        return
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{name} cannot be read: {error}") from error
    for line in text.splitlines():
        if (term := line.strip()) and not term.startswith("#"):
            yield term


def _of_queryset(name: str | None) -> Iterable[Any]:
    if name is None:
        return []
    try:
        users = import_string(name)()
        return list(users.order_by("pk").values_list("pk", flat=True))
    except (ImportError, AttributeError, TypeError) as error:
        raise CommandError(
            f"{name} is no function that returns a queryset of users: {error}"
        ) from error
