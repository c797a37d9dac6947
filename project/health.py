"""The probes: whether this process is alive, and whether it can serve."""

from __future__ import annotations

import logging
from concurrent.futures import Future
from time import monotonic
from typing import Any

from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .dependencies import DEPENDENCIES
from .metrics import backlog_call, carries_token

logger = logging.getLogger("project.health")

#: Seconds within which every dependency must have answered.
TIMEOUT = 1.0


@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """Report that this process answers, without asking any other."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Report whether database and cache answer: 200, or 503. A cache that is full
    answers.

    The backlog is for callers with the metrics token and never a status: a dead mail
    server must not take the site out of the balancer.
    """
    deadline = monotonic() + TIMEOUT
    calls = {name: call.start() for name, call in DEPENDENCIES.items()}
    found = {name: _outcome(name, call, deadline) for name, call in calls.items()}
    healthy = "down" not in found.values()
    body: dict[str, Any] = {"status": "ok" if healthy else "unavailable", **found}
    if carries_token(request):
        body["backlog"] = _backlog(deadline)
    return JsonResponse(body, status=200 if healthy else 503)


def _outcome(name: str, call: Future[str], deadline: float) -> str:
    try:
        found = call.result(max(deadline - monotonic(), 0))
    except Exception as error:  # whatever it is, this process cannot serve
        logger.warning(
            "Not ready: no answer from the %s (%s)", name, type(error).__name__
        )
        return "down"
    if found != "ok":
        logger.warning("The %s is %s", name, found)
    return found


def _backlog(deadline: float) -> dict[str, float] | None:
    try:
        waiting = backlog_call.result(max(deadline - monotonic(), 0.05))
    except Exception:  # the log line of the database says why
        return None
    return {"pending": waiting.pending, "oldest_seconds": waiting.oldest_seconds}
