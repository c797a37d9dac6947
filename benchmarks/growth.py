"""Pages that PostgreSQL touches for each step, at ten thousand rows and at a million."""

import json

from benchmarks.doors import OURS
from benchmarks.machine import Machine
from benchmarks.report import Check, Report, Row
from benchmarks.rows import write_requests, write_tokens

FLAT = ("POST", "link check", "claim", "purge batch")
DEAD = 1000
KEEP_ONE_BATCH = """
    UPDATE password_reset_tokens SET expires_at = expires_at + interval '3 hours'
    WHERE id > (SELECT min(id) FROM password_reset_tokens) + %s - 1
"""
MAIL = "django.core.mail.backends.locmem.EmailBackend"


def measure(machine: Machine, small: int, large: int) -> Report:
    """Run each step at two sizes and compare the pages."""
    few, many = (_steps(machine, size) for size in (small, large))
    title = f"pages touched at {small:,}; {large:,} rows: "
    rows = [
        Row(title + name, {OURS.name: f"{few[name]}; {many[name]}"}) for name in few
    ]
    checks = [
        Check(
            f"at most 2 pages more: {name}",
            many[name] - few[name] <= 2,
            f"{many[name] - few[name]:+}",
        )
        for name in FLAT
    ]
    machine.forget_requests(OURS)
    return Report(rows, checks)


def _steps(machine: Machine, size: int) -> dict[str, int]:
    machine.forget_requests(OURS)
    write_requests(machine, size)
    write_tokens(machine, size, "2 hours")
    machine.sql(OURS, KEEP_ONE_BATCH, DEAD)
    machine.sql(OURS, "VACUUM FULL ANALYZE")
    pages = machine.python(
        OURS, "benchmarks.pages", WITHOUT_POOL="1", EMAIL_BACKEND=MAIL
    )
    return dict(json.loads(pages))
