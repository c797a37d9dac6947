"""All checks, one after the other, each within its time."""

from __future__ import annotations

from collections.abc import Iterator
from queue import Empty, SimpleQueue
from threading import Thread

from django.db import connections

from password_reset.redaction import redact

from . import delivery, site, storage, upkeep
from .findings import Check, Finding, Level, Patient, fault

#: Seconds that any check may take beside what it is told to wait.
LONGEST = 20.0

#: In the order in which one fault explains the next.
CHECKS: dict[str, Check] = {
    "settings": upkeep.check_settings,
    "database": storage.check_database,
    "index": storage.check_index,
    "cache": storage.check_cache,
    "eviction": storage.check_eviction,
    "web": site.check_web,
    "link": site.check_link,
    "https": site.check_https,
    "plain http": site.check_plain_http,
    "headers": site.check_headers,
    "cookies": site.check_cookies,
    "proxies": site.check_proxies,
    "time zone": upkeep.check_time_zone,
    "cron": upkeep.check_cron,
    "queue": upkeep.check_queue,
    "campaigns": upkeep.check_campaigns,
    "worker": delivery.check_worker,
    "clocks": upkeep.check_clocks,
    "mail": delivery.check_mail,
    "webhooks": upkeep.check_webhooks,
}
#: What says nothing where something else is at fault.
NEEDS = {
    "index": {"database"},
    "eviction": {"cache"},
    "https": {"web"},
    "headers": {"web", "link"},
    "cookies": {"web"},
    "proxies": {"web"},
    "time zone": {"web"},
    "cron": {"database"},
    "queue": {"database"},
    "campaigns": {"database"},
    "worker": {"database"},
    "clocks": {"database"},
    "webhooks": {"database"},
}


def examine(patient: Patient) -> Iterator[tuple[str, Finding]]:
    """Yield what each check finds. One that hangs or breaks is a fault of its own."""
    broken: set[str] = set()
    for name, check in CHECKS.items():
        if NEEDS.get(name, set()) & broken:
            continue
        for finding in _bounded(check, patient):
            # A site without our pages cannot say what it sees.
            unknown = name == "web" and finding.level is Level.NOTE
            if unknown or finding.level is Level.FAULT:
                broken.add(name)
            yield name, finding


def _bounded(check: Check, patient: Patient) -> list[Finding]:
    """Return what a check finds, in a thread that nobody waits for longer than that."""
    results: SimpleQueue[list[Finding]] = SimpleQueue()
    Thread(target=_run, args=(check, patient, results), daemon=True).start()
    try:
        return results.get(timeout=LONGEST + patient.wait)
    except Empty:
        return [fault("It does not end.", "Look for what has no time-out.")]


def _run(check: Check, patient: Patient, results: SimpleQueue[list[Finding]]) -> None:
    try:
        results.put(list(check(patient)))
    except Exception as error:
        reason = redact(f"{type(error).__name__}: {error}".splitlines()[0][:200])
        results.put([fault(f"It could not be examined ({reason}).", "See the above.")])
    finally:
        connections.close_all()
