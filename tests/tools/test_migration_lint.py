"""The linter of migrations refuses what stops a running site, and nothing else."""

import pytest
from django.db import migrations, models
from django.db.migrations.state import ModelState, ProjectState
from django.db.models.functions import Now

from password_reset.migrations._online import AddIndexOnline
from tests.migration_lint import lint, problems

INDEX = models.Index(fields=["name"], name="rooms_name")


def linted(*operations, model="room", **attributes):
    """Return the problems of a migration on a model with rows."""
    fields = [
        ("id", models.BigAutoField(primary_key=True)),
        ("name", models.CharField(max_length=20)),
        ("size", models.IntegerField(null=True)),
    ]
    state = ProjectState()
    state.add_model(ModelState("hotel", "Room", fields))
    kind = type("Migration", (migrations.Migration,), attributes)
    migration = kind("0002_change", "hotel")
    migration.operations = list(operations)
    return list(problems(migration, state))


def added(field):
    return linted(migrations.AddField("room", "more", field))


def altered(field, name="name"):
    return linted(migrations.AlterField("room", name, field))


def test_our_own_migrations_pass():
    assert lint() == []


@pytest.mark.parametrize(
    "field",
    [
        models.IntegerField(null=True),
        models.IntegerField(db_default=0),
        models.CharField(max_length=9, default="", db_default=""),
        models.BooleanField(db_default=models.Value(False)),
        models.ManyToManyField("hotel.Room"),
        models.ForeignKey(
            "hotel.Room",
            models.CASCADE,
            null=True,
            db_index=False,
            db_constraint=False,
        ),
    ],
)
def test_a_column_may_be_added_that_the_release_before_can_leave_out(field):
    assert added(field) == []


@pytest.mark.parametrize(
    ("field", "why"),
    [
        (models.IntegerField(), "leaves it out"),
        (models.IntegerField(default=0), "leaves it out"),
        (models.DateTimeField(db_default=Now()), "rewritten"),
        (models.IntegerField(null=True, db_index=True), "index"),
        (models.IntegerField(null=True, unique=True), "index"),
        (models.ForeignKey("hotel.Room", models.CASCADE, null=True), "index"),
        (
            models.ForeignKey("hotel.Room", models.CASCADE, null=True, db_index=False),
            "every row is checked",
        ),
        (
            models.GeneratedField(
                expression=models.F("size") + 1,
                output_field=models.IntegerField(),
                db_persist=True,
            ),
            "rewritten",
        ),
    ],
)
def test_other_columns_are_refused(field, why):
    [problem] = added(field)
    assert why in problem


@pytest.mark.parametrize(
    "field",
    [
        models.CharField("title", max_length=20, blank=True, default="x"),
        models.CharField(max_length=40),
        models.CharField(max_length=20, null=True),
        models.CharField(max_length=20, db_default=""),
    ],
)
def test_a_column_may_become_wider(field):
    assert altered(field) == []


@pytest.mark.parametrize(
    ("field", "name", "why"),
    [
        (models.CharField(max_length=10), "name", "max_length"),
        (models.TextField(), "name", "old type"),
        (models.CharField(max_length=20, db_index=True), "name", "db_index"),
        (models.CharField(max_length=20, db_column="n"), "name", "db_column"),
        (models.IntegerField(), "size", "null"),
    ],
)
def test_other_changes_of_a_column_are_refused(field, name, why):
    [problem] = altered(field, name)
    assert why in problem


@pytest.mark.parametrize(
    "operation",
    [
        migrations.AddIndex("room", INDEX),
        migrations.AddConstraint(
            "room", models.UniqueConstraint(fields=["name"], name="rooms_once")
        ),
        migrations.RemoveField("room", "size"),
        migrations.RenameField("room", "size", "area"),
        migrations.RenameModel("Room", "Chamber"),
        migrations.DeleteModel("Room"),
        migrations.AlterModelTable("room", "chambers"),
        migrations.AlterUniqueTogether("room", {("name", "size")}),
        migrations.RunPython(migrations.RunPython.noop, elidable=True),
        migrations.RunPython(migrations.RunPython.noop, migrations.RunPython.noop),
        migrations.RunSQL("SELECT 1", elidable=True),
        AddIndexOnline("room", INDEX),
    ],
    ids=lambda operation: operation.describe(),
)
def test_an_operation_is_refused_until_it_is_declared(operation):
    assert len(linted(operation)) == 1
    kind = type(operation).__name__
    assert linted(operation, accepted={kind: "nobody has rows"}) == []


def test_an_index_may_be_built_online():
    assert linted(AddIndexOnline("room", INDEX), atomic=False) == []


def test_a_migration_that_cannot_be_rolled_back_holds_nothing_else():
    size = migrations.AddField("room", "more", models.IntegerField(null=True))
    [problem] = linted(size, AddIndexOnline("room", INDEX), atomic=False)
    assert "cannot run again" in problem


def test_a_table_that_the_migration_makes_is_free():
    key = [("id", models.BigAutoField(primary_key=True))]
    assert not linted(
        migrations.CreateModel("Guest", key),
        migrations.AddField("guest", "name", models.CharField(max_length=9)),
        migrations.AddIndex("guest", INDEX),
    )


def test_a_reversible_elidable_step_may_run():
    noop = migrations.RunPython.noop
    assert linted(migrations.RunPython(noop, noop, elidable=True)) == []


def test_a_declaration_that_nothing_needs_is_refused():
    [problem] = linted(accepted={"RemoveField": "gone long ago"})
    assert "needed for nothing" in problem
