"""What the admin's pages say of the state of things."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import template
from django.utils import timezone

from password_reset import services
from password_reset.checks.sending import NO_WORKER_AFTER
from password_reset.conf import conf

register = template.Library()


@register.inclusion_tag("admin/password_reset/backlog.html", takes_context=True)
def password_reset_backlog(context: dict[str, Any]) -> dict[str, Any]:
    """Tell those who may see our tables that emails wait, and whether for a worker, the
    mail provider or the setting ``ENABLED``.
    """
    user = getattr(context.get("request"), "user", None)
    if user is None or not user.has_module_perms("password_reset"):
        return {}
    if not conf.enabled:
        return {"state": "off"}
    waiting, now, patience = (
        services.backlog(),
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
