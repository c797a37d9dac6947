"""The record of each email that was sent, whatever its kind and its provider."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from password_reset import services
from password_reset.deliveries import (
    Delivery,
    PasswordResetDelivery,
    Sent,
    UnknownMessage,
    record,
    remember,
)
from password_reset.mail_connection import _in_numbers
from password_reset.models import PasswordResetNotice, PasswordResetRequest
from tests.tools.factories import NEW_PASSWORD, UserFactory
from tests.tools.staff import NOTICES, REQUESTS, superuser
from tests.tools.walk import ask, mailed_token, spend

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]


def deliveries():
    rows = PasswordResetDelivery.objects.order_by("pk")
    return [(row.kind, row.row_id, row.email) for row in rows]


def test_each_email_of_each_kind_is_recorded(client, user):
    spend(client, mailed_token(client, user.email))
    request, notice = (
        PasswordResetRequest.objects.get(),
        PasswordResetNotice.objects.get(),
    )
    assert deliveries() == [
        ("passwordresetrequest", request.pk, user.email),
        ("passwordresetnotice", notice.pk, user.email),
    ]


def test_the_email_that_explains_is_recorded_too(client):
    user = UserFactory()
    user.set_unusable_password()
    user.save()
    ask(client, user.email)
    row = PasswordResetDelivery.objects.get()
    assert row.message_id == mail.outbox[0].extra_headers["Message-ID"]


def test_an_address_that_nobody_has_leaves_no_record(client):
    ask(client, "nobody@example.com")
    assert deliveries() == []


def test_staff_sees_what_became_of_a_notice(client, user):
    spend(client, mailed_token(client, user.email), NEW_PASSWORD)
    row = PasswordResetDelivery.objects.get(kind="passwordresetnotice")
    record(row.message_id, user.email, Delivery.BOUNCED, timezone.now(), "no_mailbox")
    page = superuser().get(f"{NOTICES}{row.row_id}/change/").content.decode()
    assert "there is no such mailbox" in page


def test_the_panel_says_nothing_of_emails_to_others(client, user):
    """As of an account that shares what was typed, but is not to be seen."""
    ask(client, user.email)
    request = PasswordResetRequest.objects.get()
    remember(request, [Sent("hidden@example.com", "another-message")])
    browser = superuser()
    page = browser.get(f"{REQUESTS}why/", {"q": user.email}).content.decode()
    assert f"took the email to {user.email}" in page
    assert "hidden@example.com" not in page


def test_the_panel_asks_for_all_emails_at_once(client, user):
    for _request in range(3):
        row = PasswordResetRequest.objects.create(email=user.email, mails_sent=1)
        remember(row, [Sent(user.email, f"message-{row.pk}")])
    browser = superuser()
    with CaptureQueriesContext(connection) as queries:
        browser.get(f"{REQUESTS}why/", {"q": user.email})
    asked = [
        one
        for one in queries
        if '"password_reset_deliveries"."row_id" IN' in one["sql"]
    ]
    assert len(asked) == 1


def test_the_record_outlives_its_link_and_goes_with_its_request(client, user, settings):
    ask(client, user.email)
    old = timezone.now() - timedelta(days=2)
    PasswordResetDelivery.objects.update(sent_at=old)
    services.purge()
    assert len(deliveries()) == 1
    PasswordResetDelivery.objects.update(sent_at=old - timedelta(days=29))
    services.purge()
    assert deliveries() == []


def test_one_statement_decides_between_two_events(client, user):
    ask(client, user.email)
    row, now = PasswordResetDelivery.objects.get(), timezone.now()
    with CaptureQueriesContext(connection) as queries:
        assert record(row.message_id, user.email, Delivery.DELIVERED, now)
    assert len([q for q in queries if "UPDATE" in q["sql"]]) == 1
    assert not record(row.message_id, user.email, Delivery.DELIVERED, now)


def test_a_site_without_time_zones_takes_the_provider_s_moments(client, user, settings):
    settings.USE_TZ, settings.TIME_ZONE = False, "Europe/Berlin"
    ask(client, user.email)
    row = PasswordResetDelivery.objects.get()
    at = datetime(2027, 3, 3, 12, tzinfo=UTC)
    assert record(row.message_id, user.email, Delivery.BOUNCED, at)
    assert not record(row.message_id, user.email, Delivery.DELIVERED, at)
    row.refresh_from_db()
    assert row.changed_at == at.replace(hour=13, tzinfo=None)


@pytest.mark.parametrize("message_id", ["", "of-another-app"])
def test_a_message_that_is_not_known_is_told_apart(client, user, message_id):
    ask(client, user.email)
    with pytest.raises(UnknownMessage):
        record(message_id, user.email, Delivery.BOUNCED, timezone.now())


def test_a_record_that_fails_makes_no_second_email(client, user, caplog):
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE password_reset_deliveries RENAME TO away")
    try:
        ask(client, user.email)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE away RENAME TO password_reset_deliveries")
    row = PasswordResetRequest.objects.get()
    assert (len(mail.outbox), bool(row.processed_at), row.mails_sent) == (1, True, 1)


ANSWERS = {
    b"2.0.0 Ok: queued as 4F7AB12C3D": "250 2.0.0 4F7AB12C3D",
    b"OK id=1rQx2a-0003Bq-1D": "250 1rQx2a-0003Bq-1D",
    b"2.0.0 OK  1709467200 ab12-20020a": "250 2.0.0",
    b"OK": "250",
    b"queued as ada@example.com": "250",
    b"Message to \xc3\xa4da@example.com accepted": "250",
}


@pytest.mark.parametrize(("said", "kept"), ANSWERS.items())
def test_of_a_server_s_answer_the_numbers_are_kept(said, kept):
    assert _in_numbers(250, said) == kept


def test_without_anymail_the_app_starts_and_nothing_listens():
    code = (
        "import sys; sys.modules['anymail'] = None\n"
        "import django; django.setup()\n"
        "from password_reset import tracking; tracking.connect()\n"
        "print('fine')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={
            "DJANGO_SETTINGS_MODULE": "benchmarks.sites.ours.settings",
            "PATH": "",
            "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
            "REDIS_URL": "redis://127.0.0.1:1",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": "1",
        },
    )
    assert done.stdout == "fine\n", done.stderr
