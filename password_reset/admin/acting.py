"""What staff may do on the page "Why can this person not reset?": the actions of the
lists, with their permissions, for what is on the page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext as _

from password_reset.models import PasswordResetRequest, PasswordResetToken

from . import accounts, inviting, sending
from .explanation import Account, Mail

if TYPE_CHECKING:
    from .lists import ModelAdmin

INVITE = inviting.INVITE


@dataclass(frozen=True)
class Button:
    """A form of one button, for some users or rows."""

    do: str
    label: str
    rows: Sequence[Any]


class Actions:
    """What one member of staff may do. What would be refused is not offered."""

    def __init__(self, model_admin: ModelAdmin, request: HttpRequest) -> None:
        self.model_admin, self.request = model_admin, request
        self.requests = self._list_of(PasswordResetRequest, "retry")
        self.links = self._list_of(PasswordResetToken, "void")

    def for_account(self, account: Account) -> list[Button]:
        """Return what may be done for an account."""
        actor, user = self.request.user, account.user
        may_send, may_invite = actor.has_perm(accounts.SEND), actor.has_perm(INVITE)
        offered = [
            ("send", _("Send a reset link"), may_send, sending.refusal, [user]),
            ("invite", _("Invite"), may_invite, inviting.refusal, [user]),
        ]
        buttons = [
            Button(do, label, rows)
            for do, label, may, refusal, rows in offered
            if may and not refusal(actor, user)
        ]
        return [*buttons, *self._void_button(account.links)]

    def for_mail(self, mail: Mail) -> list[Button]:
        """Return what may be done about a request."""
        may_retry = self.requests and mail.can_retry
        retry = [Button("retry", _("Try again now"), [mail.row])] if may_retry else []
        return [*retry, *self._void_button(mail.links)]

    def _void_button(self, links: list[PasswordResetToken]) -> list[Button]:
        is_offered = self.links and links
        return [Button("void", _("Void links"), links)] if is_offered else []

    def act(self, found: list[Account], mails: list[Mail]) -> None:
        """Do what was asked for with what is on the page; nothing else can be named."""
        do: dict[str, Callable[[], None]] = {
            "send": lambda: self._mail(accounts.SEND, sending.send_to_all, found),
            "invite": lambda: self._mail(INVITE, inviting.invite, found),
            "retry": lambda: self._retry(mails),
            "void": lambda: self._void(found, mails),
        }
        chosen = do.get(self.request.POST.get("do", ""))
        if chosen is None:
            raise PermissionDenied
        chosen()

    def _mail(
        self, permission: str, mail: Callable[..., None], found: list[Account]
    ) -> None:
        if not self.request.user.has_perm(permission):
            raise PermissionDenied
        mail(self.model_admin, self.request, self._named(each.user for each in found))

    def _retry(self, mails: list[Mail]) -> None:
        if self.requests is None:
            raise PermissionDenied
        rows = self._rows(self.requests, (mail.row for mail in mails))
        self.requests.retry(self.request, rows)

    def _void(self, found: list[Account], mails: list[Mail]) -> None:
        if self.links is None:
            raise PermissionDenied
        tokens = [token for account in found for token in account.links]
        tokens += [token for mail in mails for token in mail.row.tokens.all()]
        self.links.void_all(self.request, self._rows(self.links, tokens))

    def _rows(self, model_admin: Any, rows: Iterable[Model]) -> Any:
        keys = [row.pk for row in self._named(rows)]
        return model_admin.get_queryset(self.request).filter(pk__in=keys)

    def _named(self, rows: Iterable[Any]) -> list[Any]:
        """Return those of some rows that the form names."""
        keys = set(self.request.POST.getlist("key"))
        return [row for row in rows if str(row.pk) in keys]

    def _list_of(self, model: type[Model], action: str) -> Any:
        """Return the admin of a list whose action may be taken, or None."""
        site = self.model_admin.admin_site
        if not site.is_registered(model):
            return None
        found: Any = site.get_model_admin(model)
        permission = getattr(found, f"has_{action}_permission", None)
        may_act = permission is not None and permission(self.request)
        may_view = found.has_view_permission(self.request)
        return found if may_act and may_view else None
