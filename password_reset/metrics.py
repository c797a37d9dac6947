"""Prometheus metrics of the flow; without prometheus_client each does nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from time import perf_counter
from typing import Any

try:
    prometheus_client: Any = import_module("prometheus_client")
except ImportError:  # the extra [metrics] is not installed
    prometheus_client = None


class NoMetric:
    """Replace a metric where none are collected."""

    def labels(self, **labels: str) -> NoMetric:
        return self

    def inc(self, amount: float = 1) -> None: ...

    def set(self, value: float) -> None: ...

    def observe(self, amount: float) -> None: ...


def _metric(kind: str, name: str, text: str, **options: Any) -> Any:
    if prometheus_client is None:
        return NoMetric()
    return getattr(prometheus_client, kind)(f"password_reset_{name}", text, **options)


#: A gauge is a reading of the one database: of several processes' readings the newest
#: counts.
NEWEST = {"multiprocess_mode": "mostrecent"}
#: The values of labels. A series begins with 0 at the start of a process, not with 1 at
#: the first event: Prometheus sees no increase in a series that is born with 1.
STATUSES = ("accepted", "rate_limited", "invalid", "unavailable", "failed")
STEPS = ("request", "mail", "reset")
INVITATION_STATUSES = ("asked", "accepted", "voided")
#: From half a minute to the hour that a link lives.
WAITS = (30, 60, 120, 300, 600, 1200, 1800, 2700, 3600)

requests_total = _metric(
    "Counter", "requests_total", "Total password reset requests", labelnames=["status"]
)
duration_seconds = _metric(
    "Histogram",
    "duration_seconds",
    "Password reset process duration",
    labelnames=["step"],
    buckets=(0.1, 0.5, 1, 2, 5),
)
tokens_expired_total = _metric(
    "Counter", "tokens_expired_total", "Total expired token attempts"
)
rate_limit_total = _metric(
    "Counter",
    "rate_limit_total",
    "Total attempts refused by a limit",
    labelnames=["scope"],
)
email_failures_total = _metric(
    "Counter", "email_failures_total", "Total failed attempts to send a mail"
)
database_errors_total = _metric(
    "Counter", "database_errors_total", "Total database errors in the flow"
)
disowned_total = _metric(
    "Counter",
    "disowned_total",
    "Total readers of an email who said that it was not them",
    labelnames=["email"],
)
explanations_total = _metric(
    "Counter",
    "explanations_total",
    "Total emails that say how to log in without a password",
)
second_factor_total = _metric(
    "Counter",
    "second_factor_total",
    "Total codes of a second factor behind a link",
    labelnames=["result"],
)
invitations_total = _metric(
    "Counter",
    "invitations_total",
    "Total invitations to choose a first password, by what became of them",
    labelnames=["status"],
)
forced_total = _metric(
    "Counter", "forced_total", "Total passwords that the site has ended"
)
campaign_pending = _metric(
    "Gauge",
    "campaign_pending",
    "Emails of campaigns that wait for their turn",
    **NEWEST,
)
deliveries_total = _metric(
    "Counter",
    "deliveries_total",
    "Total emails by what their provider reported",
    labelnames=["status"],
)
completions_total = _metric("Counter", "completions_total", "Total passwords reset")
request_to_reset_seconds = _metric(
    "Histogram",
    "request_to_reset_seconds",
    "Time from a request to its reset",
    buckets=WAITS,
)
pending_requests = _metric(
    "Gauge", "pending_requests", "Requests that wait for the worker", **NEWEST
)
oldest_pending_seconds = _metric(
    "Gauge",
    "oldest_pending_seconds",
    "For how long the oldest email has been due",
    **NEWEST,
)
last_purge_timestamp_seconds = _metric(
    "Gauge",
    "last_purge_timestamp_seconds",
    "Unix time at which the last purge ended",
    **NEWEST,
)
last_sweep_timestamp_seconds = _metric(
    "Gauge",
    "last_sweep_timestamp_seconds",
    "Unix time at which process_reset_requests last ended",
    **NEWEST,
)


def begin_with_zero(metric: Any, label: str, values: Iterable[str]) -> None:
    """Show a series for each value of a label before anything happens."""
    for value in values:
        metric.labels(**{label: value})


begin_with_zero(requests_total, "status", STATUSES)
begin_with_zero(duration_seconds, "step", STEPS)
begin_with_zero(invitations_total, "status", INVITATION_STATUSES)


@contextmanager
def timed(step: str) -> Iterator[None]:
    """Record how long a step takes, in seconds, however it ends."""
    started = perf_counter()
    try:
        yield
    finally:
        duration_seconds.labels(step=step).observe(perf_counter() - started)
