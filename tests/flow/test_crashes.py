"""Workers that are killed or stopped in the middle of a burst lose nothing.

The size is CRASH_REQUESTS (150), the number of kills CRASH_KILLS (3).
"""

import os
import random

import pytest

from password_reset import services
from password_reset.models import PasswordResetRequest
from tests.tools.factories import UserFactory
from tests.tools.outbox import let_leases_end, mails

pytestmark = pytest.mark.django_db(transaction=True)

REQUESTS = int(os.environ.get("CRASH_REQUESTS", "150"))
KILLS = int(os.environ.get("CRASH_KILLS", "3"))
SENDERS = 8
SECONDS = 120


@pytest.fixture
def burst(settings):
    """As many requests as people, and nobody who works on them."""
    settings.PASSWORD_RESET_TASK_BACKEND = None
    model = UserFactory._meta.model
    emails = [f"person{number}@example.com" for number in range(REQUESTS)]
    model.objects.bulk_create(
        [model(email=email, password="md5$x$x") for email in emails]
    )
    PasswordResetRequest.objects.bulk_create(
        [PasswordResetRequest(email=email) for email in emails]
    )
    return emails


@pytest.fixture
def loop(processes, smtp):
    """A way to start a worker with eight senders."""
    smtp.delay = 0.03
    command = ("process_reset_requests", "--loop", "--concurrency", str(SENDERS))
    return lambda **more: processes.manage(*command, **smtp.environment, **more)


def moments():
    """Return after how many mails a worker is killed: any, in rising order."""
    share = REQUESTS // (KILLS + 1)
    return [share * kill + random.randrange(1, share) for kill in range(KILLS)]


def test_kill_9_at_any_moment_of_a_burst_loses_nothing_and_doubles_few(
    burst, loop, smtp
):
    for moment in moments():
        victim = loop()
        smtp.wait_for(moment, SECONDS)
        victim.kill()
        let_leases_end()
    services.process_due(None, concurrency=SENDERS)
    sent = mails(smtp)
    print(f"{REQUESTS} requests, {KILLS} kills: {sent.total() - len(sent)} mails twice")
    assert set(sent) == set(burst)
    assert sent.total() - len(sent) <= SENDERS * KILLS
    assert not PasswordResetRequest.objects.pending().exists()


def test_a_worker_that_is_stopped_in_a_burst_gives_back_what_it_has_not_sent(
    burst, loop, smtp
):
    worker = loop()
    smtp.wait_for(20, SECONDS)
    assert worker.stop() == 0
    sent = mails(smtp)
    assert max(sent.values()) == 1
    untouched = PasswordResetRequest.objects.due().filter(next_attempt_at=None)
    assert untouched.filter(attempts=0).count() == REQUESTS - sent.total() > 0


def test_a_pool_with_one_connection_slows_a_worker_and_fails_no_mail(burst, loop, smtp):
    smtp.delay = 0
    worker = loop(DATABASE_POOL_MIN="1", DATABASE_POOL_MAX="1")
    smtp.wait_for(REQUESTS, SECONDS)
    assert set(mails(smtp).values()) == {1}
    assert "mail failed" not in worker.log
