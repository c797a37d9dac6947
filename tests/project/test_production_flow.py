"""The main job as it runs in production: gunicorn, a worker, PostgreSQL, Redis and
SMTP, each a process of its own.
"""

import pytest

from password_reset import services, wakeup
from tests.tools.factories import NEW_PASSWORD, OLD_PASSWORD, UserFactory
from tests.tools.people import Person, walk_the_flow

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("worker", ["db_worker", "request_loop"])
def test_a_forgotten_password_is_reset_with_two_web_workers_and(
    worker, processes, smtp_server, user
):
    url = processes.gunicorn(workers=2, **smtp_server.environment).url
    getattr(processes, worker)(**smtp_server.environment)
    elsewhere = Person(url)
    assert elsewhere.log_in(user.email, OLD_PASSWORD)
    raw = walk_the_flow(url, smtp_server, user.email)
    assert not elsewhere.is_logged_in
    assert not elsewhere.log_in(user.email, OLD_PASSWORD)
    assert Person(url).log_in(user.email, NEW_PASSWORD)
    assert Person(url).open(f"/reset-password?token={raw}").status_code == 410


def test_a_worker_ends_when_it_is_asked_to(processes, smtp_server):
    worker = processes.request_loop(**smtp_server.environment)
    worker.wait_for_log("Waiting for password reset requests.")
    assert worker.stop() == 0


def test_a_burst_whose_rows_share_tasks_is_mailed_whole_without_cron(
    processes, settings, smtp_server
):
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
    users = UserFactory.create_batch(2 * wakeup.THRESHOLD)
    for user in users:
        services.request_reset(
            user.email, ip_address="192.0.2.1", user_agent="test", language="en"
        )
    processes.db_worker(**smtp_server.environment)
    deliveries = smtp_server.wait_for(len(users), 60)
    recipients = sorted(
        address for delivery in deliveries for address in delivery.recipients
    )
    assert recipients == sorted(user.email for user in users)
