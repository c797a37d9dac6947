"""Erase what is kept of a person: of a user, or of an address that perhaps no account
has.

Whatever this app keeps by a user or an email address goes, in every table that has such
a column, so that a new table cannot be forgotten.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import FieldDoesNotExist
from django.db import router, transaction
from django.db.models import Model, Q

from .campaigns import PasswordResetCampaign, PasswordResetInvitation
from .deliveries import kind_of
from .models import (
    PasswordResetCode,
    PasswordResetDelivery,
    PasswordResetRequest,
    PasswordResetToken,
)
from .users import stored_email

__all__ = ["Erased", "erase"]

logger = logging.getLogger("password_reset")

#: What stands in the admin's log in place of an address.
STAND_IN = "(erased)"
#: Columns with the name of whoever asked for a row about others.
NAMED: tuple[tuple[type[Any], str], ...] = (
    (PasswordResetInvitation, "invited_by"),
    (PasswordResetCampaign, "started_by"),
)


@dataclass(frozen=True)
class Erased:
    """Numbers of rows by table; also of those about others, and of entries of the
    admin's log, in which a name gave way to a stand-in.
    """

    rows: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """How many rows in all."""
        return sum(self.rows.values())


def erase(
    *, user_id: Any = None, email: str | None = None, dry_run: bool = False
) -> Erased:
    """Erase what is kept of a user, of an address in any spelling of its letters, or of
    both; return what went, or in a dry run would.

    Of a user who is still there, the address on file is one of theirs. Links and codes
    stop working, emails that wait are not sent. Raises ``ValueError`` where neither is
    given. Counters hold no address, and text logs are the host's.
    """
    addresses = {email.strip()} if email and email.strip() else set()
    if user_id is None and not addresses:
        raise ValueError("Name a user or an address")
    with transaction.atomic(using=router.db_for_write(PasswordResetRequest)):
        addresses |= _addresses_of(user_id)
        keys = _keys_of(user_id, addresses)
        rows = {
            model._meta.db_table: _clear(model, keys[model], dry_run)
            for model in _models()
        }
        rows |= _cut_log(addresses, keys, dry_run)
        _merge(rows, _cut_names(addresses | _names_of(user_id), dry_run))
    erased = Erased({name: count for name, count in rows.items() if count})
    if not dry_run:
        logger.info("Password reset data erased", extra={"rows": erased.total})
    return erased


def _models() -> list[type[Any]]:
    """Return the tables of this app that know a person, requests last: others refer to
    them.
    """
    models = apps.get_app_config("password_reset").get_models()
    known = [each for each in models if _has(each, "email") or _has(each, "user")]
    return sorted(known, key=lambda model: model is PasswordResetRequest)


def _has(model: type[Model], name: str) -> bool:
    try:
        model._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return True


def _addresses_of(user_id: Any) -> set[str]:
    if user_id is None:
        return set()
    user = get_user_model()._base_manager.filter(pk=user_id).first()
    return {stored_email(user)} - {""} if user else set()


def _requests_of(user_id: Any, addresses: set[str]) -> set[int]:
    """Return the requests that led to emails to a person, whatever was typed."""
    condition = _at(addresses) if addresses else Q(pk__in=[])
    if user_id is not None:
        condition |= Q(user=user_id)
    reached: set[Any] = set()
    for model in (PasswordResetToken, PasswordResetCode):
        reached |= set(
            model.objects.filter(condition).values_list("request_id", flat=True)
        )
    if addresses:
        sent = PasswordResetDelivery.objects.filter(_at(addresses))
        mine = sent.filter(kind=kind_of(PasswordResetRequest))
        reached |= set(mine.values_list("row_id", flat=True))
    return reached - {None}


def _keys_of(user_id: Any, addresses: set[str]) -> dict[type[Any], set[Any]]:
    """Return which rows of each table are a person's."""
    keys = {model: _own(model, user_id, addresses) for model in _models()}
    keys[PasswordResetRequest] |= _requests_of(user_id, addresses)
    # An email went to the address of its day, which no account may know any more.
    led_to = Q(pk__in=[])
    for model, found in keys.items():
        led_to |= Q(kind=kind_of(model), row_id__in=found)
    sent = PasswordResetDelivery.objects.filter(led_to)
    keys[PasswordResetDelivery] |= set(sent.values_list("pk", flat=True))
    return keys


def _own(model: type[Any], user_id: Any, addresses: set[str]) -> set[Any]:
    condition = Q(pk__in=[])
    if user_id is not None and _has(model, "user"):
        condition |= Q(user=user_id)
    if addresses and _has(model, "email"):
        condition |= _at(addresses)
    return set(model.objects.filter(condition).values_list("pk", flat=True))


def _clear(model: type[Any], keys: set[Any], dry_run: bool) -> int:
    rows = model.objects.filter(pk__in=keys)
    if dry_run:
        return int(rows.count())
    return int(rows.delete()[1].get(model._meta.label, 0))


def _at(addresses: set[str]) -> Q:
    """Return the condition of rows with one of some addresses, in large or small
    letters. It reads the table: nobody is erased in a hurry.
    """
    condition = Q()
    for address in addresses:
        condition |= Q(email__iexact=address)
    return condition


def _cut_log(
    addresses: set[str], keys: dict[type[Any], set[Any]], dry_run: bool
) -> dict[str, int]:
    """Take addresses out of the admin's log, whose entries name our rows by them."""
    if not apps.is_installed("django.contrib.admin"):
        return {}
    entries: Any = apps.get_model("admin", "LogEntry")._default_manager
    condition = Q(pk__in=[])
    for address in addresses:
        condition |= Q(object_repr__istartswith=f"{address} (")
    for model, found in keys.items():
        name = model._meta.model_name
        condition |= Q(content_type__model=name, object_id__in=list(map(str, found)))
    ours = entries.filter(condition, content_type__app_label="password_reset")
    ours = ours.exclude(object_repr=STAND_IN)
    count = ours.count() if dry_run else ours.update(object_repr=STAND_IN)
    return {entries.model._meta.db_table: count}


def _names_of(user_id: Any) -> set[str]:
    user = get_user_model()._base_manager.filter(pk=user_id).first()
    return {user.get_username()} - {""} if user else set()


def _cut_names(names: set[str], dry_run: bool) -> dict[str, int]:
    """Take a person's names out of what they have done to others."""
    cut: dict[str, int] = {}
    for model, column in NAMED:
        condition = Q(pk__in=[])
        for name in names:
            condition |= Q(**{f"{column}__iexact": name[:150]})
        rows = model.objects.filter(condition)
        count = rows.count() if dry_run else rows.update(**{column: STAND_IN})
        cut[model._meta.db_table] = count
    return cut


def _merge(rows: dict[str, int], more: dict[str, int]) -> None:
    for table, count in more.items():
        rows[table] = rows.get(table, 0) + count
