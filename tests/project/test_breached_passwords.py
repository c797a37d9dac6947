"""A list of breached passwords as docs/customising.md shows it, against a stand-in of the
service: what it is told, and what becomes of the link when it is away.
"""

import hashlib
import logging
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pwned_passwords_django import api

from tests.tools.factories import NEW_PASSWORD
from tests.tools.walk import call, look, mailed_token, spend

pytestmark = pytest.mark.django_db(transaction=True)

BREACHED = "correct-horse-battery-staple"
COMMON = "django.contrib.auth.password_validation.CommonPasswordValidator"
VALIDATOR = {
    "NAME": "pwned_passwords_django.validators.PwnedPasswordsValidator",
    "OPTIONS": {
        "error_message": "This password is known from a data breach.",
        "help_message": "Not a password that is known from a data breach",
    },
}


def digest(password):
    return hashlib.sha1(password.encode()).hexdigest().upper()


class StandIn(BaseHTTPRequestHandler):
    """What https://api.pwnedpasswords.com/range/ answers, for one breached password."""

    def do_GET(self):
        self.server.asked.append((self.path, dict(self.headers)))
        time.sleep(self.server.pause)
        lines = [f"{digest(BREACHED)[5:]}:3,730", f"{'0' * 35}:0"]
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write("\r\n".join(lines).encode())

    def log_message(self, *args):
        """Say nothing."""


@pytest.fixture
def service(monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    server.asked, server.pause, server.status = [], 0, 200
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}/range/"
    monkeypatch.setattr(api.PwnedPasswords, "api_endpoint", url)
    yield server
    server.shutdown()
    server.server_close()


def slow(server):
    server.pause = 3


def failing(server):
    server.status = 503


def gone(server):
    server.shutdown()
    server.server_close()


@pytest.fixture
def token(client, user, settings):
    settings.AUTH_PASSWORD_VALIDATORS = [
        VALIDATOR if each["NAME"] == COMMON else each
        for each in settings.AUTH_PASSWORD_VALIDATORS
    ]
    settings.PASSWORD_RESET_CONFIRM_RATE_PER_IP = None
    return mailed_token(client, user.email)


def test_a_breached_password_is_refused_and_the_link_works_on(
    client, user, service, token
):
    for _ in range(3):
        answer = spend(client, token, BREACHED)
        assert answer.status_code == 200
        assert "known from a data breach." in answer.content.decode()
    body = {"token": token, "password": BREACHED}
    assert call(client, "reset-password", body).json()["code"] == "weak_password"
    assert spend(client, token).status_code == 302
    user.refresh_from_db()
    assert user.check_password(NEW_PASSWORD)


def test_the_service_is_told_five_digits_of_a_digest_and_asked_once(
    client, service, token
):
    spend(client, token)
    [(path, headers)] = service.asked
    assert path == f"/range/{digest(NEW_PASSWORD)[:5]}"
    assert headers["Add-Padding"] == "true"
    assert digest(NEW_PASSWORD)[5:] not in str(headers)


@pytest.mark.parametrize("trouble", [slow, failing, gone])
def test_without_the_service_a_sound_password_is_saved_and_a_line_is_logged(
    client, user, service, token, trouble, caplog
):
    trouble(service)
    before = time.monotonic()
    assert spend(client, token).status_code == 302
    assert time.monotonic() - before < 3
    user.refresh_from_db()
    assert user.check_password(NEW_PASSWORD)
    said = [
        record
        for record in caplog.records
        if record.name.startswith("pwned_passwords_django")
    ]
    assert {record.levelno for record in said} == {logging.ERROR}
    assert NEW_PASSWORD not in caplog.text


def test_without_the_service_a_common_password_is_still_refused(client, service, token):
    gone(service)
    assert spend(client, token, "1q2w3e4r5t6y7u8i").status_code == 200
    assert spend(client, token).status_code == 302


def test_the_page_says_so(client, service, token):
    assert VALIDATOR["OPTIONS"]["help_message"] in look(client, token).content.decode()
