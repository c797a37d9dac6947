"""The demo's users, and how they are found."""

import pytest
from django.contrib.auth import authenticate

from project.models import User

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]
PASSWORD = "correct horse battery staple"


def test_an_address_logs_in_in_any_case() -> None:
    user = User.objects.create_user("Anna@Example.com", PASSWORD)
    assert authenticate(username="anna@EXAMPLE.com", password=PASSWORD) == user


def test_addresses_that_differ_in_case_open_their_own_accounts() -> None:
    lower = User.objects.create_user("anna@example.com", PASSWORD)
    upper = User.objects.create_user("ANNA@example.com", PASSWORD)
    assert authenticate(username="anna@example.com", password=PASSWORD) == lower
    assert authenticate(username="ANNA@example.com", password=PASSWORD) == upper
    assert authenticate(username="Anna@example.com", password=PASSWORD) is None


def test_an_unknown_address_opens_nothing() -> None:
    assert authenticate(username="nobody@example.com", password=PASSWORD) is None


def test_a_user_without_a_password_cannot_log_in() -> None:
    assert not User.objects.create_user("anna@example.com").has_usable_password()


def test_a_user_needs_an_address() -> None:
    with pytest.raises(ValueError, match="address"):
        User.objects.create_user("")


def test_a_superuser_may_do_everything() -> None:
    user = User.objects.create_superuser("root@example.com", PASSWORD)
    assert (user.is_staff, user.is_superuser, user.has_perm("project.change_user")) == (
        True,
        True,
        True,
    )


def test_names_are_optional() -> None:
    user = User(email="anna@example.com", first_name="Anna")
    assert (str(user), user.get_short_name(), user.get_full_name()) == (
        "anna@example.com",
        "Anna",
        "Anna",
    )
