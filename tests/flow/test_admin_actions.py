"""What staff may do to rows: void links, try mails again. Each with its permission,
each in the admin's log.
"""

import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.utils import timezone

from password_reset.models import (
    PasswordResetCode,
    PasswordResetNotice,
    PasswordResetRequest,
    PasswordResetToken,
)
from password_reset.outbox import LEASE, MAX_ATTEMPTS
from tests.tools.factories import UserFactory
from tests.tools.staff import (
    NOTICES,
    REQUESTS,
    TOKENS,
    act,
    link_of,
    messages_of,
    staff,
)
from tests.tools.walk import spend

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

VOID = ("view_passwordresettoken", "void_passwordresettoken")
RETRY = ("view_passwordresetrequest", "retry_passwordresetrequest")


@pytest.fixture
def user():
    return UserFactory(email="ada@example.com")


@pytest.fixture
def raw(client, user):
    return link_of(client, user.email)


@pytest.fixture
def token(raw):
    return PasswordResetToken.objects.get()


def request_of(user, **values):
    return PasswordResetRequest.objects.create(email=user.email, **values)


def entries(browser):
    return [
        (entry.get_edited_object(), entry.change_message)
        for entry in LogEntry.objects.filter(user=browser.actor)
    ]


def hidden_fields(response):
    """Return what the form of a page sends along."""
    return dict(
        re.findall(
            r'type="hidden" name="(\w+)" value="([^"]*)"', response.content.decode()
        )
    )


def test_a_voided_link_stops_working(client, raw, token):
    response = act(staff(*VOID), TOKENS, "void", token, confirmed="yes")
    assert messages_of(response) == "1 link was voided."
    assert spend(client, raw).status_code == 410


def test_the_code_of_a_voided_link_stops_working(client, raw, token):
    act(staff(*VOID), TOKENS, "void", token, confirmed="yes")
    assert not PasswordResetCode.objects.usable().exists()


def test_voiding_asks_first(client, raw, token):
    response = act(staff(*VOID), TOKENS, "void", token)
    assert "These links stop working at once" in response.content.decode()
    assert hidden_fields(response)["_selected_action"] == str(token.pk)
    assert spend(client, raw).status_code == 302


def test_each_voided_link_is_in_the_log(token):
    browser = staff(*VOID)
    act(browser, TOKENS, "void", token, confirmed="yes")
    assert entries(browser) == [(token, "Voided: the link stops working.")]


def test_a_link_that_is_spent_already_is_not_voided(client, raw, token):
    spend(client, raw)
    used_at = PasswordResetToken.objects.get().used_at
    browser = staff(*VOID)
    assert (
        messages_of(act(browser, TOKENS, "void", token, confirmed="yes"))
        == "0 links were voided."
    )
    assert (PasswordResetToken.objects.get().used_at, entries(browser)) == (used_at, [])


def test_a_link_that_expired_needs_no_voiding(token):
    PasswordResetToken.objects.update(expires_at=timezone.now())
    response = act(staff(*VOID), TOKENS, "void", token, confirmed="yes")
    assert messages_of(response) == "0 links were voided."


def test_all_links_of_a_list_are_voided_at_once(user):
    later = timezone.now() + timedelta(hours=1)
    PasswordResetToken.objects.bulk_create(
        PasswordResetToken(
            user=user, email=user.email, token_hash=f"{number:064x}", expires_at=later
        )
        for number in range(1100)
    )
    browser, one = staff(*VOID), PasswordResetToken.objects.first()
    asked = act(browser, TOKENS, "void", one, select_across="1")
    told = browser.post(TOKENS, hidden_fields(asked), follow=True)
    assert messages_of(told) == "1100 links were voided."
    assert (PasswordResetToken.objects.usable().count(), LogEntry.objects.count()) == (
        0,
        1100,
    )


