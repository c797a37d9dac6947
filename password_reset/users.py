"""All that is asked of the host's user model."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from enum import Enum
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connections, router
from django.db.models import Value
from django.db.models.functions import Upper

from .conf import conf


class Answer(Enum):
    """What a user is sent whose address somebody has asked for."""

    LINK = "link"
    EXPLANATION = "explanation"
    NOTHING = "nothing"


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
    if user.has_usable_password():
        return Answer.LINK
    return WITHOUT_PASSWORD[conf.accounts_without_password]


def find_users(email: str) -> Iterable[AbstractBaseUser]:
    """Return the active users on an address, with and without a usable password.

    As Django's own form does, it compares once more what the database has found: that
    is safe against Unicode look-alikes (Django CVE-2019-19844).
    """
    model = get_user_model()
    condition = {f"{model.get_email_field_name()}__iexact": email, "is_active": True}
    found = model._default_manager.filter(**condition)
    return [one for one in found if _folded(stored_email(one)) == _folded(email)]


def on_file(emails: Iterable[str]) -> set[str]:
    """Return those of some addresses that a user may have, in one statement.

    None that ``find_users`` finds users for is missing; some may be too many, such as
    those of inactive users.
    """
    typed = set(emails)
    model = get_user_model()
    name = model.get_email_field_name()
    spellings = [Upper(Value(email)) for email in typed]
    candidates = model._default_manager.alias(_upper=Upper(name)).filter(
        _upper__in=spellings
    )
    found = {_folded(stored) for stored in candidates.values_list(name, flat=True)}
    return {email for email in typed if _folded(email) in found}


def identity(user: AbstractBaseUser) -> tuple[object, str, str]:
    """Return what a fingerprint is taken of: key, password hash, stored address."""
    return user.pk, user.password, stored_email(user)


def stored_email(user: AbstractBaseUser) -> str:
    """Return the address on file, whatever the field's name; mail goes there and
    nowhere else.
    """
    return getattr(user, type(user).get_email_field_name(), None) or ""


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


def _folded(email: str) -> str:
    """Return an address in the form in which Django compares two."""
    return unicodedata.normalize("NFKC", email).casefold()
