"""No accepted request is lost: whatever the bell, the mail server or the worker do, the
row is the truth.
"""

from datetime import timedelta
from functools import partial

import django
import pytest
import time_machine
from django.contrib.auth import authenticate
from django.core.management import call_command
from django.utils import timezone
from prometheus_client import REGISTRY

from password_reset import services
from password_reset.models import PasswordResetNotice, PasswordResetRequest
from password_reset.outbox import FIRST_PAUSE, LEASE, MAX_ATTEMPTS
from password_reset.signals import reset_mail_failed
from tests.tools.factories import NEW_PASSWORD, UserFactory
from tests.tools.outbox import let_leases_end, mails
from tests.tools.walk import token_in

if django.VERSION >= (6, 0):
    from django.tasks.backends.immediate import ImmediateBackend
else:
    from django_tasks.backends.immediate import ImmediateBackend

pytestmark = pytest.mark.django_db(transaction=True)

VISITOR = {"ip_address": "192.0.2.1", "user_agent": "test"}
DATABASE_QUEUE = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}


class LosesEverySecond(ImmediateBackend):
    """A broker that takes every task and forgets half of them."""

    taken = 0

    def _execute_task(self, task_result):
        type(self).taken += 1
        if type(self).taken % 2:
            super()._execute_task(task_result)


class IsDown(ImmediateBackend):
    """A broker that cannot be reached."""

    def enqueue(self, *args, **kwargs):
        raise ConnectionRefusedError("no broker here")


def bell(name):
    return {"TASKS": {"default": {"BACKEND": f"{__name__}.{name}"}}}


def ask(email):
    return services.request_reset(email, language="en", **VISITOR)


def recipients(smtp):
    return sorted(mails(smtp).elements())


def failed_mails():
    return REGISTRY.get_sample_value("password_reset_email_failures_total")


BELLS = {
    "Immediate": ({}, None),
    "a database queue with a worker": (
        {"TASKS": DATABASE_QUEUE},
        partial(call_command, "db_worker", "--batch"),
    ),
    "no queue at all": ({"PASSWORD_RESET_TASK_BACKEND": None}, None),
    "a broker that loses every second task": (bell("LosesEverySecond"), None),
    "a broker that is down": (bell("IsDown"), None),
}


@pytest.mark.sqlite
@pytest.mark.parametrize("situation", BELLS)
def test_every_request_becomes_one_mail_with(situation, settings, smtp):
    overrides, work = BELLS[situation]
    for name, value in overrides.items():
        setattr(settings, name, value)
    users = UserFactory.create_batch(6)
    for user in users:
        ask(user.email)
    if work:
        work()
    call_command("process_reset_requests")
    assert recipients(smtp) == sorted(user.email for user in users)
    assert not PasswordResetRequest.objects.pending().exists()


@pytest.mark.sqlite
@pytest.mark.parametrize(
    "situation", ["a database queue with a worker", "no queue at all"]
)
def test_no_mail_leaves_inside_the_request_with(
    situation, settings, smtp, client, user
):
    for name, value in BELLS[situation][0].items():
        setattr(settings, name, value)
    assert client.post("/forgot-password", {"email": user.email}).status_code == 302
    assert smtp.deliveries == []


@pytest.mark.sqlite
def test_a_broker_that_is_down_is_no_error_for_the_visitor(settings, client, user):
    settings.TASKS = bell("IsDown")["TASKS"]
    assert client.post("/forgot-password", {"email": user.email}).status_code == 302
    assert PasswordResetRequest.objects.due().count() == 1


@pytest.fixture
def mail_server_down(smtp):
    smtp.stop()
    return smtp


@pytest.mark.sqlite
def test_a_mail_server_that_is_down_delays_the_mail(mail_server_down, user):
    row = ask(user.email)
    mail_server_down.start()
    assert services.process_due() == 0
    with time_machine.travel(timezone.now() + FIRST_PAUSE * 1.3):
        assert services.process_due() == 1
    row.refresh_from_db()
    assert recipients(mail_server_down) == [user.email]
    assert (row.attempts, row.mails_sent, row.last_error) == (2, 1, "")
    assert row.processed_at


