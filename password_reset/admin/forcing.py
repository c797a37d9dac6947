"""End the passwords of a selection of users, from the host's own user admin."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from password_reset import forced_resets
from password_reset.campaigns import PasswordResetCampaign
from password_reset.conf import conf
from password_reset.users import stored_email
from password_reset.visitors import brand_key

from . import sending
from .lists import log

if TYPE_CHECKING:
    from .lists import ModelAdmin

START = "password_reset.start_forcedpasswordreset"


def refusal(actor: Any, user: Any) -> str:
    """Return why a user's password may not be ended; an empty text where it may."""
    if not conf.enabled:
        return str(sending.SWITCHED_OFF)
    if actor.pk == user.pk:
        return _("This is your own account: you would be logged out in the middle.")
    if not getattr(actor, "is_superuser", False) and sending.is_privileged(user):
        return _("The account is of a member of staff: only a superuser may do this.")
    return ""


def confirmation(
    model_admin: ModelAdmin, request: HttpRequest, users: list[Any]
) -> TemplateResponse:
    """Return the page that names whose password would end, and whose not and why."""
    return sending.question(
        model_admin,
        request,
        [(user, refusal(request.user, user)) for user in users],
        template="force_confirmation.html",
        title=_("End passwords"),
        lifetime=conf.forced_reset_lifetime,
        in_words=_after,
    )


def force(model_admin: ModelAdmin, request: HttpRequest, users: list[Any]) -> None:
    """End the passwords of the users for whom it is allowed, enter it into the admin's
    log, and tell staff what became of it.
    """
    allowed = []
    for user in users:
        if sentence := refusal(request.user, user):
            model_admin.message_user(request, f"{user}: {sentence}", messages.ERROR)
        else:
            allowed.append(user)
    if allowed:
        _force(model_admin, request, allowed)


def _force(model_admin: ModelAdmin, request: HttpRequest, users: list[Any]) -> None:
    keys, kind = [user.pk for user in users], PasswordResetCampaign.Kind.FORCED
    selection = forced_resets.selection_of(keys)
    # Of a double click the second half finds all done.
    shown_at = sending.shown_at(request)
    campaign = shown_at and forced_resets.begun_since(shown_at, kind, selection)
    if not campaign:
        actor: Any = request.user
        campaign = forced_resets.campaign_of(
            kind,
            selection,
            keys,
            started_by=actor.get_username(),
            brand=brand_key(request),
        )
        # Before the first password ends: whatever fails later, staff have asked for it.
        log(request, users, _("Ended the password; a link goes to its owner."))
    _ended, failed = forced_resets.end_passwords(campaign)
    forced_resets.wake(campaign)
    ended = forced_resets.counts(campaign).ended
    done = ngettext(
        "The password of %(count)d user has ended; an email is on its way.",
        "The passwords of %(count)d users have ended; emails are on their way.",
        ended,
    )
    model_admin.message_user(request, done % {"count": ended}, messages.SUCCESS)
    if failed:
        words = ngettext(
            "%(count)d password could not be ended, since a revoker failed (see the "
            "log). `manage.py force_password_reset --resume %(number)d` tries again.",
            "%(count)d passwords could not be ended, since a revoker failed (see the "
            "log). `manage.py force_password_reset --resume %(number)d` tries again.",
            failed,
        )
        said = words % {"count": failed, "number": campaign.pk}
        model_admin.message_user(request, said, messages.ERROR)


def _after(user: Any) -> str:
    """Return what a user is left with, where it is not a link."""
    if not user.is_active or not stored_email(user):
        return _("cannot be mailed: has to ask you")
    if not user.has_usable_password():
        return _("has no password: is logged out")
    return ""
