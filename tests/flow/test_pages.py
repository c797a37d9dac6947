"""What every page carries, whatever its status, and what an error page never shows."""

import logging
import re
from datetime import timedelta

import django
import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone
from django.utils.log import AdminEmailHandler

from password_reset import services
from password_reset.models import PasswordResetToken
from tests.tools.factories import NEW_PASSWORD, UserFactory
from tests.tools.walk import ask, call, spend, token_in

pytestmark = pytest.mark.django_db

UNKNOWN = "0" * 64
HEADERS = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "strict-origin",
    "X-Frame-Options": "DENY",
}
INLINE = re.compile(r"<style|\sstyle=|<script(?![^>]*\ssrc=)|\son\w+=")
ASSET = re.compile(
    r'<(?:link|script|img|iframe|form|source)\b[^>]*\b(?:href|src|action|srcset)="([^"]*)"'
)


@pytest.fixture
def raw(client):
    UserFactory(email="ada@example.com")
    ask(client, "ada@example.com")
    services.process_due()
    return token_in(mail.outbox[-1].body)


def look(client, raw):
    return client.get("/reset-password", {"token": raw})


def expired(client, raw, settings):
    PasswordResetToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    return look(client, raw)


def used(client, raw, settings):
    PasswordResetToken.objects.all().void()
    return look(client, raw)


def rate_limited(client, raw, settings):
    settings.PASSWORD_RESET_REQUEST_RATE_PER_IP = "1/h"
    ask(client, "ada@example.com")
    return ask(client, "ada@example.com")


def switched_off(client, raw, settings):
    settings.PASSWORD_RESET_ENABLED = False
    return look(client, raw)


def without_cookies(client, raw, settings):
    return ask(Client(enforce_csrf_checks=True), "ada@example.com")


ANSWERS = {
    "form": (200, lambda client, raw, settings: client.get("/forgot-password")),
    "form with an error": (200, lambda client, raw, settings: ask(client, "nobody")),
    "accepted": (302, lambda client, raw, settings: ask(client, "ada@example.com")),
    "done": (200, lambda client, raw, settings: client.get("/forgot-password/done")),
    "link": (200, lambda client, raw, settings: look(client, raw)),
    "password refused": (200, lambda client, raw, settings: spend(client, raw, "123")),
    "password saved": (302, lambda client, raw, settings: spend(client, raw)),
    "complete": (200, lambda client, raw, settings: client.get("/reset-password/done")),
    "link missing": (200, lambda client, raw, settings: client.get("/reset-password")),
    "link unknown": (404, lambda client, raw, settings: look(client, UNKNOWN)),
    "link expired": (410, expired),
    "link used": (410, used),
    "too many": (429, rate_limited),
    "switched off": (503, switched_off),
    "without cookies": (403, without_cookies),
    "another method": (
        405,
        lambda client, raw, settings: client.delete("/reset-password"),
    ),
}


@pytest.fixture(params=ANSWERS)
def answer(request, client, raw, settings):
    status, provoke = ANSWERS[request.param]
    response = provoke(client, raw, settings)
    assert response.status_code == status
    return response


def test_every_answer_is_kept_by_nobody_framed_by_nobody_and_tells_no_referer(answer):
    assert {name: answer[name] for name in HEADERS} == HEADERS


def test_every_answer_asks_this_site_for_its_parts_and_no_other(answer):
    policy = dict(
        part.split(" ", 1) for part in answer["Content-Security-Policy"].split("; ")
    )
    assert (
        policy["default-src"]
        == policy["base-uri"]
        == policy["frame-ancestors"]
        == "'none'"
    )
    assert (
        policy["script-src"] == policy["style-src"] == policy["form-action"] == "'self'"
    )
    assert [
        target
        for target in ASSET.findall(answer.text)
        if not re.match(r"/(?!/)|data:", target)
    ] == []
    assert not INLINE.search(answer.text)


@pytest.mark.parametrize("state", [expired, used])
def test_a_dead_link_has_a_page_with_a_button_for_a_new_one(
    client, raw, settings, state
):
    page = state(client, raw, settings).text
    assert 'action="/forgot-password"' in page
    assert page.count(raw) == page.count(f'name="token" value="{raw}"') == 1
    assert "ada@example.com" not in page


@pytest.mark.parametrize(
    ("raw", "heading"),
    [
        (UNKNOWN, "This link is too old, or damaged"),
        (UNKNOWN[:-1], "This link is not complete"),
    ],
)
def test_an_unknown_link_is_called_what_it_is(client, raw, heading):
    page = look(client, raw)
    assert page.status_code == 404
    assert f"<h1>{heading}</h1>" in page.text
    assert 'name="email"' in page.text


