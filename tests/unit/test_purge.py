"""The purge: what it takes, what it leaves, and that it is small, fast and in nobody's
way.
"""

import io
import os
from contextlib import nullcontext
from dataclasses import asdict
from datetime import timedelta

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from password_reset import services, tokens
from password_reset.campaigns import (
    ForcedPasswordReset,
    PasswordResetCampaign,
    PasswordResetInvitation,
)
from password_reset.models import (
    PasswordResetNotice,
    PasswordResetRequest,
    PasswordResetToken,
    UserSession,
)
from tests.tools.processes import database_url

pytestmark = pytest.mark.django_db(transaction=True)

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
LIVE = 1000
MANY = """
    INSERT INTO password_reset_tokens
        (user_id, email, token_hash, fingerprint, created_at, expires_at, message_id, user_agent)
    SELECT %s, 'ada@example.com', encode(sha256((%s || n)::bytea), 'hex'), '', now(), now() + %s * (n + 1000)
        * interval '1 second', '', ''
    FROM generate_series(1, %s) AS n
"""


def write(user, count, *, expired):
    """Write tokens that died, or will die, one second apart."""
    with connection.cursor() as cursor:
        cursor.execute(
            MANY, [user.pk, str(timezone.now()), -1 if expired else 1, count]
        )
        cursor.execute("ANALYZE password_reset_tokens")


def token(user, age=timedelta(0), **values):
    """Write a token of an hour that was made so long ago."""
    made = timezone.now() - age
    digest = tokens.digest(tokens.new_token())
    return PasswordResetToken.objects.create(
        user=user, token_hash=digest, created_at=made, expires_at=made + HOUR, **values
    )


def request(age, **values):
    return PasswordResetRequest.objects.create(
        email="ada@example.com", created_at=timezone.now() - age, **values
    )


def purge_with(processes, *options):
    """Run the command as cron does; return its peak memory in kilobytes and what it
    said.
    """
    process = processes.manage("purge_reset_tokens", *options)
    _, status, usage = os.wait4(process.process.pid, 0)
    process.process.returncode = os.waitstatus_to_exitcode(status)
    assert process.process.returncode == 0, process.log
    return usage.ru_maxrss, process.log


def test_a_hundred_thousand_dead_tokens_take_no_more_memory_than_ten_thousand(
    user, processes
):
    write(user, LIVE, expired=False)
    peaks = []
    for count in (10_000, 100_000):
        write(user, count, expired=True)
        peak, said = purge_with(processes)
        peaks.append(peak)
        assert f"Deleted {count} tokens" in said
        assert (
            PasswordResetToken.objects.usable().count()
            == PasswordResetToken.objects.count()
            == LIVE
        )
    assert peaks[1] <= peaks[0] * 1.1


def test_each_statement_of_a_purge_goes_by_an_index(user, settings):
    write(user, LIVE, expired=False)
    write(user, 100_000, expired=True)
    settings.PASSWORD_RESET_TOKEN_RETENTION = 12 * HOUR
    with CaptureQueriesContext(connection) as queries:
        assert services.purge().tokens > 50_000
    statements = [
        query["sql"] for query in queries if '"password_reset_tokens"' in query["sql"]
    ]
    plans = [plan_of(sql) for sql in statements]
    assert len(plans) > 20
    assert not [plan for plan in plans if "Seq Scan" in plan]
    assert "idx_password_reset_tokens_expires_at" in plans[0]


def plan_of(sql):
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN {sql}")
        return "\n".join(line for (line,) in cursor.fetchall())


def test_two_purges_at_once_share_the_work(user, processes):
    write(user, 10, expired=False)
    write(user, 20_000, expired=True)
    both = [
        processes.manage("purge_reset_tokens", "--batch-size", "200") for _ in range(2)
    ]
    assert [process.wait() for process in both] == [0, 0]
    deleted = [int(process.log.split("Deleted ")[1].split()[0]) for process in both]
    assert sum(deleted) == 20_000
    assert PasswordResetToken.objects.count() == 10


