"""The secret of a link is born in the worker and leaves in the mail: it is found
nowhere else.
"""

import json
import logging

import pytest
import redis
import requests
from django.conf import settings as host
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.db import connection
from django_tasks_db.models import DBTaskResult

from password_reset import services, tokens
from password_reset.models import PasswordResetToken
from tests.tools.people import walk_the_flow

pytestmark = pytest.mark.django_db(transaction=True)

READERS = {
    "string": lambda store, key: store.get(key),
    "hash": lambda store, key: store.hgetall(key),
    "list": lambda store, key: store.lrange(key, 0, -1),
    "set": lambda store, key: store.smembers(key),
    "zset": lambda store, key: store.zrange(key, 0, -1),
}


def fragments(raw):
    """Return what betrays a token: any quarter of it, as text and as the hexadecimal
    form of bytes.
    """
    quarters = [raw[start : start + 16] for start in range(0, 64, 16)]
    return quarters + [quarter.encode().hex() for quarter in quarters]


def betrays(text, raw):
    return any(fragment in text.lower() for fragment in fragments(raw))


def in_the_database(raw):
    """Name the tables with a row, read as text, that holds the secret; sessions are
    unpacked.
    """
    tables = connection.introspection.table_names()
    with connection.cursor() as cursor:
        for table in tables:
            cursor.execute(f'SELECT t::text FROM "{table}" t')
            if any(betrays(row, raw) for (row,) in cursor.fetchall()):
                yield table
    if any(
        betrays(repr(session.get_decoded()), raw) for session in Session.objects.all()
    ):
        yield "django_session, unpacked"


def in_redis(raw):
    """Name the keys that hold the secret, or whose value does."""
    store = redis.Redis.from_url(host.CACHES["default"]["LOCATION"])
    for key in store.scan_iter():
        value = READERS[store.type(key).decode()](store, key)
        if betrays(f"{key} {value}", raw):
            yield f"Redis: {key.decode()}"


def traces(raw, logs=()):
    """Name every place where the secret is found."""
    written = [line for log in logs for line in log.splitlines() if betrays(line, raw)]
    return [*in_the_database(raw), *in_redis(raw), *written]


@pytest.mark.parametrize("worker", ["db_worker", "request_loop"])
def test_after_a_whole_flow_the_secret_is_in_no_table_no_key_and_no_log_with(
    worker, processes, smtp_server, user
):
    environment = smtp_server.environment | {
        "LOG_LEVEL": "debug",
        "METRICS_TOKEN": "a-token-for-the-test-of-metrics",
    }
    site = processes.gunicorn(
        options=("--config", "python:project.gunicorn"), **environment
    )
    works = getattr(processes, worker)(**environment)
    raw = walk_the_flow(site.url, smtp_server, user.email)
    requests.get(
        f"{site.url}/reset-password?token={raw}",
        headers={"Referer": f"{site.url}/?token={raw}"},
        timeout=30,
    )
    metrics = requests.get(
        f"{site.url}/metrics",
        headers={"Authorization": f"Bearer {environment['METRICS_TOKEN']}"},
    )
    works.stop()
    site.stop()
    assert PasswordResetToken.objects.get().token_hash == tokens.digest(raw)
    assert "Password reset completed" in site.log
    assert "/reset-password" in site.log
    assert "Password reset mail attempted" in works.log
    assert traces(raw, [site.log, works.log, metrics.text]) == []


def leak_into_a_column(raw):
    PasswordResetToken.objects.update(message_id=f"<{raw}@example.com>")


def leak_a_part_into_a_column(raw):
    PasswordResetToken.objects.update(user_agent=raw[:40].upper())


def leak_into_a_task(raw):
    DBTaskResult.objects.update(args_kwargs={"args": [raw], "kwargs": {}})


def leak_into_a_session(raw):
    session = SessionStore()
    session["_password_reset_token"] = raw
    session.save()


def leak_into_a_cache_value(raw):
    cache.set("anything", {"link": f"https://example.com/reset-password?token={raw}"})


def leak_into_a_cache_key(raw):
    cache.set(f"attempts:{raw}", 1)


def leak_into_a_hash(raw):
    redis.Redis.from_url(host.CACHES["default"]["LOCATION"]).hset(
        "anything", "token", raw
    )


LEAKS = [
    leak_into_a_column,
    leak_a_part_into_a_column,
    leak_into_a_task,
    leak_into_a_session,
    leak_into_a_cache_value,
    leak_into_a_cache_key,
    leak_into_a_hash,
]


@pytest.fixture
def raw(settings, user):
    """A token whose digest is in its row, and a task in the queue."""
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
    services.request_reset(user.email, ip_address=None, user_agent="", language="en")
    raw = tokens.new_token()
    PasswordResetToken.objects.create(
        user=user,
        email=user.email,
        token_hash=tokens.digest(raw),
        expires_at="2099-01-01T00:00Z",
    )
    return raw


@pytest.mark.parametrize("leak", LEAKS, ids=lambda leak: leak.__name__)
def test_the_search_finds_a_planted(leak, raw):
    assert traces(raw) == []
    leak(raw)
    assert len(traces(raw)) >= 1


@pytest.mark.parametrize(
    "text", ["GET /reset-password?token={}", "{{'args': ['{}']}}", "TOKEN={}"]
)
def test_the_search_finds_a_secret_in_a_log_line(text, raw):
    line = text.format(raw)
    assert traces(raw, [f"one\n{line}\nthree"]) == [line]
    assert traces(raw, [f"one\n{line.upper()}"]) == [line.upper()]


def test_a_log_may_hold_the_first_eight_digits(raw):
    assert traces(raw, [json.dumps({"token": tokens.mask(raw)})]) == []


def test_errors_of_the_mail_server_are_logged_without_the_link(smtp, user, caplog):
    smtp.stop()
    with caplog.at_level(logging.DEBUG):
        services.request_reset(
            user.email, ip_address=None, user_agent="", language="en"
        )
    assert "Password reset mail failed" in caplog.text
    assert not tokens.TOKEN_SHAPE.search(caplog.text)
