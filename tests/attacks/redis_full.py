"""Redis at its maxmemory: who holds a link gets through, everybody else is told to wait."""

import requests
from django.core import mail

from password_reset import services
from tests.tools.factories import NEW_PASSWORD, UserFactory
from tests.tools.processes import Processes
from tests.tools.servers import Redis, ask_redis
from tests.tools.walk import token_in

from . import Promise

UNKNOWN = "0" * 64


def link(email: str) -> str:
    """Return the secret of a link to an account."""
    UserFactory(email=email)
    nobody = {"ip_address": None, "user_agent": "", "language": ""}
    services.request_reset(email, **nobody)
    services.process_due()
    return token_in(mail.outbox[-1].body)


def run() -> list[Promise]:
    redis, processes = Redis(), Processes()
    redis.start()
    try:
        raw = link("full@example.com")
        site = processes.gunicorn(workers=1, REDIS_URL=redis.url)
        ask_redis(redis.url, "CONFIG SET maxmemory 1")
        return list(_ask(site.url, raw))
    finally:
        processes.close()
        redis.close()


def _ask(url: str, raw: str) -> list[Promise]:
    def post(name: str, **body: str) -> requests.Response:
        return requests.post(f"{url}/api/auth/{name}", json=body, timeout=30)

    health = requests.get(f"{url}/health", timeout=30)
    asked = post("request-password-reset", email="a@example.com")
    guessed = post("reset-password", token=UNKNOWN, password=NEW_PASSWORD)
    seen = requests.get(f"{url}/reset-password", {"token": raw}, timeout=30)
    spent = post("reset-password", token=raw, password=NEW_PASSWORD)
    return [
        Promise(
            "/health stays 200 and says that the cache is full",
            f"{health.status_code} {health.json()['cache']}",
            (health.status_code, health.json()["cache"]) == (200, "full"),
        ),
        _status("a request is refused", asked, 503),
        _status("an unknown token is refused", guessed, 503),
        _status("a link that works shows its form", seen, 200),
        _status("and sets the password", spent, 200),
    ]


def _status(text: str, answer: requests.Response, expected: int) -> Promise:
    found = answer.status_code
    return Promise(f"{text} ({expected})", str(found), found == expected)
