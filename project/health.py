"""Probes: is this process alive, and can it serve?"""

from __future__ import annotations

import logging
import secrets
from concurrent.futures import Future
from time import monotonic
from typing import Any

from django.core.cache import cache
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from .bounded import Question
from .metrics import ask_backlog, carries_token

logger = logging.getLogger("project.health")

#: Seconds within which every dependency must have answered.
PATIENCE = 1.0


def _ask_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _ask_cache() -> None:
    """Write and read: a full Redis still reads."""
    written = secrets.token_hex(4)
    cache.set(f"health:{written}", written, timeout=5)
    if cache.get(f"health:{written}") != written:
        raise RuntimeError("the cache does not keep what it is given")


DEPENDENCIES = {"database": Question(_ask_database), "cache": Question(_ask_cache)}


@never_cache
@require_safe
def live(request: HttpRequest) -> JsonResponse:
    """Say that this process answers; asks nobody else."""
    return JsonResponse({"status": "ok"})


@never_cache
@require_safe
def ready(request: HttpRequest) -> JsonResponse:
    """Say whether database and cache answer: 200, or 503.

    The backlog is for callers with the metrics token and never a status: a dead mail
    server must not take the site out of the balancer.
    """
    deadline = monotonic() + PATIENCE
    questions = {name: question.start() for name, question in DEPENDENCIES.items()}
    found = {
        name: _outcome(name, question, deadline) for name, question in questions.items()
    }
    well = set(found.values()) == {"ok"}
    body: dict[str, Any] = {"status": "ok" if well else "unavailable", **found}
    if carries_token(request):
        body["backlog"] = _backlog(deadline)
    return JsonResponse(body, status=200 if well else 503)


def _outcome(name: str, question: Future[None], deadline: float) -> str:
    try:
        question.result(max(deadline - monotonic(), 0))
    except Exception as error:  # whatever it is, this process cannot serve
        logger.warning(
            "Not ready: no answer from the %s (%s)", name, type(error).__name__
        )
        return "down"
    return "ok"


def _backlog(deadline: float) -> dict[str, float] | None:
    try:
        waiting = ask_backlog.answer(max(deadline - monotonic(), 0.05))
    except Exception:  # the line above says why
        return None
    return {"pending": waiting.pending, "oldest_seconds": waiting.oldest_seconds}