@pytest.mark.parametrize(
    "inside", [nullcontext, transaction.atomic], ids=["by itself", "in a transaction"]
)
def test_a_row_that_somebody_holds_is_left_to_the_next_purge(user, inside):
    held, other = token(user, age=DAY), token(user, age=DAY)
    with psycopg.connect(database_url()) as visitor, inside():
        visitor.execute(
            "SELECT FROM password_reset_tokens WHERE id = %s FOR UPDATE", [held.pk]
        )
        assert services.purge().tokens == 1
    assert not PasswordResetToken.objects.filter(pk=other.pk).exists()
    assert services.purge().tokens == 1


@pytest.mark.sqlite
@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 1000])
def test_the_size_of_a_batch_does_not_change_what_dies(user, batch_size):
    dead = [token(user, age=DAY) for _ in range(6)]
    PasswordResetToken.objects.filter(pk__in=[row.pk for row in dead[:4]]).update(
        expires_at=timezone.now() - HOUR
    )
    living = token(user)
    assert services.purge(batch_size=batch_size).tokens == 6
    assert PasswordResetToken.objects.get() == living


def test_a_batch_waits_for_no_disk_and_no_row(user):
    token(user, age=DAY)
    with CaptureQueriesContext(connection) as queries:
        assert services.purge().tokens == 1
    settings = [one["sql"] for one in queries if "SET LOCAL" in one["sql"]]
    assert settings
    for sql in settings:
        assert "synchronous_commit = off" in sql
        assert "lock_timeout = 100" in sql


@pytest.mark.sqlite
def test_a_token_lives_to_its_last_second_and_a_spent_one_goes_at_once(user):
    living, spent = (
        token(user, age=HOUR - timedelta(seconds=30)),
        token(user, used_at=timezone.now()),
    )
    token(user, age=HOUR + timedelta(seconds=1))
    assert services.purge().tokens == 2
    assert PasswordResetToken.objects.get() == living
    assert spent.used_at


@pytest.mark.sqlite
def test_dead_tokens_stay_for_their_retention(user, settings):
    settings.PASSWORD_RESET_TOKEN_RETENTION = 7 * DAY
    kept = [token(user, age=6 * DAY), token(user, used_at=timezone.now() - DAY)]
    token(user, age=8 * DAY)
    assert services.purge().tokens == 1
    assert set(PasswordResetToken.objects.all()) == set(kept)


@pytest.mark.sqlite
def test_a_request_that_still_waits_is_never_taken(user):
    now = timezone.now()
    waits, young = request(90 * DAY), request(29 * DAY, processed_at=now, mails_sent=1)
    request(31 * DAY, processed_at=now)
    request(31 * DAY, failed_at=now)
    assert services.purge().requests == 2
    assert set(PasswordResetRequest.objects.all()) == {waits, young}


@pytest.mark.sqlite
def test_a_request_that_mailed_nobody_is_kept_for_three_days(db):
    now = timezone.now()
    kept = {
        request(2 * DAY, processed_at=now),
        request(4 * DAY, processed_at=now, mails_sent=1),
        request(4 * DAY, failed_at=now),
        request(4 * DAY),
    }
    request(4 * DAY, processed_at=now)
    request(4 * DAY, processed_at=now, last_error="mailbox_limit")
    assert services.purge(dry_run=True).requests == 2
    assert services.purge().requests == 2
    assert set(PasswordResetRequest.objects.all()) == kept


@pytest.mark.sqlite
def test_a_token_outlives_its_request(user, settings):
    settings.PASSWORD_RESET_TOKEN_RETENTION = 365 * DAY
    row = token(
        user, age=40 * DAY, request=request(40 * DAY, processed_at=timezone.now())
    )
    assert services.purge().requests == 1
    row.refresh_from_db()
    assert row.request is None


