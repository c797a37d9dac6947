"""Refuse migrations that stop a running site or the release before.

``python -m tests.migration_lint`` is part of ``make lint``; it needs no database, since it
reads operations, not SQL. What a rule refuses may be declared in the migration's class,
with the reason: ``accepted = {"AddIndex": "the table has a row for each campaign"}``.
"""

import os
import sys
from collections.abc import Iterator
from typing import Any

import django
from django.db import models
from django.db.migrations import Migration, operations
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.state import ProjectState
from django.db.models import NOT_PROVIDED

APPS = ("password_reset", "project")
ONLINE = ("AddIndexOnline", "AddIndexConcurrently", "RemoveIndexConcurrently")
#: They change no table, or only make one.
HARMLESS = (
    operations.AlterModelManagers,
    operations.AlterModelOptions,
    operations.CreateModel,
)
#: Options of a field that the database does not know.
UNKNOWN_TO_THE_DATABASE = {
    "blank",
    "choices",
    "default",
    "editable",
    "error_messages",
    "help_text",
    "limit_choices_to",
    "on_delete",
    "related_name",
    "validators",
    "verbose_name",
}
#: What the release before still names, or what a table is locked for while it is read.
REFUSED = {
    "AddConstraint": "every row is checked while the table is locked",
    "AddIndex": "writers wait while it is built: use AddIndexOnline, atomic = False",
    "AlterModelTable": "the release before asks for the old name",
    "DeleteModel": "the release before uses it: remove it one release later",
    "RemoveField": "the release before uses it: remove it one release later",
    "RenameField": "the release before asks for the old name",
    "RenameModel": "the release before asks for the old name",
}


def problems(migration: Migration, state: ProjectState) -> Iterator[str]:
    """Name what is wrong with a migration; `state` is of before and becomes of after."""
    accepted = dict(getattr(migration, "accepted", {}))
    fresh: set[str] = set()
    for operation in migration.operations:
        kind = type(operation).__name__
        if isinstance(operation, operations.CreateModel):
            fresh.add(operation.name_lower)
        found = (
            None if touches(operation, fresh) else wrong(operation, migration, state)
        )
        if found and not accepted.pop(kind, ""):
            yield f"{migration}: {operation.describe()}: {found}"
        operation.state_forwards(migration.app_label, state)
    for kind in accepted:
        yield f"{migration}: accepted[{kind!r}] is needed for nothing"


def touches(operation: Operation, tables: set[str]) -> bool:
    """Return whether an operation is about one of these, which are empty."""
    name = getattr(operation, "model_name", None) or getattr(operation, "name", "")
    is_model = isinstance(operation, operations.models.ModelOperation)
    about_model = is_model or hasattr(operation, "model_name")
    return about_model and name.lower() in tables


def wrong(operation: Any, migration: Migration, state: ProjectState) -> str | None:
    """Return what is wrong with an operation on a table that has rows."""
    kind = type(operation).__name__
    if kind in ONLINE:
        return None if not migration.atomic else "it needs atomic = False"
    if kind in REFUSED:
        return REFUSED[kind]
    if not migration.atomic:
        return "beside atomic = False it cannot run again: give it its own migration"
    match operation:
        case operations.AddField():
            return wrong_with_new(operation.field)
        case operations.AlterField():
            key = (migration.app_label, operation.model_name_lower)
            old = state.models[key].get_field(operation.name)
            return wrong_with_change(old, operation.field)
        case operations.RunPython() | operations.RunSQL():
            ready = operation.reversible and operation.elidable
            return None if ready else "give it a reverse, and elidable=True"
    known = isinstance(operation, HARMLESS)
    return None if known else "no rule knows whether it is safe"


def wrong_with_new(field: Any) -> str | None:
    """Return what is wrong with a column that a table with rows gets."""
    if field.many_to_many:
        return None
    if isinstance(field, models.GeneratedField):
        return "the table is rewritten for it"
    if field.unique or field.db_index:
        return "its index is built while the table is locked: add one online"
    if field.is_relation and field.db_constraint:
        return "every row is checked while the table is locked: db_constraint=False"
    if field.null:
        return None
    if field.db_default is NOT_PROVIDED:
        return "the release before leaves it out: null=True or a db_default"
    if is_volatile(field.db_default):
        return "the table is rewritten for a default that is computed"
    return None


def is_volatile(default: Any) -> bool:
    return hasattr(default, "resolve_expression") and not isinstance(
        default, models.Value
    )


def wrong_with_change(old: Any, new: Any) -> str | None:
    """Return what is wrong with the change of a column."""
    if type(old) is not type(new):
        return "the table is rewritten, and the release before expects the old type"
    before, after = old.deconstruct()[3], new.deconstruct()[3]
    changed = {
        name
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name)
    }
    changed -= UNKNOWN_TO_THE_DATABASE
    if (old.max_length or 0) < (new.max_length or 0):
        changed.discard("max_length")
    if new.null:
        changed.discard("null")
    if new.db_default is not NOT_PROVIDED:
        changed.discard("db_default")
    return f"it changes {', '.join(sorted(changed))}" if changed else None


def lint() -> list[str]:
    """Return the problems of all migrations, in the order in which they run."""
    loader = MigrationLoader(None)
    loader.build_graph()
    state, found, done = ProjectState(), [], set()
    for leaf in sorted(loader.graph.leaf_nodes()):
        for key in loader.graph.forwards_plan(leaf):
            if key not in done:
                done.add(key)
                migration = loader.graph.nodes[key]
                ours = list(problems(migration, state))
                found += ours if migration.app_label in APPS else []
    return found


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
    django.setup()
    found = lint()
    print("\n".join(found) or "Every migration runs beside the site.")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
