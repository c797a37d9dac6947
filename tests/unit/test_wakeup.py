"""One wake-up for each row, and in a burst one for many; whatever becomes of them, each
row gets its mail.
"""

from datetime import timedelta

import django
import pytest
from django.core.management import call_command
from django.utils import timezone

from password_reset import services, wakeup, worker
from password_reset.models import PasswordResetRequest
from tests.tools.factories import UserFactory

if django.VERSION >= (6, 0):
    from django.tasks import task_backends
    from django.tasks.backends.dummy import DummyBackend
    from django.tasks.backends.immediate import ImmediateBackend
else:
    from django_tasks import task_backends
    from django_tasks.backends.dummy import DummyBackend
    from django_tasks.backends.immediate import ImmediateBackend

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

DATABASE_QUEUE = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
HALF = wakeup.THRESHOLD // 2


class TakesNoOrders(ImmediateBackend):
    """A queue that cannot put a task off, as some cannot; it counts and does nothing."""

    rung = 0

    def enqueue(self, *args, **kwargs):
        type(self).rung += 1


class FailsOnce(ImmediateBackend):
    """A queue that can put a task off and is away for the first that it is asked to."""

    supports_defer = True
    hung = 0

    def enqueue(self, task, args, kwargs):
        if task.run_after is not None:
            type(self).hung += 1
            if self.hung == 1:
                raise ConnectionRefusedError("no broker here")


def tasks_of_the_queue():
    """Return the tasks that could run at once, and those that were put off; on a busy
    machine the time of these may have come.
    """
    from django_tasks_db.models import (  # noqa: PLC0415 - needs settings
        DBTaskResult,
        get_date_max,
    )

    waiting = DBTaskResult.objects.filter(status="READY")
    at_once = waiting.filter(run_after=get_date_max())
    return list(at_once), list(waiting.exclude(pk__in=at_once))


@pytest.fixture
def queue(settings):
    settings.TASKS = DATABASE_QUEUE

    return tasks_of_the_queue


class Clock:
    """A clock that a test turns."""

    seconds = 1000.0

    def __call__(self):
        return self.seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(wakeup, "monotonic", clock)
    return clock


def ask(email="nobody@example.com"):
    return services.request_reset(
        email, ip_address="192.0.2.1", user_agent="test", language="en"
    )


def burst(count=3 * wakeup.THRESHOLD):
    return [ask(f"somebody{n}@example.com") for n in range(count)]


def test_each_row_has_a_task_of_its_own(queue):
    for _ in range(HALF):
        ask()
    assert [len(tasks) for tasks in queue()] == [HALF, 0]


def test_a_slow_stream_is_no_burst(queue, clock):
    for _ in range(2 * wakeup.THRESHOLD):
        ask()
        clock.seconds += 1 / HALF
    assert sum(map(len, queue())) == 2 * wakeup.THRESHOLD


def test_in_a_burst_one_task_that_is_yet_to_run_covers_many_rows(queue, clock):
    before = timezone.now()
    burst()
    ready, put_off = queue()
    assert len(ready) == wakeup.THRESHOLD - 1
    assert len(put_off) == 1
    assert put_off[0].run_after >= before + timedelta(seconds=wakeup.DELAY)


def test_no_row_is_left_to_a_task_that_another_host_s_clock_may_already_have_run(
    queue, clock
):
    burst()
    clock.seconds += wakeup.DELAY - wakeup.CLOCK_SKEW
    burst()
    assert len(queue()[1]) == 2


def test_a_queue_that_cannot_put_tasks_off_is_asked_for_each_row(settings):
    settings.TASKS = {"default": {"BACKEND": f"{__name__}.TakesNoOrders"}}
    rows = burst()
    assert TakesNoOrders.rung == len(rows)


def test_a_shared_task_that_could_not_be_enqueued_covers_nobody(
    settings, clock, monkeypatch
):
    settings.TASKS = {"default": {"BACKEND": f"{__name__}.FailsOnce"}}
    monkeypatch.setattr(FailsOnce, "hung", 0)
    burst()
    assert FailsOnce.hung == 2


def test_a_host_s_tests_find_each_task_in_the_dummy_queue(settings):
    settings.TASKS = {"default": {"BACKEND": f"{DummyBackend.__module__}.DummyBackend"}}
    rows = burst()
    assert len(task_backends["default"].results) == len(rows)


def test_a_task_that_ends_with_work_left_wakes_the_next(
    queue, settings, smtp, monkeypatch
):
    monkeypatch.setattr(worker, "BATCH", 2)
    monkeypatch.setattr(worker, "SENDERS", 1)
    monkeypatch.setattr(worker, "TASK_SECONDS", 0.3)
    smtp.delay = 0.1
    settings.PASSWORD_RESET_TASK_BACKEND = None
    rows = [ask(user.email) for user in UserFactory.create_batch(10)]
    settings.PASSWORD_RESET_TASK_BACKEND = "default"
    wakeup.wake_by_task(worker.deliver_request, rows[0].pk)
    call_command("db_worker", "--batch")
    assert len(smtp.deliveries) == 10
    from django_tasks_db.models import DBTaskResult  # noqa: PLC0415 - needs settings

    assert DBTaskResult.objects.count() > 1
    assert len(queue()[0]) == 0


def test_a_task_that_finds_nothing_it_may_do_wakes_no_other(queue, settings):
    rows = burst(2)
    settings.PASSWORD_RESET_ENABLED = False
    call_command("db_worker", "--batch")
    assert PasswordResetRequest.objects.due().count() == len(rows)
    assert queue() == ([], [])


def test_while_no_mail_can_leave_no_other_task_costs_the_rows_their_attempts(
    queue, settings, smtp
):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    mailless = ask()
    for user in UserFactory.create_batch(5):
        ask(user.email)
    settings.PASSWORD_RESET_TASK_BACKEND = "default"
    wakeup.wake_by_task(worker.deliver_request, mailless.pk)
    smtp.stop()
    call_command("db_worker", "--batch")
    assert PasswordResetRequest.objects.pending().filter(attempts=1).count() == 1
    assert queue() == ([], [])
