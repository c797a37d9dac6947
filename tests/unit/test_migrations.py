"""The migration goes back as far as nothing and forward again, with rows in the tables."""

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connection
from django.test import Client

from password_reset.models import (
    PasswordResetNotice,
    PasswordResetRequest,
    PasswordResetToken,
    UserSession,
)
from tests.tools.factories import NEW_PASSWORD, OLD_PASSWORD
from tests.tools.walk import ask, mailed_token, spend

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

TABLES = {
    "password_reset_tokens",
    "password_reset_requests",
    "password_reset_notices",
    "user_sessions",
}


@pytest.fixture
def rows(user):
    """A row in every table of the app."""
    spend(Client(), mailed_token(Client(), user.email))
    ask(Client(), user.email)
    Client().login(username=user.email, password=NEW_PASSWORD)
    for model in (
        PasswordResetToken,
        PasswordResetRequest,
        PasswordResetNotice,
        UserSession,
    ):
        assert model.objects.exists()
    return user


@pytest.fixture
def migrated_back(rows):
    call_command("migrate", "password_reset", "zero", verbosity=0)
    yield
    call_command("migrate", "password_reset", verbosity=0)


def test_back_to_zero_leaves_no_table_and_no_user_behind_its_time(migrated_back, rows):
    assert not TABLES & set(connection.introspection.table_names())
    assert get_user_model().objects.get().check_password(NEW_PASSWORD)


def test_forward_again_the_flow_works(migrated_back, rows):
    call_command("migrate", "password_reset", verbosity=0)
    assert set(connection.introspection.table_names()) >= TABLES
    assert not PasswordResetToken.objects.exists()
    assert (
        spend(Client(), mailed_token(Client(), rows.email), OLD_PASSWORD).status_code
        == 302
    )


def test_no_model_has_changed_without_a_migration():
    call_command(
        "makemigrations",
        "--check",
        "--dry-run",
        "password_reset",
        "project",
        verbosity=0,
    )
