"""What the last release writes finds its place on today's schema."""

import pytest
from django.db import connection

from tests import ROOT
from tests.upgrades import schema

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]
TABLES = sorted(schema.recorded())


def test_no_column_of_the_last_release_is_gone_or_stricter():
    assert schema.broken(schema.recorded(), schema.of_models()) == []


@pytest.mark.parametrize("table", TABLES)
def test_the_last_release_can_leave_new_columns_out(table):
    """As the database knows it: a default of Python alone is none to another release."""
    with connection.cursor() as cursor:
        found = connection.introspection.get_table_description(cursor, table)
    new = [one for one in found if one.name not in schema.recorded()[table]]
    required = [one.name for one in new if not one.null_ok and one.default is None]
    assert required == []


OLD = {"type": "CharField", "max_length": 64, "null": True}


@pytest.mark.parametrize(
    "new",
    [
        None,
        OLD | {"type": "TextField"},
        OLD | {"max_length": 32},
        OLD | {"null": False},
    ],
)
def test_what_breaks_the_last_release_is_named(new):
    now = {"t": {"c": new} if new else {}}
    assert schema.broken({"t": {"c": OLD}}, now) == [f"t.c: {OLD} has become {new}"]


def test_a_longer_column_breaks_nothing():
    now = {"t": {"c": OLD | {"max_length": 128}}}
    assert schema.broken({"t": {"c": OLD}}, now) == []


def test_the_page_says_what_going_back_past_each_migration_loses():
    page = (ROOT / "docs" / "upgrading.md").read_text()
    for path in (ROOT / "password_reset" / "migrations").glob("[0-9]*.py"):
        assert f"| `{path.stem}`" in page
