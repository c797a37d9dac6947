"""The web request does the same for every address: same statements, same counters, same
answer.
"""

import re

import pytest
import redis
from django.db import connection
from django.test import Client

from tests.tools.factories import UserFactory
from tests.tools.walk import ask, call

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESSES = {
    "unknown": "nobody@example.com",
    "known": "known@example.com",
    "inactive": "inactive@example.com",
    "without a usable password": "unusable@example.com",
    "of two accounts": "twice@example.com",
}
#: What may differ between two answers: their own random values, and the time.
CHANGING = re.compile(
    r"csrftoken=\w+|password_reset_request=[^;]+|expires=[^;]+|[0-9a-f]{32}"
    r'|name="csrfmiddlewaretoken" value="\w+"'
)
USERS = re.compile(r"\busers\b|auth_user", re.IGNORECASE)


@pytest.fixture(autouse=True)
def accounts(settings, db):
    """Accounts for all addresses but the unknown one; a queue does the worker's half
    later.
    """
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
    UserFactory(email=ADDRESSES["known"])
    UserFactory(email=ADDRESSES["inactive"], is_active=False)
    UserFactory(email=ADDRESSES["without a usable password"], password=None)
    UserFactory(email=ADDRESSES["of two accounts"])
    UserFactory(email=ADDRESSES["of two accounts"].upper())


class Statements:
    """The text of every statement that this connection sends, and how many values go
    with it.
    """

    def __init__(self):
        self.seen = []

    def __call__(self, execute, sql, params, many, context):
        self.seen.append((sql, len(params or ())))
        return execute(sql, params, many, context)


def through_the_form(email, address):
    return ask(Client(), email, REMOTE_ADDR=address)


def through_the_api(email, address):
    return call(
        Client(), "request-password-reset", {"email": email}, REMOTE_ADDR=address
    )


@pytest.fixture(params=[through_the_form, through_the_api])
def door(request):
    return request.param


def statements_of(door, email, address):
    statements = Statements()
    with connection.execute_wrapper(statements):
        door(email, address)
    return statements.seen


def visible(response):
    """Return all that a visitor can tell of an answer."""
    headers = sorted(
        (name, CHANGING.sub("…", value)) for name, value in response.items()
    )
    return (
        response.status_code,
        headers,
        CHANGING.sub("…", response.text),
        CHANGING.sub("…", response.cookies.output()),
    )


def for_every_address(look):
    """Return what looking brings for each kind of address; each comes from a network of
    its own.
    """
    return {
        kind: look(email, f"198.51.100.{number}")
        for number, (kind, email) in enumerate(ADDRESSES.items())
    }


def all_equal(found):
    return all(value == found["unknown"] for value in found.values())


def test_the_same_statements_run_for_every_address(door):
    found = for_every_address(
        lambda email, address: statements_of(door, email, address)
    )
    assert all_equal(found), found
    assert any("password_reset_requests" in sql for sql, _count in found["known"])


def test_no_statement_names_the_user_table(door):
    found = for_every_address(
        lambda email, address: statements_of(door, email, address)
    )
    assert not [
        sql for seen in found.values() for sql, _count in seen if USERS.search(sql)
    ]


def test_every_address_gets_the_same_answer(door):
    assert all_equal(
        for_every_address(lambda email, address: visible(door(email, address)))
    )


def test_every_address_gets_the_same_answers_in_a_row(door):
    found = for_every_address(
        lambda email, address: [door(email, address).status_code for _ in range(5)]
    )
    assert all_equal(found), found
    assert found["known"][2:] == [found["known"][0], 429, 429]


@pytest.fixture
def commands(own_redis, settings):
    """Return a function that tells how many commands Redis was sent so far."""
    settings.CACHES = {
        "default": settings.CACHES["default"] | {"LOCATION": own_redis.url}
    }
    store = redis.Redis.from_url(own_redis.url)
    return lambda: store.info("stats")["total_commands_processed"]


def test_redis_is_asked_as_often_for_every_address(door, commands):
    def asked(email, address):
        return [commands_of(door, email, address) for _ in range(4)]

    def commands_of(door, email, address):
        before = commands()
        door(email, address)
        return commands() - before

    door("warm@example.com", "203.0.113.1")  # the connection introduces itself once
    found = for_every_address(asked)
    assert all_equal(found), found
    assert found["known"][0] > 0


def test_the_next_page_says_the_same_after_every_address():
    def next_page(email, address):
        client = Client(REMOTE_ADDR=address)
        ask(client, email)
        return visible(client.get("/forgot-password/done"))

    assert all_equal(for_every_address(next_page))
