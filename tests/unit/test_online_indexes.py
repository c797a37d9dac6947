"""Indexes that are built beside a running site: `AddIndexOnline`."""

from importlib import import_module

import pytest
from django.core.management import call_command
from django.db import connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.utils import NotSupportedError
from django.test.utils import CaptureQueriesContext

from password_reset.models import PasswordResetRequest

NAMES = {
    "password_reset_notices_brand",
    "password_reset_requests_brand",
    "idx_password_reset_tokens_brand",
}
NAME = "password_reset_requests_brand"

#: In `make test`'s first pass the database is PostgreSQL.
pytestmark = pytest.mark.django_db(transaction=True)
MIGRATION = import_module("password_reset.migrations.0011_brand_indexes").Migration
[OPERATION] = [one for one in MIGRATION.operations if one.index.name == NAME]


@pytest.fixture
def before():
    """The schema before the indexes; afterwards the newest, whatever the test did."""
    call_command("migrate", "password_reset", "0010", verbosity=0)
    yield
    call_command("migrate", "password_reset", verbosity=0)


def migrate() -> list[str]:
    """Run the migration and return its statements that make or drop an index."""
    with CaptureQueriesContext(connection) as queries:
        call_command("migrate", "password_reset", "0011", verbosity=0)
    return [one["sql"] for one in queries if " INDEX " in one["sql"]]


def add_index() -> None:
    """Make one index as `0008_brands` once did."""
    with connection.schema_editor() as editor:
        editor.add_index(PasswordResetRequest, OPERATION.index)


def indexes() -> set[str]:
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        found = [
            connection.introspection.get_constraints(cursor, table)
            for table in tables
            if table.startswith("password_reset")
        ]
    return NAMES & {name for one in found for name in one}


@pytest.mark.sqlite
def test_they_go_and_come(before):
    assert indexes() == set()
    migrate()
    assert indexes() == NAMES


@pytest.mark.sqlite
def test_one_that_is_there_stays(before):
    add_index()
    assert len(migrate()) == 2
    assert indexes() == NAMES


def test_postgresql_lets_others_write_meanwhile(before):
    statements = migrate()
    assert len(statements) == 3
    assert all("CREATE INDEX CONCURRENTLY" in one for one in statements)


def test_postgresql_builds_one_anew_that_was_interrupted(before):
    add_index()
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass",
            [NAME],
        )
    dropped, *built = [one for one in migrate() if NAME in one]
    assert "DROP INDEX CONCURRENTLY" in dropped
    assert len(built) == 1


def test_postgresql_does_it_in_no_transaction(before):
    state = MigrationExecutor(connection).loader.project_state()
    with (
        pytest.raises(NotSupportedError, match="atomic = False"),
        transaction.atomic(),
        connection.schema_editor(atomic=False) as editor,
    ):
        OPERATION.database_forwards("password_reset", editor, state, state)
