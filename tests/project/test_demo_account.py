"""The accounts that `make run` makes."""

from io import StringIO
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command

from project.management.commands.demo_account import PASSWORD
from project.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]


def run() -> str:
    output = StringIO()
    call_command("demo_account", stdout=output)
    return output.getvalue()


def test_the_printed_password_logs_in() -> None:
    assert f"demo@example.com   password: {PASSWORD}" in run()
    assert authenticate(username="demo@example.com", password=PASSWORD) is not None


def test_there_is_somebody_for_the_admin() -> None:
    run()
    assert User.objects.get(is_superuser=True).email == "admin@example.com"


def test_a_second_start_makes_nothing_new() -> None:
    assert run() == run()
    assert User.objects.count() == 3


def test_a_password_that_was_reset_stays() -> None:
    run()
    user = User.objects.get(email="demo@example.com")
    user.set_password("another one, much better")
    user.save()
    assert "demo@example.com   with the password that you have set since" in run()
    assert (
        authenticate(username="demo@example.com", password="another one, much better")
        is not None
    )


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_where_strangers_come_there_are_no_public_passwords(
    settings: Any, environment: str
) -> None:
    settings.ENVIRONMENT = environment
    with pytest.raises(CommandError, match="development only"):
        run()
    assert not User.objects.exists()
