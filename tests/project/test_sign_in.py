"""Whoever guesses passwords at the demo's log-in forms is slowed down."""

from datetime import UTC, datetime

import pytest
import time_machine
from django.test import Client

from tests.tools.factories import OLD_PASSWORD, UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

FORMS = ["/login", "/admin/login/"]


def guess(form, network="192.0.2.1", password="a guess"):
    fields = {"username": "ada@example.com", "password": password}
    return Client().post(form, fields, REMOTE_ADDR=network)


@pytest.fixture
def ada(db):
    return UserFactory(email="ada@example.com", is_staff=True)


@pytest.fixture(autouse=True)
def one_minute():
    """All of a test happens within one window of the limit."""
    with time_machine.travel(datetime(2030, 1, 1, tzinfo=UTC), tick=False):
        yield


@pytest.mark.parametrize("form", FORMS)
def test_the_twenty_first_guess_of_a_minute_is_refused(form, ada):
    answers = [guess(form) for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}
    refused = guess(form, password=OLD_PASSWORD)
    assert refused.status_code == 429
    assert 0 < int(refused["Retry-After"]) <= 61
    assert "no-store" in refused["Cache-Control"]
    assert "Please wait a little" in refused.content.decode()


def test_both_forms_count_together(ada):
    for number in range(20):
        guess(FORMS[number % 2])
    assert guess(FORMS[0]).status_code == 429


def test_other_networks_log_in_meanwhile(ada):
    for _ in range(21):
        guess("/login")
    assert guess("/login", "198.51.100.7", OLD_PASSWORD).status_code == 302


def test_who_is_refused_may_still_look_at_the_form(ada):
    for _ in range(21):
        guess("/login")
    assert Client().get("/login", REMOTE_ADDR="192.0.2.1").status_code == 200


def test_staff_get_in_while_redis_is_down(ada, settings, caplog):
    settings.CACHES = {
        "default": settings.CACHES["default"] | {"LOCATION": "redis://127.0.0.1:1/0"}
    }
    assert guess("/admin/login/", password=OLD_PASSWORD).status_code == 302
    assert "Log-ins cannot be counted" in caplog.text
