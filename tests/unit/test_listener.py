"""A loop is woken by the database, and looks by itself where it cannot be."""

import time

import pytest
from django.db import connection

from password_reset import services, wakeup
from password_reset.listener import Listener
from tests.tools.factories import UserFactory
from tests.tools.servers import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

VISITOR = {"ip_address": "192.0.2.1", "user_agent": "test", "language": "en"}
AN_HOUR = "3600"


@pytest.fixture
def cron_only(settings):
    settings.PASSWORD_RESET_TASK_BACKEND = None


@pytest.fixture
def loop(processes, smtp, cron_only):
    """A worker that would look again in an hour."""
    started = processes.manage(
        "process_reset_requests", "--loop", "--interval", AN_HOUR, **smtp.environment
    )
    started.wait_for_log("Waiting for")
    wait_until(is_listening, lambda: "nobody listens")
    return started


def is_listening():
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_stat_activity WHERE query LIKE 'LISTEN %'")
        return cursor.fetchone() is not None


def test_a_new_row_wakes_the_loop_at_once(loop, smtp):
    user = UserFactory()
    services.request_reset(user.email, **VISITOR)
    assert smtp.wait_for(1)[0].recipients == (user.email,)


def test_a_loop_whose_connection_is_cut_listens_again(loop, smtp):
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE query LIKE 'LISTEN %'"
        )
    wait_until(lambda: not is_listening(), lambda: "it was not cut")
    wait_until(is_listening, lambda: "nobody listens again")


def test_a_loop_that_listens_ends_when_it_is_asked_to(loop):
    assert loop.stop() == 0


def test_listening_takes_no_connection_of_the_pool(cron_only):
    connection.ensure_connection()
    listener = Listener(0.1)
    listener.wait()
    stats = connection.pool.get_stats()
    listener.close()
    assert stats["pool_size"] - stats["pool_available"] == 1  # this thread's


def test_a_burst_of_notifications_is_few_wake_ups(cron_only):
    listener = Listener(0.2)
    listener.wait()
    for _ in range(50):
        wakeup.notify_loop()
    woken = 0
    while lasts_less_than(0.15, listener.wait):
        woken += 1
    listener.close()
    # One, but for a busy machine on which they arrive in several lots.
    assert 1 <= woken <= 10


def lasts_less_than(seconds, act):
    before = time.monotonic()
    act()
    return time.monotonic() - before < seconds


@pytest.mark.sqlite
def test_elsewhere_a_wait_lasts_as_long_as_the_interval():
    if connection.vendor == "postgresql":
        return
    before = time.monotonic()
    Listener(0.1).wait()
    assert time.monotonic() - before >= 0.1
