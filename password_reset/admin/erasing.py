"""The action that erases what is kept of addresses, which asks first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.models import DELETION, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.db.models import QuerySet
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from password_reset import services
from password_reset.erasure import STAND_IN

from .lists import crumbs

if TYPE_CHECKING:
    from .lists import ModelAdmin

#: Addresses that one action takes: what is more is a purge, or a mistake.
MOST = 50


def view(
    model_admin: ModelAdmin, request: HttpRequest, rows: QuerySet[Any]
) -> TemplateResponse | None:
    """Ask, then erase what is kept of the addresses of some requests."""
    if "confirmed" in request.POST:
        # What was on the page: of "all that match" more may match by now.
        shown = request.POST.getlist("address")
        rows = rows.filter(email__in=[each for each in shown if "\0" not in each])
    found = rows.order_by("email").values_list("email", flat=True).distinct()
    addresses = list(found[: MOST + 1])
    if len(addresses) > MOST:
        sentence = _("Select requests for %(count)d addresses at most.")
        text = sentence % {"count": MOST}
        model_admin.message_user(request, text, messages.ERROR)
        return None
    if "confirmed" not in request.POST:
        return _ask(model_admin, request, addresses)
    count = sum(services.erase(email=address).total for address in addresses)
    _log(model_admin, request, count)
    words = ngettext("%(count)d row was erased.", "%(count)d rows were erased.", count)
    model_admin.message_user(request, words % {"count": count}, messages.SUCCESS)
    return None


def _ask(
    model_admin: ModelAdmin, request: HttpRequest, addresses: list[str]
) -> TemplateResponse:
    request.current_app = model_admin.admin_site.name
    context = {
        **model_admin.admin_site.each_context(request),
        **crumbs(model_admin, request),
        "title": _("Erase what is kept of addresses"),
        "addresses": addresses,
        "across": request.POST.get("select_across", "0"),
        "selected": request.POST.getlist(ACTION_CHECKBOX_NAME),
        "action_checkbox_name": ACTION_CHECKBOX_NAME,
    }
    template = "admin/password_reset/erase_confirmation.html"
    return TemplateResponse(request, template, context)


def _log(model_admin: ModelAdmin, request: HttpRequest, count: int) -> None:
    """Enter who has erased, and not whom."""
    LogEntry.objects.create(
        user_id=request.user.pk,  # type: ignore[misc]  # nobody else gets here
        content_type=ContentType.objects.get_for_model(model_admin.model),
        object_repr=STAND_IN,
        action_flag=DELETION,
        change_message=f"Erased what was kept of addresses: {count} rows.",
    )
