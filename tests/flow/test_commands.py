"""The two commands: what they do, print and exit with."""

from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from password_reset import services, tokens
from password_reset.models import PasswordResetRequest, PasswordResetToken
from tests.tools.factories import UserFactory

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]


def ask(email):
    return services.request_reset(email, ip_address=None, user_agent="", language="en")


def run(*arguments):
    """Run a command; return its exit code, its output and its warnings."""
    out, errors = StringIO(), StringIO()
    try:
        call_command(*arguments, stdout=out, stderr=errors)
    except SystemExit as end:
        return end.code, out.getvalue(), errors.getvalue()
    return 0, out.getvalue(), errors.getvalue()


@pytest.fixture
def cron_only(settings):
    settings.PASSWORD_RESET_TASK_BACKEND = None


def age(**age):
    PasswordResetRequest.objects.update(created_at=timezone.now() - timedelta(**age))


def test_what_is_due_is_sent(cron_only, mailoutbox):
    users = UserFactory.create_batch(3)
    for user in users:
        ask(user.email)
    code, out, errors = run("process_reset_requests")
    assert (code, errors, len(mailoutbox)) == (0, "", 3)
    assert out.startswith("3 ")


@pytest.mark.parametrize(("minutes", "exit_code"), [(4, 0), (6, 1)])
def test_a_row_that_waited_too_long_is_a_warning_and_still_sent(
    cron_only, user, mailoutbox, minutes, exit_code
):
    ask(user.email)
    age(minutes=minutes)
    code, _out, errors = run("process_reset_requests")
    assert code == exit_code
    assert ("1 request due since" in errors) == bool(exit_code)
    assert len(mailoutbox) == 1
    assert run("process_reset_requests")[0] == 0


def test_a_row_that_another_worker_holds_or_that_waits_for_its_turn_is_no_warning(
    cron_only, user
):
    ask(user.email)
    age(hours=1)
    PasswordResetRequest.objects.update(
        attempts=3, next_attempt_at=timezone.now() + timedelta(minutes=10)
    )
    assert run("process_reset_requests")[0] == 0


def test_a_row_whose_next_attempt_has_just_come_is_no_warning(cron_only, user):
    ask(user.email)
    age(hours=1)
    PasswordResetRequest.objects.update(attempts=6, next_attempt_at=timezone.now())
    assert run("process_reset_requests")[0] == 0


def test_rows_used_up_by_crashes_are_settled_first(cron_only, user):
    row = ask(user.email)
    PasswordResetRequest.objects.update(
        attempts=12, next_attempt_at=timezone.now() - timedelta(minutes=10)
    )
    assert run("process_reset_requests")[0] == 0
    row.refresh_from_db()
    assert (bool(row.failed_at), row.last_error) == (True, "crashed")


def test_switched_off_nothing_is_claimed(cron_only, user, settings, mailoutbox):
    row = ask(user.email)
    settings.PASSWORD_RESET_ENABLED = False
    run("process_reset_requests")
    row.refresh_from_db()
    assert (row.attempts, row.processed_at, mailoutbox) == (0, None, [])


def token(user, **values):
    digest = tokens.digest(tokens.new_token())
    return PasswordResetToken.objects.create(
        user=user,
        email=user.email,
        token_hash=digest,
        **{"expires_at": timezone.now() + timedelta(hours=1)} | values,
    )


@pytest.fixture
def dead_and_alive(user):
    """Four dead tokens and a living one."""
    for _ in range(2):
        token(user, used_at=timezone.now())
        token(user, expires_at=timezone.now())
    return token(user)


@pytest.mark.parametrize("size", ["1", "3", "100"])
def test_the_purge_deletes_dead_tokens_and_says_how_many(dead_and_alive, size):
    code, out, errors = run("purge_reset_tokens", "--batch-size", size)
    assert (code, errors) == (0, "")
    assert "4 tokens" in out
    assert PasswordResetToken.objects.get() == dead_and_alive


def test_a_dry_run_counts_and_deletes_nothing(dead_and_alive):
    _code, out, _errors = run("purge_reset_tokens", "--dry-run")
    assert "4 tokens" in out
    assert PasswordResetToken.objects.count() == 5


@pytest.mark.parametrize("size", ["0", "-1", "many", ""])
def test_a_batch_of_nothing_is_refused(size):
    with pytest.raises(CommandError):
        run("purge_reset_tokens", "--batch-size", size)


def test_switched_off_nothing_is_deleted(dead_and_alive, settings):
    settings.PASSWORD_RESET_ENABLED = False
    assert run("purge_reset_tokens")[0] == 0
    assert PasswordResetToken.objects.count() == 5


@pytest.mark.parametrize(
    ("command", "option", "value"),
    [
        ("process_reset_requests", "--concurrency", "0"),
        ("process_reset_requests", "--concurrency", "ten"),
        ("process_reset_requests", "--seconds", "0"),
        ("process_reset_requests", "--interval", "-1"),
        ("process_reset_requests", "--interval", "nan"),
        ("purge_reset_tokens", "--batch-size", "0"),
        ("purge_reset_tokens", "--batch-size", "²"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused_by_its_option(command, option, value):
    with pytest.raises(CommandError, match=option):
        call_command(command, f"{option}={value}")
