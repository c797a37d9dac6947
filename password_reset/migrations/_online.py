"""Operations that let a site answer while they run; Django loads no migration from a name
with an underscore.

django.contrib.postgres has such an operation, but needs psycopg on every database.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import AddIndex
from django.db.migrations.state import ProjectState
from django.db.utils import NotSupportedError

VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)"


class AddIndexOnline(AddIndex):
    """Add an index without a lock that writers wait for, on PostgreSQL; as usual elsewhere.

    Its migration says ``atomic = False``, so it may be run again after it failed halfway:
    an index that is there stays, one that was interrupted is built anew.
    """

    atomic = False

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        if not self._stands(schema_editor, model):
            schema_editor.add_index(model, self.index, **_online(schema_editor))

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        model = from_state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            schema_editor.remove_index(model, self.index, **_online(schema_editor))

    def _stands(self, schema_editor: BaseDatabaseSchemaEditor, model: Any) -> bool:
        """Return whether the index exists and is whole; remove what a build that was
        interrupted has left.
        """
        if schema_editor.collect_sql or not self._exists(schema_editor, model):
            return False
        if _is_whole(schema_editor, self.index.name):
            return True
        schema_editor.remove_index(model, self.index, **_online(schema_editor))
        return False

    def _exists(self, schema_editor: BaseDatabaseSchemaEditor, model: Any) -> bool:
        introspection = schema_editor.connection.introspection
        with schema_editor.connection.cursor() as cursor:
            found = introspection.get_constraints(cursor, model._meta.db_table)
        return self.index.name in found


def _is_whole(schema_editor: BaseDatabaseSchemaEditor, name: str) -> bool:
    """Return whether the database uses an index that exists."""
    connection = schema_editor.connection
    if connection.vendor != "postgresql":
        return True
    with connection.cursor() as cursor:
        cursor.execute(VALID, [connection.ops.quote_name(name)])
        return bool(cursor.fetchone()[0])


def _online(schema_editor: BaseDatabaseSchemaEditor) -> dict[str, Any]:
    """Return what the schema editor is told beside the index."""
    if schema_editor.connection.vendor != "postgresql":
        return {}
    if schema_editor.connection.in_atomic_block:
        message = "The migration of AddIndexOnline must say atomic = False."
        raise NotSupportedError(message)
    return {"concurrently": True}
