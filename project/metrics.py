"""The page that Prometheus reads."""

from __future__ import annotations

import os
from concurrent.futures import TimeoutError as NoAnswer
from time import monotonic

import prometheus_client
from django.conf import settings
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.crypto import constant_time_compare
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe
from prometheus_client import multiprocess

from password_reset import metrics
from password_reset.services import backlog

from .consistency import LOOPBACK
from .deadlines import BoundedCall
from .dependencies import DEPENDENCIES
from .process_slots import DIRECTORY

FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")
#: Seconds to wait for the database; the counters are shown without it too.
TIMEOUT = 1.0

backlog_call = BoundedCall(backlog)

database_up = prometheus_client.Gauge(
    "password_reset_database_up",
    "Whether the database answers",
    multiprocess_mode="mostrecent",
)
cache_up = prometheus_client.Gauge(
    "password_reset_cache_up",
    "Whether the cache takes counters: 0 where it does not answer, or is full",
    multiprocess_mode="mostrecent",
)
enabled = prometheus_client.Gauge(
    "password_reset_enabled",
    "Whether the flow is switched on",
    multiprocess_mode="mostrecent",
)
UP = {"database": database_up, "cache": cache_up}


@never_cache
@require_safe
def exposition(request: HttpRequest) -> HttpResponse:
    """Show all metrics to Prometheus; anybody else gets a 404."""
    if not (carries_token(request) or comes_from_this_machine(request)):
        raise Http404
    measure()
    registry = prometheus_client.REGISTRY
    if DIRECTORY in os.environ:
        registry = prometheus_client.CollectorRegistry()
        multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return HttpResponse(
        prometheus_client.generate_latest(registry),
        content_type=prometheus_client.CONTENT_TYPE_LATEST,
    )


def carries_token(request: HttpRequest) -> bool:
    """Return whether the request carries ``METRICS_TOKEN`` as a bearer token."""
    expected = f"Bearer {settings.METRICS_TOKEN}"
    return bool(settings.METRICS_TOKEN) and constant_time_compare(
        request.headers.get("Authorization", ""), expected
    )


def comes_from_this_machine(request: HttpRequest) -> bool:
    """Return whether the peer is a process on this machine, and not a proxy that
    forwards somebody else's request.
    """
    return request.META.get("REMOTE_ADDR") in LOOPBACK and not any(
        name in request.META for name in FORWARDED
    )


def measure() -> None:
    """Set the gauges that are read at this moment."""
    enabled.set(settings.PASSWORD_RESET_ENABLED)
    deadline = monotonic() + TIMEOUT
    asked = {name: DEPENDENCIES[name].start() for name in UP}
    measure_backlog()
    for name, gauge in UP.items():
        try:
            found = asked[name].result(max(deadline - monotonic(), 0))
        except Exception:  # whatever it is, it does not work
            found = "down"
        gauge.set(found == "ok")


def measure_backlog() -> None:
    """Set the gauges of the outbox; where the database does not answer, they keep what
    they showed last.
    """
    try:
        waiting = backlog_call.result(TIMEOUT)
    except (DatabaseError, NoAnswer):
        return
    metrics.pending_requests.set(waiting.pending)
    metrics.oldest_pending_seconds.set(waiting.due_seconds)