def test_a_purged_link_is_not_called_incomplete(client, raw):
    PasswordResetToken.objects.update(expires_at=timezone.now() - timedelta(hours=1))
    services.purge(dry_run=False, batch_size=10)
    assert "This link is too old, or damaged" in look(client, raw).text


@pytest.mark.parametrize("state", [rate_limited, switched_off])
def test_who_has_to_wait_has_a_way_back_without_javascript(
    client, raw, settings, state
):
    response = state(client, raw, settings)
    assert f'href="" data-wait="{response["Retry-After"]}"' in response.text
    assert 'href="/login"' in response.text


def test_the_last_page_claims_a_saved_password_only_after_one(client, raw):
    assert "is saved</h1>" not in client.get("/reset-password/done").text
    spend(client, raw)
    assert "is saved</h1>" in client.get("/reset-password/done").text
    assert "is saved</h1>" not in Client().get("/reset-password/done").text


def test_the_mark_of_a_saved_password_is_for_that_page_and_no_script(client, raw):
    mark = spend(client, raw, secure=True).cookies["password_reset_saved"]
    assert (mark["path"], mark["httponly"], mark["secure"]) == (
        "/reset-password/done",
        True,
        True,
    )


def test_the_page_after_a_request_names_no_address_and_knows_the_limits(
    client, raw, settings
):
    settings.PASSWORD_RESET_REQUEST_RATE_PER_IP = "5/h"
    settings.PASSWORD_RESET_REQUEST_RATE_PER_EMAIL = "3/h 10/d"
    page = client.get("/forgot-password/done").text
    assert "ada@example.com" not in page
    assert 'data-rates="5/h 3/h 10/d"' in page


def test_who_has_no_cookies_is_told_what_to_do_and_nothing_happens(raw):
    strict = Client(enforce_csrf_checks=True, headers={"Accept-Language": "en"})
    page = spend(strict, raw)
    assert page.status_code == 403
    assert "Allow cookies for this site" in page.text
    assert not PasswordResetToken.objects.get().used


@pytest.mark.parametrize(
    "path",
    [
        "/forgot-password",
        "/forgot-password/done",
        "/reset-password",
        "/reset-password/done",
    ],
)
def test_switched_off_every_page_says_so_and_when_to_come_back(client, settings, path):
    settings.PASSWORD_RESET_ENABLED = False
    page = client.get(path)
    assert page.status_code == 503
    assert int(page["Retry-After"]) > 0


class Broken:
    """A password validator with a bug; the frames around it hold the secrets."""

    def validate(self, password, user=None):
        raise RuntimeError("cannot judge")

    def get_help_text(self):
        return ""


@pytest.fixture
def broken(settings, client):
    """A bug in the middle of the flow: each answer is an error page."""
    settings.AUTH_PASSWORD_VALIDATORS = [{"NAME": f"{__name__}.Broken"}]
    client.raise_request_exception = False


def spend_in_json(client, raw):
    return call(client, "reset-password", {"token": raw, "password": NEW_PASSWORD})


@pytest.fixture(params=[spend, spend_in_json])
def door(request):
    return request.param


@pytest.mark.usefixtures("broken")
def test_an_error_page_of_development_has_no_token(client, raw, settings, door):
    settings.DEBUG = True
    page = door(client, raw)
    assert page.status_code == 500
    assert "RuntimeError" in page.text
    assert raw not in page.text


@pytest.fixture
def admins(settings):
    """Mail every error to the admins, with the whole page."""
    settings.ADMINS = (
        ["admin@example.com"]
        if django.VERSION >= (6, 0)
        else [("Admin", "admin@example.com")]
    )
    handler = AdminEmailHandler(include_html=True)
    logger = logging.getLogger("django.request")
    logger.addHandler(handler)
    yield
    logger.removeHandler(handler)


def reported():
    """Return all that the newest error mail says."""
    report = mail.outbox[-1]
    assert report.to == ["admin@example.com"]
    return report.subject + report.body + report.alternatives[0][0]


@pytest.mark.usefixtures("broken", "admins")
def test_an_error_mail_has_neither_token_nor_password(client, raw, door):
    door(client, raw)
    assert "RuntimeError" in reported()
    assert raw not in reported()
    assert NEW_PASSWORD not in reported()


@pytest.mark.usefixtures("admins")
def test_an_error_mail_about_an_opened_link_has_no_token(
    client, raw, settings, tmp_path
):
    client.raise_request_exception = False
    template = tmp_path / "password_reset" / "confirm.html"
    template.parent.mkdir()
    template.write_text("{{ form|no_such_filter }}")
    settings.TEMPLATES = [settings.TEMPLATES[0] | {"DIRS": [tmp_path]}]
    client.get(
        "/reset-password",
        {"token": raw},
        headers={"Referer": f"https://www.example.com/?token={raw}"},
    )
    assert "TemplateSyntaxError" in reported()
    assert raw not in reported()
