"""The columns that a release writes, as a file that needs neither wheel nor history."""

import json
from pathlib import Path
from typing import Any

RECORD = Path(__file__).parent / "schema.json"
Columns = dict[str, dict[str, Any]]


def recorded() -> dict[str, Columns]:
    """Return the columns of each table at the last release."""
    return json.loads(RECORD.read_text())["tables"]


def of_models(app: str = "password_reset") -> dict[str, Columns]:
    """Return the columns of each table as the running release declares them."""
    from django.apps import apps  # noqa: PLC0415 - the site starts Django

    return {
        model._meta.db_table: {
            field.column: described(field)
            for field in model._meta.local_concrete_fields
        }
        for model in apps.get_app_config(app).get_models()
    }


def described(field: Any) -> dict[str, Any]:
    kind = "Key" if field.is_relation else field.get_internal_type()
    return {"type": kind, "max_length": field.max_length, "null": field.null}


def broken(before: dict[str, Columns], now: dict[str, Columns]) -> list[str]:
    """Name each column that is gone, of another type, shorter, or no longer nullable."""
    return [
        f"{table}.{column}: {old} has become {new}"
        for table, columns in before.items()
        for column, old in columns.items()
        if not fits(old, new := now.get(table, {}).get(column))
    ]


def fits(old: dict[str, Any], new: dict[str, Any] | None) -> bool:
    """Return whether what was written into the old column goes into the new one."""
    if new is None or new["type"] != old["type"]:
        return False
    shorter = (new["max_length"] or 0) < (old["max_length"] or 0)
    return not shorter and new["null"] >= old["null"]
