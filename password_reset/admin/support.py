"""The page "Why can this person not reset?" for support staff."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from password_reset.users import stored_email

from . import accounts, explanation
from .acting import Actions
from .explanation import Account, Finding, Mail
from .lists import crumbs
from .verdict import of

if TYPE_CHECKING:
    from .lists import ModelAdmin


class PersonForm(forms.Form):
    """Who it is about."""

    q = forms.CharField(
        label=gettext_lazy("Mail address, user name or number"),
        max_length=320,
        widget=forms.TextInput(attrs={"class": "vTextField", "autofocus": True}),
    )


def view(model_admin: ModelAdmin, request: HttpRequest) -> HttpResponse:
    """Ask for a person and explain what stands in their way. Looking changes and counts
    nothing; a button does what the action of a list does.
    """
    if not request.user.has_perm(accounts.EXPLAIN):
        raise PermissionDenied
    site = model_admin.admin_site
    request.current_app = site.name
    form, users, address = _person(model_admin, request)
    explained = (
        None if address is None else Explained(model_admin, request, users, address)
    )
    if request.method == "POST" and explained:
        return explained.act()
    context = {
        **site.each_context(request),
        **crumbs(model_admin, request),
        "title": _("Why can this person not reset?"),
        "form": form,
        "asked": address is not None,
        "time_zone": timezone.get_current_timezone_name(),
        **(explained.context() if explained else {}),
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


class Explained:
    """All that is said of a person, and what may be done about it."""

    def __init__(
        self, model_admin: ModelAdmin, request: HttpRequest, users: list[Any], to: str
    ) -> None:
        self.request, self.site = request, model_admin.admin_site
        self.actions = Actions(model_admin, request)
        addresses = {to, to.lower(), *map(stored_email, users)} - {""}
        # Whether an account that the host hides is there must not show in anything.
        unseen = not users and accounts.are_hidden(self.site, request)
        self.of_site = explanation.of_site()
        self.of_address = explanation.of_address(to, users, unseen=unseen)
        self.accounts = [explanation.of_account(user) for user in users]
        self.mails = [] if unseen else explanation.last_mails(addresses, users)

    def act(self) -> HttpResponse:
        """Do what a button asks for, and come back to the page."""
        self.actions.act(self.accounts, self.mails)
        return HttpResponseRedirect(self.request.get_full_path())

    def context(self) -> dict[str, Any]:
        """Return what the page shows."""
        verdict = of(self.of_site, self.of_address, self.accounts, self.mails)
        general = [*self.of_site, *self.of_address]
        return {
            "verdict": verdict,
            "findings": self._linked(each for each in general if each != verdict),
            "accounts": [self._account(account) for account in self.accounts],
            "mails": [self._mail(mail) for mail in self.mails],
        }

    def _account(self, account: Account) -> dict[str, Any]:
        return {
            "user": account.user,
            "page": self._page(account.user),
            "findings": self._linked(account.findings),
            "buttons": self.actions.for_account(account),
        }

    def _mail(self, mail: Mail) -> dict[str, Any]:
        return {
            "row": mail.row,
            "page": self._page(mail.row),
            "level": mail.level,
            "findings": self._linked(mail.findings),
            "buttons": self.actions.for_mail(mail),
        }

    def _linked(self, findings: Iterable[Finding]) -> list[tuple[Finding, str | None]]:
        return [(each, self._page(each.row)) for each in findings]

    def _page(self, row: Any) -> str | None:
        return accounts.page(self.site, self.request, row) if row else None
