"""The probes, with real servers that stop, hang and come back."""

import json
import os
import signal
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from time import monotonic
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from password_reset.models import PasswordResetRequest
from tests.tools.processes import Processes
from tests.tools.servers import Postgres, Redis, ask_redis, wait_until

SECRET = "b1946ac92492d2347c6235b4d2611184"
STRANGER = {"REMOTE_ADDR": "203.0.113.9"}


def ask(url: str) -> tuple[int, Any, float]:
    """Return status, JSON body and seconds."""
    started = monotonic()
    try:
        with urllib.request.urlopen(url, timeout=20) as answer:
            return answer.status, json.load(answer), monotonic() - started
    except urllib.error.HTTPError as error:
        return error.code, json.load(error), monotonic() - started


@contextmanager
def hanging(process: Any) -> Iterator[None]:
    """Stop a server in its tracks: it keeps its connections, accepts new ones and says
    nothing.
    """
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


@pytest.fixture
def mute_server() -> Iterator[str]:
    """A server that accepts connections and never says a word, as a dead one behind a
    load balancer.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_a_site_whose_servers_answer_is_ready(client: Client) -> None:
    response = client.get("/health")
    assert response.status_code == 200
    assert response.json() == {"status": "ok", "database": "ok", "cache": "ok"}
    assert "no-store" in response["Cache-Control"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["/health", "/health/live"])
def test_a_balancer_may_ask_by_address_and_without_https(
    client: Client, settings: Any, path: str
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert client.get(path, HTTP_HOST="10.0.0.7:8000").status_code == 200


def test_a_probe_changes_nothing(client: Client) -> None:
    assert client.post("/health/live").status_code == 405


@pytest.mark.django_db(transaction=True)
def test_the_backlog_is_for_callers_with_the_token(
    client: Client, settings: Any
) -> None:
    settings.METRICS_TOKEN = SECRET
    PasswordResetRequest.objects.create(
        email="a@example.com", created_at=timezone.now() - timedelta(minutes=20)
    )
    body = client.get("/health", headers={"Authorization": f"Bearer {SECRET}"}).json()
    assert body["status"] == "ok"  # never a reason to leave the balancer
    assert body["backlog"]["pending"] == 1
    assert 1200 <= body["backlog"]["oldest_seconds"] < 1260


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "header",
    ["", "Bearer ", "Bearer wrong", f"Basic {SECRET}", SECRET, "Bearer \u00e9"],
)
def test_nobody_else_sees_the_backlog(
    client: Client, settings: Any, header: str
) -> None:
    settings.METRICS_TOKEN = SECRET
    assert "backlog" not in client.get("/health", HTTP_AUTHORIZATION=header).json()


@pytest.mark.django_db(transaction=True)
def test_without_a_token_set_an_empty_one_opens_nothing(
    client: Client, settings: Any
) -> None:
    settings.METRICS_TOKEN = ""
    assert "backlog" not in client.get("/health", HTTP_AUTHORIZATION="Bearer ").json()


def test_a_dead_redis_takes_the_site_out_until_it_is_back(
    processes: Processes, own_redis: Redis
) -> None:
    site = processes.gunicorn(REDIS_URL=own_redis.url)
    assert ask(f"{site.url}/health")[0] == 200
    own_redis.kill()
    status, body, seconds = ask(f"{site.url}/health")
    assert (status, body["cache"], body["database"]) == (503, "down", "ok")
    assert seconds < 2
    own_redis.start()
    wait_until(lambda: ask(f"{site.url}/health")[0] == 200, lambda: site.log)


def test_a_full_redis_leaves_the_site_in(
    processes: Processes, own_redis: Redis
) -> None:
    """Or everybody's junk could take it out, for holders of links too."""
    site = processes.gunicorn(REDIS_URL=own_redis.url)
    ask_redis(own_redis.url, "CONFIG SET maxmemory 1")
    status, body, _ = ask(f"{site.url}/health")
    assert (status, body["cache"], body["database"]) == (200, "full", "ok")
    assert "The cache is full" in site.log


def test_a_hanging_redis_is_noticed_within_two_seconds(
    processes: Processes, own_redis: Redis
) -> None:
    site = processes.gunicorn(REDIS_URL=own_redis.url)
    ask(f"{site.url}/health")
    with hanging(own_redis.process):
        answers = [ask(f"{site.url}/health") for _ in range(3)]
        live = ask(f"{site.url}/health/live")
    assert all(
        (status, body["cache"]) == (503, "down") and seconds < 2
        for status, body, seconds in answers
    )
    assert live[0] == 200
    assert live[2] < 1


def test_the_form_answers_within_two_seconds_when_redis_hangs(
    client: Client, own_redis: Redis, settings: Any
) -> None:
    settings.CACHES = {
        "default": settings.CACHES["default"] | {"LOCATION": own_redis.url}
    }
    started = monotonic()
    with hanging(own_redis.process):
        status = client.post("/forgot-password", {"email": "a@example.com"}).status_code
    assert (status, monotonic() - started < 2) == (503, True)


def test_a_dead_database_takes_the_site_out_until_it_is_back(
    processes: Processes, own_postgres: Postgres
) -> None:
    site = processes.gunicorn(DATABASE_URL=own_postgres.url)
    assert ask(f"{site.url}/health")[0] == 200
    own_postgres.kill()
    status, body, seconds = ask(f"{site.url}/health")
    assert (status, body["database"], body["cache"]) == (503, "down", "ok")
    assert seconds < 2
    own_postgres.start()
    wait_until(lambda: ask(f"{site.url}/health")[0] == 200, lambda: site.log)


def test_a_mute_database_is_noticed_within_two_seconds(
    processes: Processes, mute_server: str
) -> None:
    site = processes.gunicorn(
        DATABASE_URL=f"postgres://user:hunter2@{mute_server}/name"
    )
    answers = [ask(f"{site.url}/health") for _ in range(3)]
    assert all(
        (status, body["database"]) == (503, "down") and seconds < 2
        for status, body, seconds in answers
    )
    assert ask(f"{site.url}/health/live")[0] == 200
    assert "hunter2" not in site.log
