"""Who has an account? Nobody can tell, whatever breaks behind the pages."""

import re
from contextlib import contextmanager

import django
import psycopg
import pytest
import time_machine
from django.conf import settings as host
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.cache import cache
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection
from django.test import Client

from password_reset.models import PasswordResetRequest
from tests.tools.factories import UserFactory
from tests.tools.processes import database_url
from tests.tools.walk import ask, call

pytestmark = pytest.mark.django_db(transaction=True)

ADA = "ada@example.com"
#: The same address each time: whose accounts it has is all that differs.
ACCOUNTS = {
    "nobody": [],
    "somebody": [{}],
    "somebody inactive": [{"is_active": False}],
    "somebody without a usable password": [{"password": None}],
    "two accounts": [{}, {"email": ADA.upper()}],
}
#: What may differ between two answers to the same question: CSRF's own masks.
MASKS = re.compile(
    rb'name="csrfmiddlewaretoken" value="\w+"|csrftoken=\w+|password_reset_request=[^;]+|expires=[^;]+'
)


def page(client):
    return ask(client, ADA, HTTP_X_REQUEST_ID="the-same-each-time")


def api(client):
    return call(
        client,
        "request-password-reset",
        {"email": ADA},
        HTTP_X_REQUEST_ID="the-same-each-time",
    )


def everything(response):
    """Return all that a visitor sees of an answer."""
    whole = b"\n".join(
        [
            response.serialize_headers(),
            response.cookies.output().encode(),
            response.content,
        ]
    )
    return response.status_code, MASKS.sub(b"...", whole)


def in_a_row(door, accounts):
    """Return the answers to four requests, the counters at zero before."""
    cache.clear()
    get_user_model().objects.all().delete()
    for account in accounts:
        UserFactory(**{"email": ADA} | account)
    with time_machine.travel("2026-11-22T12:00:00Z", tick=False):
        return [everything(door(Client())) for _ in range(4)]


class BrokenBackend(BaseEmailBackend):
    """A mail back end with a bug."""

    def send_messages(self, messages):
        raise RuntimeError("a bug")


def use_mail_backend(settings, path):
    if django.VERSION >= (6, 1):
        settings.MAILERS = {"default": {"BACKEND": path}}
    else:
        settings.EMAIL_BACKEND = path


@contextmanager
def no_insert_into(table):
    """Let the database refuse every new row of a table."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"ALTER TABLE {table} ADD CONSTRAINT nothing_new CHECK (id < 0) NOT VALID"
        )
        try:
            yield
        finally:
            cursor.execute(f"ALTER TABLE {table} DROP CONSTRAINT nothing_new")


class Disasters:
    """What goes wrong behind the pages; each names what the worker notes of it."""

    def mail_server_down(self, smtp, settings, folder):
        smtp.stop()
        return "ConnectionRefusedError"

    def mail_server_refuses(self, smtp, settings, folder):
        smtp.replies["*"] = "550 No such user"
        return "SMTPRecipientsRefused 550"

    def mail_server_busy(self, smtp, settings, folder):
        smtp.replies["*"] = "451 Try later"
        return "SMTPRecipientsRefused 451"

    def mail_back_end_raises(self, smtp, settings, folder):
        use_mail_backend(settings, f"{__name__}.BrokenBackend")
        return "RuntimeError"

    def mail_template_raises(self, smtp, settings, folder):
        template = folder / "password_reset/mail/reset.txt"
        template.parent.mkdir(parents=True)
        template.write_text("{{ link|no_such_filter }}")
        settings.TEMPLATES = [settings.TEMPLATES[0] | {"DIRS": [folder]}]
        return "TemplateSyntaxError"

    def user_finder_raises(self, smtp, settings, folder):
        settings.PASSWORD_RESET_USER_FINDER = lambda email: (
            get_user_model().objects.get(email__iexact=email).no_such
        )
        return "AttributeError"


DISASTERS = sorted(name for name in vars(Disasters) if not name.startswith("_"))


def assert_nobody_can_tell(error):
    """Ask page and endpoint for each kind of account; the worst case, where the request
    does the worker's work itself.
    """
    for door, accepted in ((page, 302), (api, 202)):
        answers = {
            kind: in_a_row(door, accounts) for kind, accounts in ACCOUNTS.items()
        }
        assert [status for status, _ in answers["nobody"]] == [
            accepted,
            accepted,
            accepted,
            429,
        ]
        assert all(seen == answers["nobody"] for seen in answers.values())
    assert PasswordResetRequest.objects.filter(last_error=error).count() >= 12


@pytest.mark.parametrize("disaster", DISASTERS)
def test_what_breaks_the_mail_tells_nobody_who_has_an_account(
    smtp, settings, tmp_path, disaster
):
    assert_nobody_can_tell(getattr(Disasters(), disaster)(smtp, settings, tmp_path))


def test_a_database_that_refuses_new_tokens_tells_nobody_who_has_an_account():
    with no_insert_into("password_reset_tokens"):
        assert_nobody_can_tell("IntegrityError")


def test_nor_does_a_day_when_all_is_well():
    assert_nobody_can_tell("")
    assert len(mail.outbox) == 2 * 3 * (1 + 1 + 2)


@pytest.mark.parametrize("door", [page, api])
def test_a_request_does_not_wait_for_the_tables_of_users_and_tokens(settings, door):
    settings.TASKS = {"default": settings.TASKS["database"]}
    UserFactory(email=ADA)
    with psycopg.connect(database_url()) as other, connection.cursor() as cursor:
        other.execute(
            "LOCK TABLE users, password_reset_tokens IN ACCESS EXCLUSIVE MODE"
        )
        cursor.execute("SET lock_timeout = '1s'")
        assert [door(Client()).status_code for _ in range(4)] in (
            [302, 302, 302, 429],
            [202, 202, 202, 429],
        )


def test_a_request_table_that_refuses_rows_fails_alike_for_everybody(client):
    client.raise_request_exception = False
    answers = []
    with no_insert_into("password_reset_requests"):
        for accounts in ACCOUNTS.values():
            cache.clear()
            get_user_model().objects.all().delete()
            for account in accounts:
                UserFactory(**{"email": ADA} | account)
            answers.append((page(client).status_code, api(client).status_code))
    assert len(set(answers)) == 1


class TestTokens:
    """One answer for every token that opens nothing, whoever it might have been for."""

    @pytest.mark.parametrize(
        "raw", ["0" * 64, "f" * 64, "1-abc-def", "MQ", "", "0" * 63, "../../etc/passwd"]
    )
    def test_unknown_tokens_are_all_alike(self, client, raw):
        with time_machine.travel("2026-11-22T12:00:00Z", tick=False):
            ours, other = (
                call(
                    client,
                    "verify-reset-token",
                    {"token": each},
                    HTTP_X_REQUEST_ID="the-same-each-time",
                )
                for each in (raw or "x", "a" * 64)
            )
        assert everything(ours) == everything(other)

    def test_a_link_names_no_user(self, client):
        person = UserFactory(email=ADA)
        page(client)
        (link,) = re.findall(r"\S*reset-password\?\S*", mail.outbox[0].body)
        assert re.fullmatch(
            rf"{host.PASSWORD_RESET_BASE_URL}/reset-password\?token=[0-9a-f]{{64}}",
            link,
        )
        assert person.email not in link
