"""The lists' filters, and what a row says of itself."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from password_reset.deliveries import Delivery, Sent, record, remember
from password_reset.models import (
    PasswordResetNotice,
    PasswordResetRequest,
    PasswordResetToken,
    UserSession,
)
from password_reset.outbox import HELD
from tests.tools.factories import OLD_PASSWORD, UserFactory
from tests.tools.staff import NOTICES, REQUESTS, SESSIONS, TOKENS, link_of, superuser

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

LISTS = [REQUESTS, TOKENS, NOTICES, SESSIONS]
FIREFOX = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0"
)


@pytest.fixture
def user():
    return UserFactory(email="ada@example.com")


def found(page, browser=None, **query):
    browser = browser or superuser()
    return list(browser.get(page, query).context["cl"].result_list)


def asked(**values):
    return PasswordResetRequest.objects.create(email="ada@example.com", **values)


def test_requests_for_addresses_that_nobody_has():
    now = timezone.now()
    nobody = asked(processed_at=now)
    asked(processed_at=now, mails_sent=1)
    asked(processed_at=now, last_error=HELD)
    asked()
    assert found(REQUESTS, state="nobody") == [nobody]


@pytest.mark.parametrize("page", [REQUESTS, NOTICES])
def test_rows_are_filtered_by_what_was_reported_of_their_emails(page, user):
    rows = {}
    for state in (Delivery.BOUNCED, Delivery.DELIVERED, Delivery.ACCEPTED):
        row = (
            asked()
            if page == REQUESTS
            else PasswordResetNotice.objects.create(user=user, email=user.email)
        )
        remember(row, [Sent(user.email, f"of-{state}")])
        record(f"of-{state}", user.email, state, timezone.now())
        rows[state] = row
    assert found(page, delivery="bounced") == [rows[Delivery.BOUNCED]]
    assert found(page, delivery="delivered") == [rows[Delivery.DELIVERED]]
    assert len(found(page, delivery="unheard-of")) == 3


def test_a_report_on_another_kind_of_row_is_not_taken_for_one_s_own(user):
    notice = PasswordResetNotice.objects.create(user=user, email=user.email)
    asked(pk=notice.pk)
    remember(notice, [Sent(user.email, "one")])
    record("one", user.email, Delivery.BOUNCED, timezone.now())
    assert found(REQUESTS, delivery="bounced") == []


@pytest.mark.parametrize("page", LISTS)
def test_rows_are_filtered_by_date(page, client, user):
    link_of(client, user.email)
    PasswordResetNotice.objects.create(user=user, email=user.email)
    UserSession.objects.create(user=user, session_key="one")
    browser = superuser()
    model = found(page, browser)[0]._meta.model
    week_ago = timezone.now() - timedelta(days=7)
    assert found(page, browser, created_at__gte=week_ago)
    model.objects.update(created_at=week_ago - timedelta(days=1))
    assert found(page, browser, created_at__gte=week_ago) == []
    assert "Past 7 days" in browser.get(page).content.decode()


def test_what_is_settled_shows_no_future_attempt(user):
    later = timezone.now() + timedelta(minutes=4)
    rows = [
        asked(processed_at=timezone.now(), mails_sent=1, next_attempt_at=later),
        asked(failed_at=timezone.now(), next_attempt_at=later),
        asked(attempts=1, next_attempt_at=later),
    ]
    shown = [superuser().get(f"{REQUESTS}{row.pk}/change/") for row in rows]
    field = [
        page.content.decode()
        .partition("field-next_attempt")[2]
        .partition('class="readonly">')[2]
        .partition("<")[0]
        for page in shown
    ]
    assert (field[0], field[1]) == ("-", "-")
    assert field[2] not in {"-", ""}


def test_a_log_in_is_told_by_its_browser_and_time(client, user):
    typed = {"username": user.email, "password": OLD_PASSWORD}
    assert client.post("/login", typed, HTTP_USER_AGENT=FIREFOX).status_code == 302
    assert "Firefox · Windows" in superuser().get(SESSIONS).content.decode()


def test_the_list_says_the_trouble_below_the_state():
    asked(failed_at=timezone.now(), last_error="SMTPAuthenticationError 535")
    text = superuser().get(REQUESTS).content.decode()
    assert "<div>given up</div><div>the mail provider refuses our user name" in text


def test_a_spent_link_is_not_usable(client, user):
    link_of(client, user.email)
    token = PasswordResetToken.objects.get()
    assert token.is_usable
    token.used_at = timezone.now()
    assert not token.is_usable


@pytest.mark.skipif(connection.vendor != "postgresql", reason="concurrent indexes")
@pytest.mark.django_db(transaction=True)
def test_an_index_that_was_left_half_built_is_built_anew():
    from django.core.management import call_command  # noqa: PLC0415

    call_command("migrate", "password_reset", "0011", verbosity=0)
    name = "idx_password_reset_tokens_created_at"
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE INDEX {name} ON password_reset_tokens (created_at)")
    call_command("migrate", "password_reset", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = %s::regclass", [name]
        )
        assert cursor.fetchall() == [(True,)]
