"""Something of the site is away, dies or forgets: mails come late, never not at all."""

import os
import subprocess
import sys
from datetime import timedelta

import psycopg
import pytest
from django.contrib.auth import authenticate
from django.core.management import call_command
from django.utils import timezone

from password_reset import services
from password_reset.models import PasswordResetRequest
from tests import ROOT
from tests.tools.factories import NEW_PASSWORD, UserFactory
from tests.tools.walk import token_in

pytestmark = pytest.mark.django_db(transaction=True)

VISITOR = {"ip_address": "192.0.2.1", "user_agent": "test"}
DATABASE_QUEUE = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}


def ask(email):
    return services.request_reset(email, language="en", **VISITOR)


@pytest.fixture
def waiting(settings):
    """Five requests that no bell has rung for."""
    settings.PASSWORD_RESET_TASK_BACKEND = None
    return [ask(user.email) for user in UserFactory.create_batch(5)]


@pytest.mark.sqlite
def test_an_emptied_queue_loses_no_request(smtp, settings, user):
    from django_tasks_db.models import DBTaskResult  # noqa: PLC0415 - needs settings

    settings.TASKS = DATABASE_QUEUE
    ask(user.email)
    assert DBTaskResult.objects.all().delete()[0] == 1
    call_command("db_worker", "--batch")
    assert smtp.deliveries == []
    call_command("process_reset_requests")
    assert len(smtp.deliveries) == 1


@pytest.mark.sqlite
def test_requests_that_wait_too_long_are_reported_by_the_exit_code(
    smtp, waiting, capsys
):
    PasswordResetRequest.objects.update(
        created_at=timezone.now() - timedelta(minutes=6)
    )
    with pytest.raises(SystemExit) as ended:
        call_command("process_reset_requests")
    assert ended.value.code == 1
    assert "5 requests due since" in capsys.readouterr().err
    assert len(smtp.deliveries) == 5
    call_command("process_reset_requests")


def test_a_worker_that_is_asked_to_stop_finishes_the_mail_in_hand_and_no_other(
    smtp, waiting, processes
):
    smtp.hold()
    worker = processes.request_loop(**smtp.environment)
    assert smtp.held.wait(60)
    worker.process.terminate()
    smtp.release()
    assert worker.wait() == 0
    assert len(smtp.deliveries) == 1
    assert PasswordResetRequest.objects.due().count() == 4


def test_after_kill_9_right_after_a_mail_the_newest_link_works(
    smtp, settings, user, processes
):
    settings.TASKS = DATABASE_QUEUE
    victim = processes.db_worker(**smtp.environment)
    row = ask(user.email)
    smtp.wait_for(1, 60)
    victim.kill()
    PasswordResetRequest.objects.pending().update(next_attempt_at=timezone.now())
    call_command("process_reset_requests")
    row.refresh_from_db()
    assert row.processed_at
    services.reset_password(token_in(smtp.deliveries[-1].text), NEW_PASSWORD, **VISITOR)
    assert authenticate(username=user.email, password=NEW_PASSWORD)


ADA = """
    INSERT INTO users (email, password, first_name, last_name, language, is_superuser, is_staff, is_active, date_joined)
    VALUES ('ada@example.com', 'md5$x$x', '', '', 'en', false, false, true, now());
    INSERT INTO password_reset_requests
        (email, source, user_agent, language, created_at, attempts, mails_sent, last_error)
    VALUES ('ada@example.com', 'web', '', 'en', now(), 0, 0, '')
"""


def test_a_worker_waits_for_a_database_that_is_away(
    smtp_server, own_postgres, processes
):
    away = {**smtp_server.environment, "DATABASE_URL": own_postgres.url}
    assert processes.manage("migrate", **away).wait(60) == 0
    worker = processes.request_loop(**away)
    worker.wait_for_log("Waiting for password reset requests")
    own_postgres.stop()
    worker.wait_for_log("waits for the database")
    own_postgres.start()
    with psycopg.connect(own_postgres.url) as database:
        database.execute(ADA)
    assert smtp_server.wait_for(1, 60)[0].recipients == ("ada@example.com",)


def test_a_whole_drama_in_small_loses_nothing():
    drama = [sys.executable, "-m", "tests.outage", "60"]
    short = os.environ | {
        "OUTAGE_LEASE": "3",
        "DJANGO_SETTINGS_MODULE": "tests.outage_settings",
    }
    ended = subprocess.run(
        drama, cwd=ROOT, env=short, capture_output=True, text=True, timeout=170
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "    60  accepted requests" in ended.stdout
    assert "     0  lost" in ended.stdout