@pytest.mark.sqlite
@pytest.mark.parametrize(("attempts", "seconds"), [(1, 15), (5, 240), (11, 7200)])
def test_each_failure_waits_longer_than_the_one_before(
    mail_server_down, settings, user, attempts, seconds
):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    row = ask(user.email)
    PasswordResetRequest.objects.update(attempts=attempts - 1)
    with time_machine.travel(timezone.now(), tick=False):
        services.process_due()
        row.refresh_from_db()
        pause = (row.next_attempt_at - timezone.now()).total_seconds()
    assert seconds * 0.8 <= pause <= seconds * 1.2


@pytest.fixture
def announced():
    """What receivers of `reset_mail_failed` were told."""
    told = []

    def listen(sender, **arguments):
        told.append((sender, arguments["row"].pk, arguments["reason"]))

    reset_mail_failed.connect(listen)
    yield told
    reset_mail_failed.disconnect(listen)


@pytest.mark.sqlite
def test_after_twelve_attempts_in_about_six_hours_a_request_is_given_up(
    mail_server_down, announced, user
):
    before, asked_at = failed_mails(), timezone.now()
    with time_machine.travel(asked_at, tick=False) as clock:
        row = ask(user.email)
        for _attempt in range(MAX_ATTEMPTS - 1):
            row.refresh_from_db()
            clock.move_to(row.next_attempt_at)
            assert services.process_due() == 1
        took = timezone.now() - asked_at
    row.refresh_from_db()
    assert (row.attempts, row.processed_at, row.last_error) == (
        12,
        None,
        "ConnectionRefusedError",
    )
    assert row.failed_at
    assert timedelta(hours=4) < took < timedelta(hours=8)
    assert announced == [(PasswordResetRequest, row.pk, "ConnectionRefusedError")]
    assert failed_mails() - before == 12


@pytest.mark.sqlite
def test_a_request_that_is_given_up_is_left_alone(mail_server_down, user):
    ask(user.email)
    PasswordResetRequest.objects.get().mark_failed("ConnectionRefusedError")
    mail_server_down.start()
    let_leases_end()
    assert services.process_due() == 0
    assert mail_server_down.deliveries == []


@pytest.mark.sqlite
@pytest.mark.parametrize(
    ("reply", "given_up"),
    [
        ("550 5.1.1 No such user", True),
        ("550 5.7.1 Not yet", False),
        ("451 Later", False),
    ],
)
def test_only_a_mailbox_that_does_not_exist_is_given_up_at_once(
    smtp, user, announced, reply, given_up
):
    smtp.replies[user.email] = reply
    row = ask(user.email)
    row.refresh_from_db()
    assert bool(row.failed_at) == bool(announced) == given_up
    assert PasswordResetRequest.objects.pending().exists() != given_up


@pytest.mark.sqlite
def test_a_row_whose_last_attempt_crashed_is_given_up_once(settings, user, announced):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    row = ask(user.email)
    before = failed_mails()
    PasswordResetRequest.objects.update(
        attempts=MAX_ATTEMPTS, next_attempt_at=timezone.now()
    )
    assert [services.process_due(), services.process_due()] == [0, 0]
    row.refresh_from_db()
    assert (bool(row.failed_at), row.last_error) == (True, "crashed")
    assert announced == [(PasswordResetRequest, row.pk, "crashed")]
    assert failed_mails() - before == 1


@pytest.fixture
def namesakes(db):
    """Two users whose addresses differ in case alone: one request is for both."""
    return [
        UserFactory(email=email) for email in ("ada@example.com", "ADA@example.com")
    ]


