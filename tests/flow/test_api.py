"""The JSON endpoints: what they do, and what they refuse before all else."""

import json
import os
import re
import subprocess

import pytest
import time_machine
from django.core import mail
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from prometheus_client import REGISTRY

from password_reset import metrics, services
from password_reset.models import PasswordResetRequest, PasswordResetToken
from tests import ROOT
from tests.tools.factories import NEW_PASSWORD, OLD_PASSWORD, UserFactory
from tests.tools.walk import call, spend, token_in

# Most tests ask for no database, and so show that what they send is refused before any
# table is touched.

ENDPOINTS = {
    "request-password-reset": {"email": "ada@example.com"},
    "verify-reset-token": {"token": "0" * 64},
    "reset-password": {"token": "0" * 64, "password": NEW_PASSWORD},
}
FIELDS = [(endpoint, field) for endpoint, body in ENDPOINTS.items() for field in body]

each_endpoint = pytest.mark.parametrize("endpoint", ENDPOINTS)
each_field = pytest.mark.parametrize(("endpoint", "field"), FIELDS)


@pytest.fixture
def user(db):
    return UserFactory(email="ada@example.com")


def ask(client, email):
    """Ask for a link, let cron do the work, and return the token of the mail."""
    call(client, "request-password-reset", {"email": email})
    services.process_due()
    return token_in(mail.outbox[-1].body)


@pytest.fixture
def token(client, user):
    return ask(client, user.email)


def problem(response):
    """Return the status and code of a problem, having looked at its form."""
    assert response["Content-Type"] == "application/problem+json"
    assert response["Cache-Control"] == "no-store"
    body = response.json()
    assert (body["type"], body["status"]) == ("about:blank", response.status_code)
    assert body["title"] == response.reason_phrase
    assert body["detail"]
    return response.status_code, body["code"]


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_a_client_of_the_json_door_resets_a_password(client):
    user = UserFactory()
    assert (
        call(client, "request-password-reset", {"email": user.email}).status_code == 202
    )
    token = token_in(mail.outbox[-1].body)
    assert call(client, "verify-reset-token", {"token": token}).status_code == 200
    assert (
        call(
            client, "reset-password", {"token": token, "password": NEW_PASSWORD}
        ).status_code
        == 200
    )
    assert Client().login(username=user.email, password=NEW_PASSWORD)


def test_a_request_is_accepted_and_recorded_as_the_apis(client, db):
    response = call(
        client,
        "request-password-reset",
        {"email": " nobody@example.com "},
        headers={"User-Agent": "app/1"},
    )
    assert (response.status_code, list(response.json())) == (202, ["message"])
    row = PasswordResetRequest.objects.get()
    assert (row.email, row.source, row.user_agent) == (
        "nobody@example.com",
        "api",
        "app/1",
    )


def test_a_live_token_is_valid_until_its_hour_is_over(client, token):
    body = call(client, "verify-reset-token", {"token": token}).json()
    expires_at = PasswordResetToken.objects.get().expires_at
    assert body == {
        "valid": True,
        "expires_at": expires_at.isoformat(timespec="milliseconds").replace(
            "+00:00", "Z"
        ),
    }


def test_looking_at_a_token_changes_nothing(client, token):
    before = PasswordResetToken.objects.values().get()
    assert {
        call(client, "verify-reset-token", {"token": token}).status_code
        for _ in range(20)
    } == {200}
    assert PasswordResetToken.objects.values().get() == before


def test_a_reset_ends_sessions_and_says_how_many(client, user, token):
    Client().login(username=user.email, password=OLD_PASSWORD)
    response = call(
        client, "reset-password", {"token": token, "password": NEW_PASSWORD}
    )
    assert sorted(response.json()) == ["message", "sessions_deleted"]
    assert response.json()["sessions_deleted"] == 1


def test_nobody_is_logged_in_and_no_cookie_is_set(client, token):
    responses = [call(client, endpoint, body) for endpoint, body in ENDPOINTS.items()]
    responses.append(
        call(client, "reset-password", {"token": token, "password": NEW_PASSWORD})
    )
    assert not any(
        response.cookies or "Cookie" in response.get("Vary", "")
        for response in responses
    )


def test_no_csrf_token_is_asked_for_since_there_is_no_cookie_to_abuse(db):
    strict = Client(enforce_csrf_checks=True)
    assert (
        call(strict, "request-password-reset", {"email": "ada@example.com"}).status_code
        == 202
    )


def test_a_weak_password_is_explained_and_leaves_the_token_usable(client, token):
    weak = call(client, "reset-password", {"token": token, "password": "12345"})
    assert problem(weak) == (400, "weak_password")
    assert len(weak.json()["errors"]) == 4
    assert (
        call(
            client, "reset-password", {"token": token, "password": NEW_PASSWORD}
        ).status_code
        == 200
    )


