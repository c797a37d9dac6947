"""The embedded worker: a host that configured no task back end keeps its promises."""

import os
import subprocess
import sys
import threading
from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from password_reset import embedded, services, worker
from password_reset.conf import conf
from password_reset.models import PasswordResetRequest
from tests import ROOT
from tests.tools.factories import UserFactory
from tests.tools.servers import wait_until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

ANYBODY = {"ip_address": "192.0.2.1", "user_agent": "", "language": "en"}


@pytest.fixture
def plain_host(settings, monkeypatch):
    """A host without TASKS, outside a test run; its mail goes to the test's outbox."""
    monkeypatch.setattr(conf, "has_embedded_worker", lambda: True)
    yield mail.outbox
    worker.embedded.stop()


def ask(email):
    return services.request_reset(email, **ANYBODY)


def is_settled(row):
    return PasswordResetRequest.objects.settled().filter(pk=row.pk).exists()


def worker_threads():
    return [one for one in threading.enumerate() if one.name == "password-reset"]


def test_the_mail_comes_from_a_thread_and_not_from_the_request(plain_host):
    user = UserFactory()
    row = ask(user.email)
    assert not plain_host
    wait_until(lambda: is_settled(row), lambda: "the row is still due")
    assert [message.to for message in plain_host] == [[user.email]]


def test_a_request_that_comes_while_it_works_waits_for_a_delay_of_its_own(
    plain_host, settings, monkeypatch
):
    # Long enough that no slow machine waits as long by itself.
    monkeypatch.setattr(embedded, "DELAY", (1.0, 1.2))
    begun, rows = {}, []

    def finder(email):
        begun[email] = timezone.now()
        if not rows:
            rows.append(ask("second@example.com"))
        return []

    settings.PASSWORD_RESET_USER_FINDER = finder
    ask("first@example.com")
    wait_until(lambda: "second@example.com" in begun, lambda: "no second look-up")
    waited = begun["second@example.com"] - rows[0].created_at
    assert waited.total_seconds() >= embedded.DELAY[0]


def test_a_backlog_waits_for_nothing():
    long_ago = timezone.now() - timedelta(hours=1)
    batch = [f"nobody{number}@example.com" for number in range(2 * worker.BATCH + 1)]
    PasswordResetRequest.objects.bulk_create(
        PasswordResetRequest(email=email, created_at=long_ago) for email in batch
    )
    young = PasswordResetRequest.objects.create(email="nobody@example.com")
    worker._work_off_all(lambda: 60.0)
    assert PasswordResetRequest.objects.pending().get() == young


def test_one_thread_serves_the_process(plain_host):
    rows = [ask(f"nobody{number}@example.com") for number in range(20)]
    wait_until(lambda: all(map(is_settled, rows)), lambda: "rows are still due")
    assert len(worker_threads()) == 1


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("", "True None"),
        ("PASSWORD_RESET_TASK_BACKEND = None", "False None"),
        ("PASSWORD_RESET_TASK_BACKEND = 'mail'", "False mail"),
        ("TASKS = {'default': {'BACKEND': 'named.by.the.Host'}}", "False default"),
    ],
)
def test_a_host_has_it_until_it_chooses_something(tmp_path, lines, found):
    (tmp_path / "host.py").write_text(lines)
    code = (
        "from password_reset.conf import conf;"
        "print(conf.has_embedded_worker(), conf.task_backend)"
    )
    environment = {"DJANGO_SETTINGS_MODULE": "host", "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", code]
    told = subprocess.check_output(command, cwd=ROOT, env=environment, text=True)
    assert told.strip() == found


def test_under_a_test_runner_djangos_default_back_end_is_honoured():
    assert not conf.has_embedded_worker()
    user = UserFactory()
    ask(user.email)
    assert [message.to for message in mail.outbox] == [[user.email]]


def test_a_failure_of_the_work_does_not_end_the_thread(monkeypatch):
    monkeypatch.setattr(embedded, "PAUSE", 0)
    done = []

    def work(age):
        done.append(1)
        if len(done) == 1:
            raise ConnectionError("the database is away")

    worker = embedded.EmbeddedWorker(work)
    worker.wake()
    wait_until(lambda: len(done) == 1, lambda: "no work")
    worker.wake()
    wait_until(lambda: len(done) == 2, lambda: "the thread has ended")
    worker.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_has_ended_is_replaced_by_the_next_wake_up():
    done = []

    def work(age):
        done.append(1)
        raise SystemExit  # ends a thread in silence

    worker = embedded.EmbeddedWorker(work)
    for expected in (1, 2):
        worker.wake()
        wait_until(lambda: len(done) == expected, lambda: "no work")  # noqa: B023
        wait_until(lambda: not worker_threads(), lambda: "the thread lives on")


def test_a_green_thread_does_not_slow_the_whole_process():
    before = os.getpriority(os.PRIO_PROCESS, 0)
    embedded._yield_to_visitors()  # here, in the process's own thread
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


def test_a_switched_off_flow_sends_nothing(settings):
    settings.PASSWORD_RESET_ENABLED = False
    PasswordResetRequest.objects.create(email=UserFactory().email)
    worker._work_off_all(lambda: 0.0)
    assert not mail.outbox
