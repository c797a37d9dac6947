"""All that is asked of the host's user model."""

from __future__ import annotations

import logging
import unicodedata
from collections.abc import Callable, Iterable
from datetime import datetime, tzinfo
from enum import Enum
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import UNUSABLE_PASSWORD_PREFIX
from django.db import connections, router
from django.db.models import BooleanField, Func, QuerySet, Value
from django.db.models.functions import Upper
from django.utils.crypto import get_random_string

from .conf import conf

logger = logging.getLogger("password_reset")


class Answer(Enum):
    """What a user is sent whose address somebody has asked for."""

    LINK = "link"
    EXPLANATION = "explanation"
    NOTHING = "nothing"


#: What the unusable password of somebody begins with whose own the site has ended. In
#: the password itself, so that it lasts exactly as long and no other row has to be
#: read; a random usable one would cost a hash for each person and pass for one that
#: they chose.
MUST_RESET = f"{UNUSABLE_PASSWORD_PREFIX}must-reset$"

WITHOUT_PASSWORD = {
    "explain": Answer.EXPLANATION,
    "invite": Answer.LINK,
    "silent": Answer.NOTHING,
}


def answer_to(user: AbstractBaseUser) -> Answer:
    """Return what a user is sent. Nothing for whoever is inactive, whatever the host's
    finder yields.
    """
    if not user.is_active:
        return Answer.NOTHING
    if user.has_usable_password() or must_reset(user):
        return Answer.LINK
    return WITHOUT_PASSWORD[conf.accounts_without_password]


def must_reset(user: AbstractBaseUser) -> bool:
    """Return whether the site has ended the user's password, for a new one to be
    chosen.
    """
    return (user.password or "").startswith(MUST_RESET)


def end_password(user: AbstractBaseUser) -> None:
    """Give a user an unusable password, and with it end their sessions. Who had one of
    their own has to choose another; who had none still has none.
    """
    if user.has_usable_password() or must_reset(user):
        user.password = MUST_RESET + get_random_string(40)
    else:
        user.set_unusable_password()


def find_users(email: str) -> Iterable[AbstractBaseUser]:
    """Return the active users on an address, with and without a usable password.

    As Django's own form does, it compares once more what the database has found: that
    is safe against Unicode look-alikes (Django CVE-2019-19844).
    """
    model = get_user_model()
    condition = {f"{model.get_email_field_name()}__iexact": email, "is_active": True}
    found = model._default_manager.filter(**condition)
    return [one for one in found if _folded(stored_email(one)) == _folded(email)]


def find_all(emails: Iterable[str]) -> dict[str, list[AbstractBaseUser]]:
    """Return what ``find_users`` finds for each of some addresses, and no entry for one
    that nobody has.

    One statement finds all candidates. What could be compared in two ways, by the
    database and by Python, is left to ``find_users``.
    """
    typed, stored = (
        _by_folded(emails, str),
        _by_folded(_candidates(emails), stored_email),
    )
    found: dict[str, list[AbstractBaseUser]] = {}
    for folded in typed.keys() & stored.keys():
        spellings, users = set(typed[folded]), stored[folded]
        for email in spellings:
            alike = len(spellings) == 1 and email.isascii()
            found[email] = users if alike else list(find_users(email))
    return {email: users for email, users in found.items() if users}


def _candidates(emails: Iterable[str]) -> QuerySet[Any]:
    """Return the active users whose address the database takes for one of these."""
    model = get_user_model()
    upper = Upper(model.get_email_field_name())
    active = model._default_manager.filter(is_active=True)
    typed = list(set(emails))
    if connections[active.db].vendor == "postgresql":
        return active.filter(InUpperCase(upper, Value(typed)))
    spellings = [Upper(Value(email)) for email in typed]
    return active.alias(_upper=upper).filter(_upper__in=spellings)


class InUpperCase(Func):
    """Compare with an array as ``iexact`` does with one value.

    The database folds both sides, and can use the index that ``iexact`` needs. An
    expression for each value would take Python as long as all else that a row costs.
    """

    output_field = BooleanField()
    arg_joiner = " = ANY(ARRAY(SELECT UPPER(typed) FROM unnest("
    template = "%(expressions)s::text[]) AS typed))"


def _by_folded(
    items: Iterable[Any], address: Callable[[Any], str]
) -> dict[str, list[Any]]:
    """Group items by their address in the form in which Django compares two."""
    groups: dict[str, list[Any]] = {}
    for item in items:
        groups.setdefault(_folded(address(item)), []).append(item)
    return groups


def _folded(email: str) -> str:
    """Return an address in the form in which Django compares two."""
    return unicodedata.normalize("NFKC", email).casefold()


def identity(user: AbstractBaseUser) -> tuple[object, str, str]:
    """Return what a fingerprint is taken of: key, password hash, stored address."""
    return user.pk, user.password, stored_email(user)


def stored_email(user: AbstractBaseUser) -> str:
    """Return the address on file, whatever the field's name; mail goes there and
    nowhere else.
    """
    return getattr(user, type(user).get_email_field_name(), None) or ""


def time_zone_of(user: AbstractBaseUser) -> tzinfo | None:
    """Return the time zone in which a user reads times; ``None`` where the host knows
    none. An answer that is none is logged: an email with the site's times is better
    than no email.
    """
    try:
        found = conf.time_zone_of(user) if conf.time_zone_of else None
        zone = ZoneInfo(found) if found and isinstance(found, str) else found or None
        datetime.now(zone).tzname()
    except Exception as error:  # a host's code may raise anything
        logger.warning(
            "PASSWORD_RESET_TIME_ZONE_OF named no time zone: %s", type(error).__name__
        )
        return None
    return zone


def login_name(user: AbstractBaseUser) -> str:
    """Return what a user types to log in, for people and their password managers: the
    user name, unless the site names another field that has a value.
    """
    field = conf.login_field
    typed = getattr(user, field) if field else None
    return str(typed or user.get_username())


def log_in_names(user: AbstractBaseUser, spellings: Iterable[str] = ()) -> set[str]:
    """Return what a user may type to log in, the user name and the address on file, and
    these spellings of them; none that is another user's name or address.
    """
    names = {user.get_username(), stored_email(user), *spellings} - {""}
    model = get_user_model()
    others = model._default_manager.exclude(pk=user.pk)
    taken = others.filter(**{f"{model.USERNAME_FIELD}__in": names})
    names -= set(taken.values_list(model.USERNAME_FIELD, flat=True))
    # Where people log in by either, somebody's user name can be another's address.
    field, own = f"{model.get_email_field_name()}__iexact", _folded(stored_email(user))
    foreign = {name for name in names if _folded(name) != own}
    return names - {name for name in foreign if others.filter(**{field: name}).exists()}


def is_own_mailbox(user: AbstractBaseUser, email: str | None) -> bool:
    """Return whether an address of another package's is the one on file, or blank,
    which means the same there.
    """
    return not email or _folded(email) == _folded(stored_email(user))


def addresses(user: AbstractBaseUser) -> list[str]:
    """Return the address on file and, where the host knows it, the one before a recent
    change.
    """
    previous = conf.previous_address(user) if conf.previous_address else None
    return [one for one in dict.fromkeys((stored_email(user), previous)) if one]


def locked(pk: Any) -> AbstractBaseUser | None:
    """Read a user again, under lock, on the database that is written to."""
    database = router.db_for_write(get_user_model())
    no_key = connections[database].features.has_select_for_no_key_update
    rows = get_user_model()._base_manager.using(database)
    user: AbstractBaseUser | None = (
        rows.select_for_update(no_key=no_key).filter(pk=pk).first()
    )
    return user
