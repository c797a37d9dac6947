"""A mail as it is received, how it travels, and what becomes of one that is refused."""

import email.utils
import re
from smtplib import SMTPServerDisconnected

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.core.management import call_command
from django.utils import timezone

from password_reset import services, worker
from password_reset.mail_connection import MailConnection
from password_reset.models import PasswordResetRequest, PasswordResetToken
from tests.tools.factories import UserFactory

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

VISITOR = {"ip_address": "192.0.2.1", "user_agent": "test", "language": "en"}


def ask(address):
    return services.request_reset(address, **VISITOR)


@pytest.fixture
def mailed(smtp, user):
    """The mail that a request brought, as the server received it."""
    ask(user.email)
    return smtp.deliveries[0]


def test_a_mail_says_that_a_program_wrote_it_and_wants_no_holiday_notice(mailed):
    assert mailed.message["Auto-Submitted"] == "auto-generated"
    assert mailed.message["X-Auto-Response-Suppress"] == "All"
    assert email.utils.parsedate_to_datetime(mailed.message["Date"])


def test_a_mail_goes_to_one_person_and_shows_nobody_else(mailed, user):
    assert mailed.recipients == (user.email,)
    assert mailed.message["To"] == user.email
    assert not {"Cc", "Bcc", "Reply-To"} & set(mailed.message.keys())


def test_the_message_id_is_of_our_own_domain_and_stands_on_the_token(mailed, settings):
    message_id = mailed.message["Message-ID"]
    assert message_id.endswith(f"@{settings.DEFAULT_FROM_EMAIL.rpartition('@')[2]}")
    assert PasswordResetToken.objects.get().message_id == message_id


def test_a_sender_with_an_international_domain_writes_a_plain_message_id(
    smtp, settings, user
):
    settings.PASSWORD_RESET_FROM_EMAIL = "Büro <noreply@bücher.example>"
    ask(user.email)
    assert smtp.deliveries[0].message["Message-ID"].endswith("@xn--bcher-kva.example>")
    assert smtp.deliveries[0].sender == "noreply@xn--bcher-kva.example"


def test_no_line_is_longer_than_a_mail_server_must_accept(mailed):
    lines = mailed.message.as_bytes().splitlines()
    assert max(map(len, lines)) <= 998


def test_the_link_stands_whole_in_the_text_as_it_travels(mailed, settings):
    token = mailed.text.partition("token=")[2][:64]
    link = f"{settings.PASSWORD_RESET_BASE_URL}/reset-password?token={token}"
    assert link.encode() in mailed.message.get_body(["plain"]).as_bytes()


def test_text_and_html_carry_the_same_link(mailed, settings):
    links = {part.partition("token=")[2][:64] for part in (mailed.text, mailed.html)}
    assert len(links) == 1
    assert (
        f"{settings.PASSWORD_RESET_BASE_URL}/reset-password?token={links.pop()}"
        in mailed.text
    )


@pytest.mark.parametrize(
    "address", ["Straße@example.com", "質問@example.com", "jürgen@bücher.example"]
)
def test_a_mailbox_beyond_ascii_is_written_to_as_it_is(smtp, address):
    UserFactory(email=address)
    ask(address)
    (delivery,) = smtp.deliveries
    assert delivery.recipients == (address,)
    assert delivery.message["To"] == address
    assert "token=" in delivery.text
    assert "token=" in delivery.html


def test_a_server_that_cannot_write_to_such_a_mailbox_writes_to_nobody_else(smtp):
    smtp.smtputf8 = False
    UserFactory(email="Straße@example.com")
    row = ask("Straße@example.com")
    row.refresh_from_db()
    assert (smtp.deliveries, row.last_error, bool(row.failed_at)) == (
        [],
        "Undeliverable",
        True,
    )


REFUSALS = {
    "450 4.2.1 greylisted": False,
    "451 4.7.1 try later": False,
    "550 no such user here": True,
    "550 5.1.1 no such user": True,
    "550 5.4.1 recipient address rejected": True,
    "552 5.2.2 mailbox full": False,
    "550 5.3.2 system not accepting messages": False,
    "554 5.7.1 relay access denied for 192.0.2.1": False,
}


@pytest.mark.parametrize(("reply", "at_once"), REFUSALS.items())
def test_a_refused_mailbox_is_given_up_at_once_unless_it_can_heal(
    smtp, user, reply, at_once
):
    smtp.replies[user.email] = reply
    row = ask(user.email)
    row.refresh_from_db()
    assert bool(row.failed_at) is at_once
    enhanced = re.findall(r" \d\.\d\.\d", reply)
    assert row.last_error == "".join(["SMTPRecipientsRefused ", reply[:3], *enhanced])


BAD_ADDRESSES = [
    "ada@example.com\nBcc: eve@example.com",
    "ada@example.com\r\nSubject: hello",
    "ada@example.com, eve@example.com",
    "Ada <ada@example.com>",
    "ada",
    "@example.com",
]


