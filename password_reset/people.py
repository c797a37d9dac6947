"""Whom staff or a command name: users by their keys and addresses, active or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Upper

#: Terms that one statement looks up.
CHUNK = 500


def all_users() -> QuerySet[Any]:
    """Return all users of the site, whatever its default manager hides."""
    return get_user_model()._base_manager.order_by("pk")


def named(terms: Iterable[str]) -> tuple[list[Any], list[str]]:
    """Return the keys of the users whom some keys and addresses name, each once and in
    order, and the terms that name nobody.
    """
    found: dict[Any, None] = {}
    unknown: list[str] = []
    for chunk in chunks(list(dict.fromkeys(terms)), CHUNK):
        by_term = {**_by_address(chunk), **_by_key(chunk)}
        for term in chunk:
            keys = by_term.get(term.upper() if "@" in term else term, [])
            found |= dict.fromkeys(keys)
            unknown += [] if keys else [term]
    return list(found), unknown


def chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Yield a sequence in pieces."""
    for start in range(0, len(items), size):
        yield items[start : start + size]


def superusers() -> Q:
    """Return the condition that a user may do everything; that nobody is meant where
    the host's users have no such field.
    """
    fields = {field.name for field in get_user_model()._meta.get_fields()}
    return Q(is_superuser=True) if "is_superuser" in fields else Q(pk__in=[])


def _by_address(terms: Sequence[str]) -> dict[str, list[Any]]:
    addresses = [term for term in terms if "@" in term]
    if not addresses:
        return {}
    upper = Upper(get_user_model().get_email_field_name())
    rows = (
        all_users()
        .annotate(_upper=upper)
        .filter(_upper__in=[Upper(Value(address)) for address in addresses])
    )
    found: dict[str, list[Any]] = {}
    for key, address in rows.values_list("pk", get_user_model().get_email_field_name()):
        found.setdefault(address.upper(), []).append(key)
    return found


def _by_key(terms: Sequence[str]) -> dict[str, list[Any]]:
    field = get_user_model()._meta.pk
    keys: dict[Any, str] = {}
    for term in terms:
        with suppress(ValidationError, ValueError, TypeError):
            if "@" not in term:
                keys[field.to_python(term)] = term
    rows = all_users().filter(pk__in=list(keys)) if keys else all_users().none()
    return {keys[key]: [key] for key in rows.values_list("pk", flat=True)}
