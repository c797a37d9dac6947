"""Run each step of the flow in this process and print the pages that its statements
touch, as JSON.
"""

import json
import re
import sys
from collections.abc import Callable
from functools import partial
from statistics import median_low
from typing import Any

import django
from django.contrib.auth import get_user_model
from django.core import mail
from django.db import connection
from django.test import Client

from benchmarks.machine import known_address

EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "
EXPLAINABLE = ("SELECT", "INSERT", "UPDATE", "DELETE", "WITH")
TIMES = 7
STAFF = "staff@site.example"


class Pages:
    """Explain each statement before it is executed, and undo the explained one."""

    def __init__(self) -> None:
        self.statements: list[tuple[int, str]] = []

    def __call__(
        self,
        execute: Callable[..., Any],
        sql: str,
        params: Any,
        many: bool,
        context: Any,
    ) -> Any:
        """Count the pages of a statement, then let it run."""
        if sql.startswith(EXPLAINABLE):
            touched = self._explain(context["cursor"].cursor, sql, params)
            self.statements.append((touched, sql))
        return execute(sql, params, many, context)

    @staticmethod
    def _explain(cursor: Any, sql: str, params: Any) -> int:
        atomic = connection.in_atomic_block
        cursor.execute("SAVEPOINT explained" if atomic else "BEGIN")
        cursor.execute(EXPLAIN + sql, params)
        plan = cursor.fetchone()[0][0]["Plan"]
        cursor.execute("ROLLBACK TO explained" if atomic else "ROLLBACK")
        return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def count(step: Callable[[], object]) -> int:
    """Return the pages that a step touches."""
    return sum(each(step))


def each(step: Callable[[], object]) -> list[int]:
    """Return the pages that each statement of a step touches; the statements go to
    standard error.
    """
    pages = Pages()
    with connection.execute_wrapper(pages):
        step()
    for touched, sql in pages.statements:
        print(f"{touched:8} {sql[:300]}", file=sys.stderr)
    return [touched for touched, _ in pages.statements]


def usual(step: Callable[[], object]) -> int:
    """Return the median of several times: now and then a row opens a new page, or
    splits one of an index.
    """
    return median_low(count(step) for _ in range(TIMES))


def run() -> dict[str, int]:
    """Take the steps in the order of the flow."""
    from password_reset import services  # noqa: PLC0415 - needs settings
    from password_reset.models import PasswordResetRequest  # noqa: PLC0415

    visitor, staff = Client(), Client()
    people = get_user_model().objects
    staff.force_login(
        people.get_or_create(email=STAFF, is_staff=True, is_superuser=True)[0]
    )
    ask = {"email": known_address(1)}
    visitor.post("/forgot-password", ask)
    found = {"POST": usual(lambda: visitor.post("/forgot-password", ask))}
    found["claim"] = usual(lambda: PasswordResetRequest.objects.claim(1))
    visitor.post("/forgot-password", ask)
    found["all that the worker does"] = count(lambda: services.process_due(1))
    [link] = re.findall(r"/reset-password\?token=\w+", str(mail.outbox[-1].body))[:1]
    found["link check"] = usual(lambda: visitor.get(link))
    # Its first two statements: where a batch of tokens ends, and their DELETE.
    found["purge batch"] = sum(each(services.purge)[:2])
    for name in ("passwordresetrequest", "passwordresettoken"):
        path = f"/admin/password_reset/{name}/"
        found[f"admin list of {name}s"] = count(partial(staff.get, path))
    return found


if __name__ == "__main__":
    django.setup()
    print(json.dumps(run()))