@pytest.mark.parametrize(
    ("page", "action"), [(TOKENS, "void"), (REQUESTS, "retry"), (NOTICES, "retry")]
)
def test_looking_is_not_doing(page, action, user, token):
    failed_at = timezone.now()
    request_of(user, failed_at=failed_at)
    PasswordResetNotice.objects.create(user=user, email=user.email, failed_at=failed_at)
    browser = staff(
        "view_passwordresettoken",
        "view_passwordresetrequest",
        "view_passwordresetnotice",
    )
    rows = browser.get(page).context["cl"].result_list
    act(browser, page, action, *rows, confirmed="yes")
    assert PasswordResetToken.objects.usable().count() == 1
    assert PasswordResetRequest.objects.filter(failed_at=failed_at).count() == 1
    assert PasswordResetNotice.objects.filter(failed_at=failed_at).count() == 1


def test_a_mail_that_was_given_up_is_sent_by_a_retry(user):
    row = request_of(
        user, attempts=MAX_ATTEMPTS, failed_at=timezone.now(), last_error="TimeoutError"
    )
    response = act(staff(*RETRY), REQUESTS, "retry", row)
    assert messages_of(response).startswith("1 mail is due at once.")
    assert [message.to for message in mail.outbox] == [["ada@example.com"]]
    row.refresh_from_db()
    assert (row.attempts, row.failed_at, bool(row.processed_at)) == (1, None, True)


def test_a_notice_that_was_given_up_is_sent_by_a_retry(user):
    row = PasswordResetNotice.objects.create(
        user=user, email=user.email, failed_at=timezone.now()
    )
    act(
        staff("view_passwordresetnotice", "retry_passwordresetnotice"),
        NOTICES,
        "retry",
        row,
    )
    assert [message.to for message in mail.outbox] == [["ada@example.com"]]


def test_a_mail_that_waits_for_hours_is_sent_by_a_retry(user):
    row = request_of(
        user,
        attempts=9,
        next_attempt_at=timezone.now() + timedelta(hours=2),
        last_error="TimeoutError",
    )
    act(staff(*RETRY), REQUESTS, "retry", row)
    assert len(mail.outbox) == 1


def test_a_mail_in_a_worker_s_hands_is_not_sent_a_second_time(user):
    row = request_of(user)
    assert PasswordResetRequest.objects.claim(1) == [row]
    response = act(staff(*RETRY), REQUESTS, "retry", row)
    assert messages_of(response).startswith("0 mails are due at once.")
    assert mail.outbox == []


def test_a_mail_whose_worker_died_is_sent_by_a_retry_after_its_lease(user):
    row = request_of(user)
    assert PasswordResetRequest.objects.claim(1) == [row]
    with time_machine.travel(timezone.now() + LEASE + timedelta(seconds=1)):
        act(staff(*RETRY), REQUESTS, "retry", row)
    assert len(mail.outbox) == 1


def test_what_is_sent_is_left_alone(user, token):
    PasswordResetRequest.objects.update(
        next_attempt_at=timezone.now() - timedelta(hours=1)
    )
    response = act(staff(*RETRY), REQUESTS, "retry", PasswordResetRequest.objects.get())
    assert messages_of(response).startswith("0 mails are due at once.")
    assert len(mail.outbox) == 1


def test_a_retry_while_no_mail_leaves_tries_one_and_keeps_the_rest_due(
    user, smtp, settings
):
    rows = [request_of(user, failed_at=timezone.now()) for _ in range(3)]
    smtp.stop()
    act(staff(*RETRY), REQUESTS, "retry", *rows)
    attempts = (
        PasswordResetRequest.objects.pending()
        .order_by("attempts")
        .values_list("attempts", flat=True)
    )
    assert list(attempts) == [0, 0, 1]


def test_each_retry_is_in_the_log(user):
    row, browser = request_of(user, failed_at=timezone.now()), staff(*RETRY)
    act(browser, REQUESTS, "retry", row)
    assert entries(browser) == [(row, "Asked to be tried again at once.")]


def test_nothing_is_retried_while_the_flow_is_switched_off(user, settings):
    settings.PASSWORD_RESET_ENABLED = False
    row = request_of(user, failed_at=timezone.now())
    assert "switched off" in messages_of(act(staff(*RETRY), REQUESTS, "retry", row))
    assert PasswordResetRequest.objects.filter(failed_at__isnull=False).exists()
