"""What the admin's pages say of the state of things."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import template
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from password_reset import services
from password_reset.checks.sending import NO_WORKER_AFTER
from password_reset.conf import conf

register = template.Library()
PANEL = "admin:password_reset_passwordresetrequest_explain"


@register.inclusion_tag("admin/password_reset/backlog.html", takes_context=True)
def password_reset_backlog(context: dict[str, Any]) -> dict[str, Any]:
    """Tell those who may see our tables that emails wait, and whether for a worker, the
    mail provider or the setting ``ENABLED``.
    """
    user = _first_to_ask(context, "backlog")
    if user is None or not user.has_module_perms("password_reset"):
        return {}
    if not conf.enabled:
        return {"state": "off"}
    waiting, now, patience = (
        services.waiting(),
        timezone.now(),
        NO_WORKER_AFTER.total_seconds(),
    )
    if waiting.due_seconds > patience:
        return {
            "state": "asleep",
            "count": waiting.due,
            "since": now - timedelta(seconds=waiting.due_seconds),
        }
    if waiting.oldest_seconds > patience:
        return {
            "state": "held",
            "count": waiting.pending,
            "since": now - timedelta(seconds=waiting.oldest_seconds),
        }
    return {}


@register.inclusion_tag("admin/password_reset/panel_link.html", takes_context=True)
def password_reset_panel_link(context: dict[str, Any]) -> dict[str, Any]:
    """Lead those who may to "Why can a person not reset?"."""
    user = _first_to_ask(context, "panel link")
    if user is None or not user.has_perm("password_reset.explain_passwordresetrequest"):
        return {}
    return {"panel": _panel(context)}


def _panel(context: dict[str, Any]) -> str:
    site = getattr(context.get("request"), "current_app", None)
    try:
        return reverse(PANEL, current_app=site)
    except NoReverseMatch:
        return ""


def _first_to_ask(context: dict[str, Any], part: str) -> Any:
    """Return the user of a page, for the first tag of a kind on it: the page of an app
    extends the front page, which a host gives the same tags.
    """
    request = context.get("request")
    if request is None:
        return None
    shown: set[str] = vars(request).setdefault("_password_reset_shown", set())
    if part in shown:
        return None
    shown.add(part)
    return getattr(request, "user", None)