@pytest.fixture
def dead_rows(user):
    """Something of everything that a purge takes."""
    long_ago = timezone.now() - 400 * DAY
    for _ in range(3):
        token(user, age=DAY, used_at=long_ago)
    token(user, used_at=timezone.now())
    request(31 * DAY, processed_at=timezone.now())
    PasswordResetNotice.objects.create(
        user=user, email=user.email, created_at=long_ago, failed_at=long_ago
    )
    UserSession.objects.create(user=user, session_key="k" * 32, created_at=long_ago)
    campaign = PasswordResetCampaign.objects.create(kind="forced", created_at=long_ago)
    ForcedPasswordReset.objects.create(
        campaign=campaign, user=user, created_at=long_ago, processed_at=long_ago
    )
    PasswordResetInvitation.objects.create(
        user=user, asked_at=long_ago, processed_at=long_ago
    )
    counts = {"tokens": 4, "requests": 1, "notices": 1, "sessions": 1, "codes": 0}
    ours = {"invitations": 1, "forced_resets": 1, "campaigns": 1}
    return {**counts, **ours, "deliveries": 0}


@pytest.mark.sqlite
def test_a_dry_run_tells_the_truth_and_deletes_nothing(dead_rows):
    assert asdict(services.purge(dry_run=True)) == dead_rows
    assert asdict(services.purge()) == dead_rows
    assert asdict(services.purge(dry_run=True)) == dict.fromkeys(dead_rows, 0)


class Terminal(io.StringIO):
    """An output that is read by a person."""

    def isatty(self):
        return True


def say(output, *options):
    call_command("purge_reset_tokens", *options, stdout=output)
    return output.getvalue()


@pytest.mark.sqlite
def test_cron_gets_one_plain_line(dead_rows):
    assert (
        say(io.StringIO(), "--dry-run")
        == "Would delete 4 tokens, 1 requests, 1 notices, 1 sessions, 0 codes, "
        "1 invitations, 1 forced_resets, 1 campaigns, 0 deliveries.\n"
    )
    assert (
        say(io.StringIO())
        == "Deleted 4 tokens, 1 requests, 1 notices, 1 sessions, 0 codes, "
        "1 invitations, 1 forced_resets, 1 campaigns, 0 deliveries.\n"
    )


@pytest.mark.sqlite
def test_a_terminal_sees_the_count_grow(dead_rows):
    said = say(Terminal(), "--batch-size", "1").split("\r")
    assert [line for line in said if line][:3] == [
        "1 rows deleted",
        "2 rows deleted",
        "3 rows deleted",
    ]
    assert said[-1].endswith("1 campaigns, 0 deliveries.\n")


@pytest.mark.sqlite
def test_what_the_site_sends_is_kept_while_it_waits_or_works(user):
    long_ago = timezone.now() - 400 * DAY
    campaign = PasswordResetCampaign.objects.create(kind="forced", created_at=long_ago)
    ForcedPasswordReset.objects.create(
        campaign=campaign, user=user, created_at=long_ago
    )
    PasswordResetInvitation.objects.create(
        user=user, asked_at=timezone.now() - 36 * DAY, processed_at=long_ago
    )
    services.purge()
    assert ForcedPasswordReset.objects.exists()
    assert PasswordResetInvitation.objects.exists()
    PasswordResetInvitation.objects.update(asked_at=timezone.now() - 38 * DAY)
    assert services.purge().invitations == 1


@pytest.mark.sqlite
def test_switched_off_nothing_is_deleted(dead_rows, settings):
    settings.PASSWORD_RESET_ENABLED = False
    assert "nothing is deleted" in say(io.StringIO())
    assert PasswordResetToken.objects.count() == 4


@pytest.mark.sqlite
@pytest.mark.parametrize("size", ["0", "-1", "many", "1.5"])
def test_a_batch_has_at_least_one_row(size):
    with pytest.raises(CommandError):
        call_command("purge_reset_tokens", "--batch-size", size)