@pytest.mark.sqlite
def test_who_was_mailed_by_a_request_is_not_mailed_again_by_it(smtp, namesakes):
    smtp.replies["ADA@example.com"] = "451 Later"
    row = ask("ada@example.com")
    assert recipients(smtp) == ["ada@example.com"]
    smtp.replies.clear()
    let_leases_end()
    services.process_due()
    row.refresh_from_db()
    assert recipients(smtp) == ["ADA@example.com", "ada@example.com"]
    assert (row.mails_sent, bool(row.processed_at)) == (2, True)


@pytest.mark.sqlite
def test_one_mailbox_that_refuses_does_not_keep_the_mail_from_its_namesake(
    smtp, namesakes
):
    smtp.replies["ada@example.com"] = "451 Later"
    ask("ada@example.com")
    assert recipients(smtp) == ["ADA@example.com"]


@pytest.mark.sqlite
def test_switched_off_nothing_is_claimed_and_nothing_is_lost(smtp, settings, user):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    row = ask(user.email)
    settings.PASSWORD_RESET_ENABLED = False
    assert services.process_due() == 0
    row.refresh_from_db()
    assert (row.attempts, smtp.deliveries) == (0, [])
    settings.PASSWORD_RESET_ENABLED = True
    assert services.process_due() == 1


@pytest.mark.sqlite
def test_a_task_that_rings_while_switched_off_leaves_the_row_due(smtp, settings, user):
    settings.PASSWORD_RESET_ENABLED = False
    ask(user.email)
    assert (smtp.deliveries, PasswordResetRequest.objects.due().count()) == ([], 1)


@pytest.mark.sqlite
def test_a_notice_of_a_change_survives_an_outage_too(smtp, settings, user):
    ask(user.email)
    raw = token_in(smtp.deliveries[0].text)
    smtp.stop()
    services.reset_password(raw, NEW_PASSWORD, **VISITOR)
    smtp.start()
    PasswordResetNotice.objects.update(next_attempt_at=timezone.now())
    assert services.process_due() == 1
    assert "password" in smtp.deliveries[1].message["Subject"].lower()


@pytest.mark.sqlite
def test_a_worker_that_lost_its_lease_changes_nothing_of_its_successor_s_attempt(
    settings, user
):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    ask(user.email)
    [slow] = PasswordResetRequest.objects.claim(1)
    let_leases_end()
    [successor] = PasswordResetRequest.objects.claim(1)
    before = PasswordResetRequest.objects.values().get()
    assert not any(
        [
            slow.renew_lease(),
            slow.retry_later("late"),
            slow.mark_failed("late"),
            slow.mark_processed(),
        ]
    )
    assert PasswordResetRequest.objects.values().get() == before
    assert successor.mark_processed()


@pytest.mark.sqlite
def test_a_row_is_given_up_by_one_of_two_who_find_it_exhausted(settings, user):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    row = ask(user.email)
    first, second = (PasswordResetRequest.objects.get(pk=row.pk) for _ in range(2))
    assert [first.mark_failed("crashed"), second.mark_failed("crashed")] == [
        True,
        False,
    ]


@pytest.mark.parametrize("kind", ["db_worker", "request_loop"])
def test_after_kill_9_in_the_middle_of_a_mail_it_comes_when_the_lease_is_over(
    kind, smtp, processes, settings, user
):
    settings.TASKS = DATABASE_QUEUE
    smtp.hold()
    victim = getattr(processes, kind)(**smtp.environment)
    row = ask(user.email)
    assert smtp.held.wait(60)
    victim.kill()
    smtp.release()
    row.refresh_from_db()
    assert timezone.now() < row.next_attempt_at < timezone.now() + LEASE
    call_command("process_reset_requests")  # the lease still runs
    accepted = len(smtp.deliveries)  # the server may or may not have kept what it held
    let_leases_end()
    call_command("process_reset_requests")
    delivery = smtp.wait_for(accepted + 1)[accepted]
    services.reset_password(token_in(delivery.text), NEW_PASSWORD, **VISITOR)
    assert authenticate(username=user.email, password=NEW_PASSWORD)