@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_a_stored_address_that_cannot_stand_in_a_mail_gets_none(
    smtp, settings, address
):
    victim = UserFactory(email=address)
    settings.PASSWORD_RESET_USER_FINDER = lambda typed: [victim]
    row = ask("ada@example.com")
    row.refresh_from_db()
    assert (smtp.deliveries, row.last_error, bool(row.failed_at)) == (
        [],
        "Undeliverable",
        True,
    )


def test_one_bad_address_of_several_leaves_the_others_their_mail(smtp, settings):
    users = [
        UserFactory(email=address)
        for address in ("ada@example.com\nBcc: e@example.com", "eve@example.com")
    ]
    settings.PASSWORD_RESET_USER_FINDER = lambda typed: users
    row = ask("ada@example.com")
    row.refresh_from_db()
    assert [delivery.recipients for delivery in smtp.deliveries] == [
        ("eve@example.com",)
    ]
    assert (row.mails_sent, row.last_error) == (1, "Undeliverable")


@pytest.mark.parametrize(
    "address", ["o'neil+x@example.com", '"a b"@example.com', "ada@bücher.example"]
)
def test_an_unusual_but_right_address_gets_its_mail(smtp, address):
    UserFactory(email=address)
    ask(address)
    assert len(smtp.deliveries) == 1


def a_message():
    return mail.EmailMessage("Hello", "There", to=["ada@example.com"])


@pytest.fixture
def queue(settings):
    """A way to make rows that wait for `process_due`."""
    settings.PASSWORD_RESET_TASK_BACKEND = None
    return lambda count: [ask(user.email) for user in UserFactory.create_batch(count)]


def test_a_burst_shares_one_connection(smtp, queue):
    queue(12)
    assert services.process_due() == 12
    assert (len(smtp.deliveries), smtp.connections) == (12, 1)


def test_a_worker_sends_a_burst_over_few_connections(smtp, settings, queue):
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
    settings.PASSWORD_RESET_TASK_BACKEND = "default"
    queue(12)
    call_command("db_worker", "--batch")
    assert len(smtp.deliveries) == 12
    assert smtp.connections <= worker.SENDERS


def test_a_connection_that_was_cut_is_made_anew_for_the_same_mail(smtp):
    connection = MailConnection()
    connection.send(a_message())
    smtp.stop()
    smtp.start()
    connection.send(a_message())
    connection.close()
    assert len(smtp.deliveries) == 2


def test_while_no_mail_can_leave_one_row_is_tried_and_the_others_keep_their_attempts(
    smtp, queue
):
    queue(5)
    smtp.stop()
    assert services.process_due() == 1
    assert sorted(PasswordResetRequest.objects.values_list("attempts", flat=True)) == [
        0,
        0,
        0,
        0,
        1,
    ]


def test_one_mailbox_that_asks_for_patience_does_not_stop_the_round(smtp, queue):
    first = queue(3)[0]
    smtp.replies[first.email] = "451 4.7.1 greylisted"
    assert services.process_due() == 3
    assert len(smtp.deliveries) == 2


def test_a_server_that_says_nothing_is_left_after_the_time_out(smtp, settings, user):
    smtp.hold()
    shorten_time_out(settings, 0.3)
    before = timezone.now()
    row = ask(user.email)
    row.refresh_from_db()
    assert (timezone.now() - before).total_seconds() < 5
    assert (row.last_error, row.processed_at, row.failed_at) == (
        "TimeoutError",
        None,
        None,
    )


def test_a_server_that_turned_slow_is_not_sent_the_same_mail_twice_at_once(
    smtp, settings
):
    shorten_time_out(settings, 0.3)
    connection = MailConnection()
    connection.send(a_message())
    smtp.hold()
    with pytest.raises(SMTPServerDisconnected):
        connection.send(a_message())
    smtp.release()
    assert smtp.connections == 1


def shorten_time_out(settings, seconds):
    if hasattr(settings, "MAILERS"):
        settings.MAILERS["default"]["OPTIONS"]["timeout"] = seconds
    else:
        settings.EMAIL_TIMEOUT = seconds


class CannotHangUp(EmailBackend):
    """A host's own back end whose connection breaks at the very end."""

    def close(self):
        raise OSError("broken pipe")


def test_what_goes_wrong_while_hanging_up_is_no_failed_mail(settings, queue):
    if hasattr(settings, "MAILERS"):
        settings.MAILERS = {"default": {"BACKEND": f"{__name__}.CannotHangUp"}}
    else:
        settings.EMAIL_BACKEND = f"{__name__}.CannotHangUp"
    queue(2)
    assert services.process_due() == 2
    assert (len(mail.outbox), PasswordResetRequest.objects.pending().count()) == (2, 0)
