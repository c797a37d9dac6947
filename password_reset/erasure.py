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


@dataclass(frozen=True)
class Erased:
    """Numbers of rows by table; of the admin's log, of entries whose text was cut."""

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
        reached = _requests_of(user_id, addresses)
        rows = {
            model._meta.db_table: _clear(model, user_id, addresses, reached, dry_run)
            for model in _models()
        }
        rows |= _cut_log(addresses, dry_run)
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


def _clear(
    model: type[Any],
    user_id: Any,
    addresses: set[str],
    reached: set[int],
    dry_run: bool,
) -> int:
    condition = Q(pk__in=[])
    if user_id is not None and _has(model, "user"):
        condition |= Q(user=user_id)
    if addresses and _has(model, "email"):
        condition |= _at(addresses)
    if model is PasswordResetRequest:
        condition |= Q(pk__in=reached)
    elif model is PasswordResetDelivery:
        condition |= Q(kind=kind_of(PasswordResetRequest), row_id__in=reached)
    rows = model.objects.filter(condition)
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


def _cut_log(addresses: set[str], dry_run: bool) -> dict[str, int]:
    """Take addresses out of the admin's log, whose entries name our rows by them."""
    if not addresses or not apps.is_installed("django.contrib.admin"):
        return {}
    entries: Any = apps.get_model("admin", "LogEntry")._default_manager
    condition = Q()
    for address in addresses:
        condition |= Q(object_repr__istartswith=f"{address} (")
    ours = entries.filter(condition, content_type__app_label="password_reset")
    count = ours.count() if dry_run else ours.update(object_repr=STAND_IN)
    return {entries.model._meta.db_table: count}