@pytest.mark.parametrize("endpoint", ["verify-reset-token", "reset-password"])
class TestDeadToken:
    def test_unknown(self, client, db, endpoint):
        assert problem(call(client, endpoint, ENDPOINTS[endpoint])) == (
            404,
            "token_invalid",
        )

    def test_expired(self, client, token, endpoint):
        with time_machine.travel(
            timezone.now() + timezone.timedelta(hours=1), tick=False
        ):
            response = call(
                client, endpoint, {"token": token, "password": NEW_PASSWORD}
            )
        assert problem(response) == (410, "token_expired")

    def test_used(self, client, token, endpoint):
        call(client, "reset-password", {"token": token, "password": NEW_PASSWORD})
        response = call(client, endpoint, {"token": token, "password": NEW_PASSWORD})
        assert problem(response) == (410, "token_used")

    @pytest.mark.parametrize(
        "raw", ["A" * 64, "0" * 63, "0" * 65, "z" * 64, "0" * 64 + "\n", "٣" * 64, "é"]
    )
    def test_not_a_token_at_all(self, client, endpoint, raw):
        response = call(client, endpoint, {"token": raw, "password": NEW_PASSWORD})
        assert problem(response) == (404, "token_invalid")


NOT_A_TEXT = [
    None,
    True,
    False,
    0,
    1,
    -1.5,
    1e308,
    [],
    {},
    ["ada@example.com"],
    [["ada@example.com"]],
    {"0": "a"},
]
BAD_TEXTS = ["", "\x00", "0" * 64 + "\x00", "\ud800"]


@each_field
@pytest.mark.parametrize(
    "value", NOT_A_TEXT + BAD_TEXTS, ids=lambda value: repr(value)[:20]
)
def test_a_field_that_is_no_sound_text_is_refused(client, endpoint, field, value):
    assert problem(call(client, endpoint, ENDPOINTS[endpoint] | {field: value})) == (
        400,
        "invalid_request",
    )


@each_field
def test_a_missing_field_is_refused(client, endpoint, field):
    body = {name: value for name, value in ENDPOINTS[endpoint].items() if name != field}
    assert problem(call(client, endpoint, body)) == (400, "invalid_request")


@each_field
def test_a_key_that_comes_twice_is_refused(client, endpoint, field):
    body = json.dumps(ENDPOINTS[endpoint])[:-1] + f', "{field}": "evil@example.com"}}'
    assert problem(call(client, endpoint, body)) == (400, "invalid_request")
    escaped = body.replace(f', "{field}"', f', "\\u{ord(field[0]):04x}{field[1:]}"')
    assert problem(call(client, endpoint, escaped)) == (400, "invalid_request")


BAD_BODIES = {
    "empty": b"",
    "white space": b" \n",
    "cut off": b'{"email": "ada@exam',
    "two objects": b"{}{}",
    "a text": b'"ada@example.com"',
    "a list": b'[{"email": "ada@example.com"}]',
    "null": b"null",
    "NaN": b'{"email": NaN}',
    "a BOM": b'\xef\xbb\xbf{"email": "ada@example.com"}',
    "UTF-16": '{"email": "ada@example.com"}'.encode("utf-16"),
    "not UTF-8": b'{"email": "\xff@example.com"}',
    "a raw surrogate": b'{"email": "\xed\xa0\x80@example.com"}',
    "a raw newline": b'{"email": "ada\n@example.com"}',
    "a form": b"email=ada%40example.com",
    "deeply nested": b'{"email":' * 1500 + b"1" + b"}" * 1500,
    "deep lists": b"[" * 15_000,
    "a long number": b'{"email": ' + b"9" * 15_000 + b"}",
    "zeros": bytes(100),
}


@each_endpoint
@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_a_body_that_is_no_json_object_is_refused(client, endpoint, body):
    assert problem(call(client, endpoint, body)) == (400, "invalid_request")


@each_endpoint
@pytest.mark.parametrize("body", [b" " * 16_385, b'{"email": "' + b"a" * 1_000_000])
def test_a_body_over_16_kib_is_refused(client, endpoint, body):
    assert problem(call(client, endpoint, body)) == (413, "invalid_request")


def test_a_sound_password_may_hold_anything_else(client, user, token):
    long = "".join(chr(0x4E00 + 3 * number) for number in range(2500))
    strange = "\n\t \U0001f511 \u202e ﬀ\u0301 " + long
    assert (
        call(
            client, "reset-password", {"token": token, "password": strange}
        ).status_code
        == 200
    )
    assert Client().login(username=user.email, password=strange)


@each_endpoint
@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "application/problem+json",
        "application/jsonx",
        "",
    ],
)
def test_another_media_type_is_refused(client, endpoint, media_type):
    response = call(client, endpoint, ENDPOINTS[endpoint], media_type=media_type)
    assert problem(response) == (415, "unsupported_media_type")


@pytest.mark.parametrize(
    "media_type",
    ["application/json; charset=utf-8", "Application/JSON", "application/json;q"],
)
def test_parameters_and_case_of_the_media_type_do_not_matter(client, db, media_type):
    body = ENDPOINTS["request-password-reset"]
    assert (
        call(client, "request-password-reset", body, media_type=media_type).status_code
        == 202
    )


