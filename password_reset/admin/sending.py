"""Send a reset link to a user. Staff never see or set a password or a token (OWASP ASVS
5.0, 6.4.6).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from password_reset import flows
from password_reset.conf import conf
from password_reset.ratelimit import (
    CounterUnavailable,
    RateLimited,
    staff_retry_after,
)
from password_reset.users import Answer, answer_to, must_reset, stored_email
from password_reset.visitors import brand_key

from . import accounts
from .lists import crumbs, log
from .states import at

if TYPE_CHECKING:
    from .lists import ModelAdmin

SWITCHED_OFF = gettext_lazy(
    "Password reset is switched off (PASSWORD_RESET_ENABLED): nothing is sent until it "
    "is on again."
)
UNCOUNTED = gettext_lazy(
    "The counters cannot be reached, so nothing was sent. Try again in a minute."
)
#: In one go: each is counted, looked up and written.
MANY = 100


class Refused(Exception):
    """No link is sent; the text is a sentence for staff."""


def refusal(actor: Any, user: Any) -> str:
    """Return why no link may be sent to a user; an empty text where it may."""
    if not conf.enabled:
        return str(SWITCHED_OFF)
    found = list(conf.user_finder(stored_email(user))) if stored_email(user) else []
    if not getattr(actor, "is_superuser", False) and any(
        map(is_privileged, [user, *found])
    ):
        # Whoever may edit a colleague's address could else send themselves the
        # colleague's link.
        return _(
            "The address belongs to a member of staff: only a superuser may send this "
            "link."
        )
    return obstacle(user, found) or _limit(stored_email(user))


def obstacle(user: Any, found: list[Any]) -> str:
    """Return what an account has against a reset; an empty text for nothing. ``found``
    is whom the site finds.
    """
    if not user.is_active:
        return _("The account is not active.")
    if answer_to(user) is Answer.NOTHING:
        return _(
            "The account has no password to reset: its owner logs in in another way."
        )
    if not stored_email(user):
        return _("The account has no mail address.")
    if user.pk not in {one.pk for one in found}:
        return _(
            "This site's own rule (PASSWORD_RESET_USER_FINDER) finds no such account "
            "under its address."
        )
    return ""


def email_in_words(user: Any) -> str:
    """Return what a user would be sent, where it is not a link to a new password."""
    if user.has_usable_password() or must_reset(user):
        return ""
    if answer_to(user) is Answer.EXPLANATION:
        return _("has no password: is told how to log in")
    return _("has no password: gets a link to set a first one")


def send(actor: Any, user: Any, brand: str = "") -> None:
    """Ask for a link for a user, as the form of a brand would; the worker sends it.
    Raises ``Refused``.
    """
    if sentence := refusal(actor, user):
        raise Refused(sentence)
    with within_limits():
        flows.send_link(stored_email(user), brand)


@contextmanager
def within_limits() -> Iterator[None]:
    """Raise ``Refused`` for what the limit of an address raises."""
    try:
        yield
    except RateLimited as limit:
        raise Refused(_limited(limit.retry_after)) from limit
    except CounterUnavailable as error:
        raise Refused(str(UNCOUNTED)) from error


def view(model_admin: ModelAdmin, request: HttpRequest, user_id: str) -> HttpResponse:
    """Ask whether to send a link to one user, and send it."""
    return for_one(
        model_admin, request, user_id, accounts.SEND, confirmation, send_to_all
    )


def for_one(
    model_admin: ModelAdmin,
    request: HttpRequest,
    user_id: str,
    permission: str,
    asking: Callable[..., TemplateResponse],
    act: Callable[..., None],
) -> HttpResponse:
    """Ask whether to do what staff may do for one user, and do it."""
    site = model_admin.admin_site
    user = accounts.find(site, request, user_id)
    if user is None:
        raise Http404
    allowed = request.user.has_perm(permission)
    if not allowed or not accounts.may_see(site, request, user):
        raise PermissionDenied
    if request.method != "POST":
        return asking(model_admin, request, [user])
    act(model_admin, request, [user])
    index = accounts.link(site, "index") or "/"
    return HttpResponseRedirect(accounts.page(site, request, user) or index)


def send_to_all(
    model_admin: ModelAdmin, request: HttpRequest, users: Iterable[Any]
) -> None:
    """Send each user a link, enter it into the admin's log, and tell staff what became
    of it.
    """
    sent: list[Any] = []
    explained: list[Any] = []
    for user in users:
        try:
            send(request.user, user, brand_key(request))
            answer = answer_to(user)
            (explained if answer is Answer.EXPLANATION else sent).append(user)
        except Refused as reason:
            model_admin.message_user(request, f"{user}: {reason}", messages.ERROR)
    if sent:
        log(request, sent, _("Sent a link to reset the password."))
        count = ngettext(
            "A link is on its way to %(count)d user.",
            "Links are on their way to %(count)d users.",
            len(sent),
        )
        model_admin.message_user(
            request, count % {"count": len(sent)}, messages.SUCCESS
        )
    if explained:
        log(request, explained, _("Sent an email that says how to log in."))
        count = ngettext(
            "%(count)d user has no password and is told by email how to log in.",
            "%(count)d users have no password and are told by email how to log in.",
            len(explained),
        )
        model_admin.message_user(
            request, count % {"count": len(explained)}, messages.SUCCESS
        )


def confirmation(
    model_admin: ModelAdmin, request: HttpRequest, users: list[Any]
) -> TemplateResponse:
    """Return the page that names who would get an email, and who would not and why."""
    return question(
        model_admin,
        request,
        [(user, refusal(request.user, user)) for user in users],
        template="send_confirmation.html",
        title=_("Send a reset link"),
        lifetime=conf.token_lifetime,
        in_words=email_in_words,
    )


def question(
    model_admin: ModelAdmin,
    request: HttpRequest,
    judged: list[tuple[Any, str]],
    *,
    template: str,
    title: str,
    lifetime: timedelta,
    in_words: Callable[[Any], str] = lambda user: "",
) -> TemplateResponse:
    """Return the page that asks before something is done for users, each with why not,
    or an empty text. ``in_words`` says what is special for one; the lifetime is that of
    the link that they get.
    """
    site = model_admin.admin_site
    request.current_app = site.name
    context = {
        **site.each_context(request),
        **crumbs(model_admin, request),
        "title": title,
        "users": [
            (user, stored_email(user), in_words(user))
            for user, sentence in judged
            if not sentence
        ],
        "refused": [(user, sentence) for user, sentence in judged if sentence],
        "token_lifetime": lifetime,
        "shown_at": timezone.now().isoformat(),
        "action": request.POST.get("action", ""),
        "action_checkbox_name": ACTION_CHECKBOX_NAME,
    }
    return TemplateResponse(request, f"admin/password_reset/{template}", context)


def shown_at(request: HttpRequest) -> datetime | None:
    """Return when the page was shown that a form confirms: today, or it is no page of
    ours.
    """
    try:
        moment = parse_datetime(request.POST.get("shown_at", ""))
    except ValueError:
        return None
    if moment is None or timezone.is_aware(moment) != settings.USE_TZ:
        return None
    now = timezone.now()
    return moment if now - timedelta(days=1) < moment <= now else None


def _limit(email: str) -> str:
    """Return the sentence that staff have sent enough to an address, or nothing."""
    try:
        seconds = staff_retry_after(email)
    except CounterUnavailable:
        return str(UNCOUNTED)
    return "" if seconds is None else _limited(seconds)


def _limited(seconds: int) -> str:
    until = at(timezone.now() + timedelta(seconds=seconds))
    return _(
        "The limit of this address is reached; until %(time)s no link can be sent."
    ) % {"time": until}


def is_privileged(user: Any) -> bool:
    """Return whether a user has rights that a colleague could take over."""
    return bool(
        getattr(user, "is_staff", False) or getattr(user, "is_superuser", False)
    )
