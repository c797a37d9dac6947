"""The accounts that staff look up, for any user model and limited to those that the
host's admin shows.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.contrib.admin import AdminSite
from django.contrib.admin.options import BaseModelAdmin
from django.contrib.admin.utils import quote, unquote
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

EXPLAIN = "password_reset.explain_passwordresetrequest"
SEND = "password_reset.send_passwordresetrequest"


def known_as(term: str, users: QuerySet[Any] | None = None) -> QuerySet[Any]:
    """Return the users whose user name, address (in any case) or key a term is."""
    model = get_user_model()
    users = model._default_manager.all() if users is None else users
    condition = (
        Q(pk__in=[])
        | _is(model._meta.get_field(model.USERNAME_FIELD), term)
        | _is(model._meta.pk, term)
    )
    if "@" in term:
        condition |= Q(**{f"{model.get_email_field_name()}__iexact": term})
    return users.filter(condition)


def visible(site: AdminSite, request: HttpRequest) -> QuerySet[Any]:
    """Return the users that the host's own admin lets this member of staff see, such as
    those of one tenant.
    """
    model = get_user_model()
    if site.is_registered(model):
        users: QuerySet[Any] = site.get_model_admin(model).get_queryset(request)
        return users
    return model._default_manager.all()


def find(site: AdminSite, request: HttpRequest, quoted: str) -> Any:
    """Return the user of an admin address, or None."""
    key = _is(get_user_model()._meta.pk, unquote(quoted))
    return visible(site, request).filter(key).first() if key else None


def may_see(site: AdminSite, request: HttpRequest, user: Any) -> bool:
    """Return whether this member of staff may be shown who a user is."""
    model = get_user_model()
    if site.is_registered(model):
        may = site.get_model_admin(model).has_view_permission
        # Where they may look at users at all, the host's admin says at which.
        if may(request):
            return bool(may(request, user))
    elif request.user.has_perm(
        f"{model._meta.app_label}.view_{model._meta.model_name}"
    ):
        return True
    return request.user.has_perm(EXPLAIN)


def are_hidden(site: AdminSite, request: HttpRequest) -> bool:
    """Return whether the host's admin hides any users from this member of staff."""
    model = get_user_model()
    if not site.is_registered(model):
        return False
    rule = type(site.get_model_admin(model)).has_view_permission
    if rule is not BaseModelAdmin.has_view_permission:
        return True  # it may ask who the user is
    shown = visible(site, request).order_by().values("pk")
    return model._base_manager.exclude(pk__in=shown).exists()


def page(site: AdminSite, request: HttpRequest, row: Any) -> str | None:
    """Return the address of a user's or row's own page in the admin; None where there
    is none to see.
    """
    model = row._meta.concrete_model
    if not site.is_registered(model) or not site.get_model_admin(
        model
    ).has_view_permission(request, row):
        return None
    return link(
        site, f"{model._meta.app_label}_{model._meta.model_name}_change", quote(row.pk)
    )


def link(site: AdminSite, name: str, *args: Any) -> str | None:
    """Return the address of a page of the admin; None where it has none."""
    try:
        return reverse(f"admin:{name}", args=args, current_app=site.name)
    except NoReverseMatch:
        return None


def _is(field: Any, term: str) -> Q:
    """Return the condition that a field has a value; an empty one for what the field
    cannot hold.
    """
    with suppress(ValidationError, ValueError, TypeError):
        return Q(**{field.name: field.to_python(term)})
    return Q()