@each_endpoint
@pytest.mark.parametrize(
    "method", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "POTS"]
)
def test_another_method_is_refused(client, endpoint, method):
    response = client.generic(
        method,
        f"/api/auth/{endpoint}",
        json.dumps(ENDPOINTS[endpoint]),
        "application/json",
    )
    assert problem(response) == (405, "method_not_allowed")
    assert response["Allow"] == "POST"


@each_endpoint
def test_head_is_refused_too(client, endpoint):
    assert client.head(f"/api/auth/{endpoint}").status_code == 405


@each_endpoint
def test_a_trailing_slash_makes_no_difference(client, db, endpoint):
    answers = [
        call(client, path, ENDPOINTS[endpoint]) for path in (endpoint, f"{endpoint}/")
    ]
    assert answers[0].content == answers[1].content


@each_endpoint
def test_switched_off_it_is_unavailable_and_does_nothing(
    client, token, settings, endpoint
):
    settings.PASSWORD_RESET_ENABLED = False
    response = call(
        client,
        endpoint,
        {"email": "ada@example.com", "token": token, "password": NEW_PASSWORD},
    )
    assert problem(response) == (503, "unavailable")
    assert response["Retry-After"] == str(response.json()["retry_after"]) == "60"
    assert PasswordResetRequest.objects.count() == 1
    assert not PasswordResetToken.objects.filter(used=True).exists()


def test_sentences_come_in_the_language_that_is_asked_for(client):
    response = call(client, "verify-reset-token", {}, headers={"Accept-Language": "de"})
    assert response["Content-Language"] == "de"
    assert "Accept-Language" in response["Vary"]


def test_a_single_page_client_gets_links_to_its_own_page(client, user, settings):
    settings.PASSWORD_RESET_LINK_TEMPLATE = (
        "https://app.example.com/#/reset?token={token}"
    )
    token = ask(client, user.email)
    text, html = mail.outbox[-1].body, mail.outbox[-1].alternatives[0].content
    assert all(
        f"https://app.example.com/#/reset?token={token}" in part
        for part in (text, html)
    )
    assert "/reset-password?token=" not in text + html
    assert (
        call(
            client, "reset-password", {"token": token, "password": NEW_PASSWORD}
        ).status_code
        == 200
    )


def count_of(status):
    return metrics.requests_total.labels(status=status)._value.get()


@pytest.mark.parametrize(
    ("status", "body", "media_type"),
    [
        ("accepted", {"email": "ada@example.com"}, "application/json"),
        ("invalid", {"email": "ada"}, "application/json"),
        ("invalid", {"email": 1}, "application/json"),
        ("invalid", "{", "application/json"),
        ("invalid", {"email": "ada@example.com"}, "text/plain"),
    ],
)
def test_each_request_for_a_link_is_counted_once(client, db, status, body, media_type):
    before = count_of(status)
    call(client, "request-password-reset", body, media_type=media_type)
    assert count_of(status) == before + 1


def test_requests_that_find_the_door_closed_are_counted(client, db, settings):
    settings.PASSWORD_RESET_ENABLED = False
    before = count_of("unavailable")
    call(client, "request-password-reset", {"email": "ada@example.com"})
    assert count_of("unavailable") == before + 1


DOCUMENT = ROOT / "docs" / "api.md"
CURL = re.compile(r"^\$ (curl (?:.*\\\n)*.*)\n(.*)", re.MULTILINE)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")


def test_the_lines_of_the_document_work_as_they_stand(processes, smtp_server):
    UserFactory(email="test@example.com")
    site = processes.gunicorn(**smtp_server.environment)
    processes.db_worker(**smtp_server.environment)
    environment = os.environ.copy()
    for command, answer in CURL.findall(DOCUMENT.read_text()):
        if "$TOKEN" in command:
            environment["TOKEN"] = token_in(smtp_server.wait_for(1)[0].text)
        line = command.replace("https://api.yourapp.com", site.url)
        done = subprocess.run(
            ["bash", "-c", line], env=environment, capture_output=True, text=True
        )
        assert MOMENT.sub("...", done.stdout) == MOMENT.sub("...", answer), done.stderr


def spend_by_api(client, token):
    return call(client, "reset-password", {"token": token, "password": NEW_PASSWORD})


@pytest.mark.parametrize("first_to_fail", ["SELECT", "UPDATE"])
@pytest.mark.parametrize("through", [spend, spend_by_api])
def test_an_outage_in_the_middle_of_a_reset_is_counted_once_and_leaves_the_link(
    client, token, through, first_to_fail
):
    def fail(execute, sql, params, many, context):
        if sql.startswith(first_to_fail):
            raise OperationalError("the server closed the connection unexpectedly")
        return execute(sql, params, many, context)

    name = "password_reset_database_errors_total"
    before = REGISTRY.get_sample_value(name)
    with connection.execute_wrapper(fail):
        refused = through(client, token)
    assert refused.status_code == 503
    assert REGISTRY.get_sample_value(name) == before + 1
    assert spend_by_api(client, token).status_code == 200
