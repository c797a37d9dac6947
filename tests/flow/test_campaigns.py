"""Invitations and a forced reset of many people, with the worker and the command killed
in the middle, while others ask for links of their own.

`CAMPAIGN_USERS=10000 .venv/bin/pytest tests/flow/test_campaigns.py -s` takes a few
minutes and prints the figures; the number of kills is CAMPAIGN_KILLS (3).
"""

import os
import random
import threading
import time
from contextlib import contextmanager

import pytest
import requests
from django.contrib.auth import get_user_model

from password_reset import users
from password_reset.campaigns import (
    ForcedPasswordReset,
    PasswordResetCampaign,
    PasswordResetInvitation,
)
from password_reset.outbox import LEASE
from tests.tools.outbox import let_leases_end, mails
from tests.tools.servers import wait_until

pytestmark = pytest.mark.django_db(transaction=True)

PEOPLE = int(os.environ.get("CAMPAIGN_USERS", "60"))
KILLS = int(os.environ.get("CAMPAIGN_KILLS", "3"))
#: Emails a second of each campaign: the whole takes some minutes at most.
RATE = max(10, PEOPLE // 200)
SENDERS = 8
SECONDS = 60 + 6 * PEOPLE // RATE
#: What whoever asks for a link of their own waits for at most.
PATIENCE = 5
#: Seconds between two who ask.
PAUSE = 0.2
SETTINGS = {"DJANGO_SETTINGS_MODULE": "tests.outage_settings"}


def crowd(kind, password):
    """Make people of a kind who have a password, or none; return their addresses."""
    model = get_user_model()
    emails = [f"{kind}{number}@example.com" for number in range(PEOPLE)]
    model.objects.bulk_create(
        [model(email=email, password=f"{password}{email}") for email in emails],
        batch_size=1000,
    )
    return emails


@pytest.fixture
def invited(transactional_db):
    return crowd("new", "!")


@pytest.fixture
def forced(transactional_db):
    return crowd("member", "md5$x$")


@pytest.fixture
def run(processes, smtp):
    """A way to start a command with the settings and the mail server of this test."""
    smtp.delay = 0.03
    return lambda *command: processes.manage(*command, **SETTINGS, **smtp.environment)


class Asker(threading.Thread):
    """Ask for one link after the other, and measure how long each email takes."""

    def __init__(self, url, smtp):
        super().__init__(daemon=True)
        self.url, self.smtp = f"{url}/api/auth/request-password-reset", smtp
        self.waits, self.lost, self.over = [], [], threading.Event()

    def run(self):
        for number in range(PEOPLE):
            if self.over.is_set():
                return
            self.ask(f"asker{number}@example.com")
            self.over.wait(PAUSE)

    def ask(self, email):
        seen, began = len(self.smtp.deliveries), time.monotonic()
        requests.post(self.url, json={"email": email}, timeout=30)
        while time.monotonic() - began < 60:
            fresh = self.smtp.deliveries[seen:]
            if any(email in delivery.recipients for delivery in fresh):
                self.waits.append(time.monotonic() - began)
                return
            time.sleep(0.02)
        self.lost.append(email)

    def end(self):
        self.over.set()
        self.join()


@contextmanager
def asking(processes, smtp):
    """Have people ask for links of their own on a real site meanwhile."""
    crowd("asker", "md5$x$")
    site = processes.gunicorn(workers=1, **SETTINGS, **smtp.environment)
    asker = Asker(site.url, smtp)
    yield asker
    asker.end()


def force_all(run, emails, folder):
    """Force people, with the command killed in the middle and started again; return for
    how many seconds the last one worked.
    """
    file = folder / "people.txt"
    file.write_text("\n".join(emails))
    command = ("force_password_reset", "--file", str(file), "--rate", f"{RATE}/s")
    ended = ForcedPasswordReset.objects.filter(forced_at__isnull=False)
    victim = run(*command)
    wait_until(lambda: ended.count() > PEOPLE // 4, lambda: victim.log, SECONDS)
    victim.kill()
    began = time.monotonic()
    again = run(*command)
    again.wait(SECONDS)
    # It may have been killed too late.
    assert "Ended the passwords" in again.log or "nothing is done" in again.log
    return time.monotonic() - began


def hire(run):
    """Start a worker and wait until it works."""
    loop = run("process_reset_requests", "--loop", "--concurrency", str(SENDERS))
    loop.wait_for_log("Waiting for password reset requests")
    return loop


def lease_ends():
    for model in (ForcedPasswordReset, PasswordResetInvitation):
        let_leases_end(model)
    let_leases_end()


def test_each_person_is_dealt_with_once_whatever_is_killed(
    invited, forced, run, processes, smtp, tmp_path
):
    began = time.monotonic()
    with asking(processes, smtp) as asker:
        # Two, as a site has that is to go on while one of them is down.
        loops = [hire(run), hire(run)]
        asker.start()
        assert (
            run("invite_users", "--without-password", "--rate", f"{RATE}/s").wait(
                SECONDS
            )
            == 0
        )
        seconds = force_all(run, forced, tmp_path)
        for kill in range(KILLS):
            share = 2 * PEOPLE // (KILLS + 1)
            smtp.wait_for(share * kill + random.randrange(1, share), SECONDS)
            loops.pop(0).kill()
            lease_ends()
            loops.append(hire(run))
        wait_until(is_settled, lambda: loops[0].log, SECONDS)
    took, sent = time.monotonic() - began, mails(smtp)
    people = [*invited, *forced]
    twice = sum(sent[email] - 1 for email in people)
    report(asker, took, seconds, sent, people, twice)
    assert_each_has_one_state(invited, forced)
    assert all(sent[email] for email in people)
    assert twice <= SENDERS * KILLS
    assert asker.waits
    assert not asker.lost
    assert max(asker.waits) < PATIENCE


def is_settled():
    rows = (ForcedPasswordReset, PasswordResetInvitation)
    return not any(model.objects.pending().exists() for model in rows)


def assert_each_has_one_state(invited, forced):
    model = get_user_model()
    rows = PasswordResetInvitation.objects.filter(processed_at__isnull=False)
    assert sorted(rows.values_list("user__email", flat=True)) == sorted(invited)
    rows = ForcedPasswordReset.objects.filter(
        processed_at__isnull=False, forced_at__isnull=False
    )
    assert sorted(rows.values_list("user__email", flat=True)) == sorted(forced)
    assert rows.values("campaign").distinct().count() == 1
    marked = model.objects.filter(password__startswith=users.MUST_RESET)
    assert sorted(marked.values_list("email", flat=True)) == sorted(forced)
    failed = [
        one.objects.filter(failed_at__isnull=False).count()
        for one in (ForcedPasswordReset, PasswordResetInvitation)
    ]
    assert failed == [0, 0]


def report(asker, took, seconds, sent, people, twice):
    waits = sorted(asker.waits) or [0.0]
    rates = PasswordResetCampaign.objects.values_list("kind", "rate")
    print(
        f"\n{PEOPLE} invitations and {PEOPLE} forced resets at {dict(rates)} emails a "
        f"second, two workers, {KILLS} kills of a worker, 1 of the command, {took:.0f} s; the "
        f"command took {seconds:.1f} s after its kill\n"
        f"{sum(sent[email] for email in people)} emails to {len(people)} people, "
        f"{twice} twice (at most {SENDERS * KILLS}); lease {LEASE}\n"
        f"{len(waits)} own requests meanwhile: median {waits[len(waits) // 2]:.2f} s, "
        f"95 % {waits[int(len(waits) * 0.95)]:.2f} s, longest {waits[-1]:.2f} s, "
        f"{len(asker.lost)} lost"
    )
