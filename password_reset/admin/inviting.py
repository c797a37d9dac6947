"""Invite users to choose a first password, from the host's own user admin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from password_reset import invitations, ratelimit
from password_reset.conf import conf
from password_reset.users import stored_email
from password_reset.visitors import brand_key

from . import sending
from .lists import log

if TYPE_CHECKING:
    from .lists import ModelAdmin

INVITE = "password_reset.send_passwordresetinvitation"
SENTENCES = {
    "inactive": gettext_lazy("The account is not active."),
    "no_address": gettext_lazy("The account has no mail address."),
    "has_password": gettext_lazy("The account has a password: send a reset link."),
    "must_reset": gettext_lazy(
        "The site has ended the account's password: send a reset link."
    ),
    "has_logged_in": gettext_lazy(
        "The owner has logged in without a password, such as by single sign-on."
    ),
    "waiting": gettext_lazy("An invitation is on its way already."),
}


def refusal(actor: Any, user: Any) -> str:
    """Return why a user may not be invited; an empty text where they may."""
    if not conf.enabled:
        return str(sending.SWITCHED_OFF)
    if not getattr(actor, "is_superuser", False) and sending.is_privileged(user):
        return _("The account is of a member of staff: only a superuser may invite it.")
    reason = invitations.refusal(user)
    return str(SENTENCES[reason]) if reason else ""


def view(model_admin: ModelAdmin, request: HttpRequest, user_id: str) -> HttpResponse:
    """Ask whether to invite one user, and do so."""
    return sending.for_one(model_admin, request, user_id, INVITE, confirmation, invite)


def invite(model_admin: ModelAdmin, request: HttpRequest, users: Iterable[Any]) -> None:
    """Invite each user, enter it into the admin's log, and tell staff what became of
    it.
    """
    invited: list[Any] = []
    for user in users:
        sentence = refusal(request.user, user) or _invited(request, user)
        if sentence:
            model_admin.message_user(request, f"{user}: {sentence}", messages.ERROR)
        else:
            invited.append(user)
    if invited:
        log(request, invited, _("Sent an invitation to choose a password."))
        count = ngettext(
            "An invitation is on its way to %(count)d user.",
            "Invitations are on their way to %(count)d users.",
            len(invited),
        )
        words = count % {"count": len(invited)}
        model_admin.message_user(request, words, messages.SUCCESS)


def confirmation(
    model_admin: ModelAdmin, request: HttpRequest, users: list[Any]
) -> TemplateResponse:
    """Return the page that names who would be invited, and who would not and why."""
    return sending.question(
        model_admin,
        request,
        [(user, refusal(request.user, user)) for user in users],
        template="invite_confirmation.html",
        title=_("Invite to choose a password"),
        lifetime=conf.invitation_lifetime,
    )


def _invited(request: HttpRequest, user: Any) -> str:
    """Invite a user; return why not, where somebody else was first, or where staff have
    sent enough to that address.
    """
    actor: Any = request.user
    try:
        with sending.within_limits():
            ratelimit.enforce_staff_limit(stored_email(user))
        invitations.send_invitation(
            user, invited_by=actor.get_username(), brand=brand_key(request)
        )
    except invitations.InvitationRefused as refused:
        return str(SENTENCES[refused.reason])
    except sending.Refused as refused:
        return str(refused)
    return ""
