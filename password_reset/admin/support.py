"""The page "Why can this person not reset?" for support staff."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib.admin.utils import quote
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from password_reset.users import stored_email

from . import accounts, explanation, sending

if TYPE_CHECKING:
    from .lists import ModelAdmin


class PersonForm(forms.Form):
    """Who it is about."""

    q = forms.CharField(
        label=gettext_lazy("Mail address, user name or number"),
        max_length=320,
        widget=forms.TextInput(attrs={"class": "vTextField", "autofocus": True}),
    )


def view(model_admin: ModelAdmin, request: HttpRequest) -> TemplateResponse:
    """Ask for a person and explain what stands in their way. Changes and counts
    nothing.
    """
    if not request.user.has_perm(accounts.EXPLAIN):
        raise PermissionDenied
    site = model_admin.admin_site
    request.current_app = site.name
    form, users, address = _person(model_admin, request)
    context = {
        **site.each_context(request),
        "title": _("Why can this person not reset?"),
        "opts": model_admin.opts,
        "media": model_admin.media,
        "form": form,
        "asked": address is not None,
        "time_zone": timezone.get_current_timezone_name(),
        **(
            _explained(model_admin, request, users, address)
            if address is not None
            else {}
        ),
    }
    return TemplateResponse(request, "admin/password_reset/explain.html", context)


def _person(
    model_admin: ModelAdmin, request: HttpRequest
) -> tuple[forms.Form, list[Any], str | None]:
    """Return the form, the users that it names and the address in question; None where
    nobody is named.
    """
    site = model_admin.admin_site
    if "user" in request.GET:
        user = accounts.find(site, request, request.GET["user"])
        if user and not accounts.may_see(site, request, user):
            user = None
        return PersonForm(), [user] if user else [], stored_email(user) if user else ""
    form = PersonForm(request.GET if "q" in request.GET else None)
    if not form.is_valid():
        return form, [], None
    term = form.cleaned_data["q"]
    known = accounts.known_as(term, accounts.visible(site, request))[
        : explanation.MANY_ACCOUNTS
    ]
    shown = [user for user in known if accounts.may_see(site, request, user)]
    users = sorted(shown, key=lambda user: str(user.pk))
    return form, users, term if "@" in term or not users else stored_email(users[0])


def _explained(
    model_admin: ModelAdmin, request: HttpRequest, users: list[Any], address: str
) -> dict[str, Any]:
    site = model_admin.admin_site
    addresses = {address, address.lower(), *map(stored_email, users)} - {""}
    # Whether an account that the host hides is there must not show in anything here.
    unseen = not users and accounts.are_hidden(site, request)
    return {
        "address": address,
        "site_findings": explanation.of_site(),
        "address_findings": explanation.of_address(address, users, unseen=unseen),
        "accounts": [
            (
                explanation.of_account(user),
                accounts.page(site, request, user),
                _send_page(model_admin, request, user),
            )
            for user in users
        ],
        "mails": [] if unseen else explanation.last_mails(addresses, users),
    }


def _send_page(model_admin: ModelAdmin, request: HttpRequest, user: Any) -> str | None:
    if not request.user.has_perm(accounts.SEND) or sending.refusal(request.user, user):
        return None
    return accounts.link(
        model_admin.admin_site,
        "password_reset_passwordresetrequest_send",
        quote(user.pk),
    )
