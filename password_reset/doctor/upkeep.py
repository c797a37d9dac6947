"""Clocks, cron, the queue, webhooks, and what the system checks say."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.checks import ERROR, INFO, run_checks
from django.core.mail.backends.smtp import EmailBackend as SmtpBackend
from django.db import connections, router
from django.db.models import Q
from django.utils import timezone

from password_reset import services
from password_reset.campaigns import PasswordResetCampaign
from password_reset.checks.sending import NO_WORKER_AFTER
from password_reset.conf import conf
from password_reset.deliveries import Delivery
from password_reset.mail_connection import new_backend
from password_reset.models import (
    PasswordResetDelivery,
    PasswordResetNotice,
    PasswordResetRequest,
    PasswordResetToken,
)

from .findings import Finding, Patient, WebError, fault, good, note, warning

#: Seconds by which clocks may differ without a word, and without harm.
SMALL, HARMFUL = 5.0, 60.0
#: A nightly job that has run leaves nothing this old.
NIGHTLY = timedelta(hours=26)
#: A job of each minute leaves nothing this old.
EACH_MINUTE = timedelta(minutes=3)
#: So many emails without any report are no accident.
REPORTED_OF = 20
#: Whoever began a campaign so long ago is no longer at it.
BEGUN_BEFORE = timedelta(hours=1)
RESUME: dict[str, str] = {
    PasswordResetCampaign.Kind.INVITATION: "Run manage.py invite_users once more, as "
    "for campaign {}.",
    PasswordResetCampaign.Kind.FORCED: "Run manage.py force_password_reset --resume "
    "{}.",
}
NOW = {
    "postgresql": "SELECT extract(epoch FROM clock_timestamp())",
    "mysql": "SELECT unix_timestamp(now(6))",
}


def check_clocks(patient: Patient) -> Iterator[Finding]:
    """Web, worker, database and this process agree on the time."""
    found = {
        "the web process": _of_web(patient),
        "the worker": _of_worker(patient),
        "the database": _of_database(),
    }
    yield from judge_clocks(
        {name: skew for name, skew in found.items() if skew is not None}
    )


def judge_clocks(skews: dict[str, float]) -> Iterator[Finding]:
    """Judge by how many seconds clocks are ahead of the one here."""
    off = {name: skew for name, skew in skews.items() if abs(skew) > SMALL}
    for name, skew in off.items():
        judge = fault if abs(skew) > HARMFUL else warning
        way = "ahead of" if skew > 0 else "behind"
        yield judge(
            f"The clock of {name} is {abs(skew):.0f} s {way} the one here: links die "
            "early or late.",
            "Let NTP set the clocks of all machines.",
        )
    if not off:
        yield good(f"The clocks agree: {', '.join(['here', *skews])}.")


def check_time_zone(patient: Patient) -> Iterator[Finding]:
    """Web and worker write moments alike."""
    here = settings.TIME_ZONE if settings.USE_TZ else "USE_TZ is off"
    there = patient.diagnosis.said["time_zone"]
    if here != there:
        yield warning(
            f"The web process has another time zone ({there}) than this one ({here}).",
            "Give all processes the same settings.",
        )
        return
    yield good(f"One time zone: {here}.")


def check_cron(patient: Patient) -> Iterator[Finding]:
    """What cron does was done: known by what is left lying."""
    if not conf.enabled:
        yield note("The flow is switched off: cron has nothing to do.")
        return
    if _is_unpurged():
        yield fault(
            "Rows are past their time by more than a day: the nightly clean-up has "
            "not run.",
            "Run manage.py purge_reset_tokens each night (deploy/cron, "
            "deploy/systemd).",
        )
    elif _is_untried():
        yield fault(
            "Emails that should have been tried again were not.",
            "Run manage.py process_reset_requests each minute (deploy/cron, "
            "deploy/systemd).",
        )
    else:
        yield good("Nothing is left lying that cron should have taken.")


def check_queue(patient: Patient) -> Iterator[Finding]:
    """Emails leave as fast as they are asked for."""
    waiting = services.backlog()
    tasks = _waiting_tasks()
    if waiting.due_seconds > NO_WORKER_AFTER.total_seconds():
        yield fault(
            f"{waiting.due} emails are due, the oldest since "
            f"{waiting.due_seconds / 60:.0f} minutes.",
            "Start the worker, or more of them; the admin says what the last one met.",
        )
    elif tasks:
        yield warning(
            f"{tasks} tasks wait in the queue for over five minutes.",
            "Start manage.py db_worker, for the queue that I001 names.",
        )
    else:
        yield good(f"{waiting.due} emails are due.")


def check_campaigns(patient: Patient) -> Iterator[Finding]:
    """The emails of campaigns leave, and nobody is left out."""
    if not conf.enabled:
        yield note("The flow is switched off: no campaign goes on.")
        return
    before = timezone.now() - BEGUN_BEFORE
    left = PasswordResetCampaign.objects.filter(
        completed_at__isnull=True, created_at__lte=before
    )
    for campaign in left:
        yield warning(
            f"{campaign} has people whom it has not dealt with.",
            RESUME[campaign.kind].format(campaign.pk),
        )
    stuck = [each for each in PasswordResetCampaign.objects.running() if _waits(each)]
    for campaign in stuck:
        yield fault(
            f"{campaign} has emails to send, and no worker has sent one for "
            f"{(timezone.now() - campaign.next_slot_at).total_seconds() / 60:.0f} "
            "minutes.",
            "Start the worker; manage.py process_reset_requests sends them too.",
        )
    if not stuck and not left:
        yield good("No campaign is stuck.")


def check_webhooks(patient: Patient) -> Iterator[Finding]:
    """The mail provider reports what became of emails."""
    if isinstance(new_backend(), SmtpBackend):
        yield note("SMTP reports nothing: of an email its server's answer is kept.")
        return
    week = timezone.now() - timedelta(days=7)
    sent = PasswordResetDelivery.objects.filter(sent_at__gte=week)
    reported = sent.exclude(state=Delivery.ACCEPTED).exists()
    if reported:
        yield good("The mail provider reports what becomes of emails.")
    elif sent[:REPORTED_OF].count() < REPORTED_OF:
        yield note("Too few emails were sent this week to say whether reports come.")
    else:
        yield warning(
            "Emails were sent, but no report of any has come: bounces stay unseen.",
            'Set up the webhook (docs/operating.md, "Emails come back").',
        )


def check_settings(patient: Patient) -> Iterator[Finding]:
    """The system checks of this app are content."""
    # Without its databases, which Django 6.1 would ask even while they are away.
    ours = [
        message
        for message in run_checks(databases=[])
        if str(message.id).startswith("password_reset.") and not message.is_silenced()
    ]
    for message in ours:
        text, remedy = f"{message.id}: {message.msg}", str(message.hint or "")
        if message.level <= INFO:
            yield note(text)
        else:
            judge = fault if message.level >= ERROR else warning
            yield judge(text, remedy)
    if settings.DEBUG:
        yield note("DEBUG is on: what is normal in development is not called a fault.")
    if not ours:
        yield good("The system checks find nothing.")


def _of_web(patient: Patient) -> float | None:
    try:
        diagnosis = patient.diagnosis
    except WebError:
        return None
    said = diagnosis.said.get("time")
    if said is None or diagnosis.asked_at is None or diagnosis.answer is None:
        return None
    middle = diagnosis.asked_at.timestamp() + diagnosis.answer.took / 2
    return float(said) - middle


def _of_worker(patient: Patient) -> float | None:
    """Return how far the moment that a worker wrote lies outside of the check."""
    if patient.settled_at is None or not settings.USE_TZ:
        return None
    ahead = (patient.settled_at - timezone.now()).total_seconds()
    return ahead if ahead > 0 else min(ahead + patient.wait + SMALL, 0.0)


def _of_database() -> float | None:
    connection = connections[router.db_for_write(PasswordResetRequest)]
    if connection.vendor not in NOW:
        return None
    with connection.cursor() as cursor:
        cursor.execute(NOW[connection.vendor])
        return float(cursor.fetchone()[0]) - datetime.now(UTC).timestamp()


def _is_unpurged() -> bool:
    tokens = PasswordResetToken.objects.purgeable(conf.token_retention + NIGHTLY)
    before = timezone.now() - conf.request_retention - NIGHTLY
    old = (
        model.objects.settled().filter(created_at__lte=before)
        for model in (PasswordResetRequest, PasswordResetNotice)
    )
    return tokens.exists() or any(rows.exists() for rows in old)


def _is_untried() -> bool:
    """Return whether rows are due for another attempt, or were used up by crashes, and
    nobody takes them.
    """
    before = timezone.now() - EACH_MINUTE
    for model in (PasswordResetRequest, PasswordResetNotice):
        late = model.objects.pending().filter(
            next_attempt_at__lte=before, attempts__gt=0
        )
        if late.exists():
            return True
    return False


def _waits(campaign: PasswordResetCampaign) -> bool:
    """Return whether nobody takes the emails of a campaign, though it is their time."""
    before = timezone.now() - NO_WORKER_AFTER
    late = Q(next_attempt_at__isnull=True) | Q(next_attempt_at__lte=before)
    return campaign.next_slot_at <= before and campaign.rows.due().filter(late).exists()


def _waiting_tasks() -> int:
    """Return how many tasks of django-tasks-db wait too long; none where another queue
    is used.
    """
    if not apps.is_installed("django_tasks_db"):
        return 0
    results: Any = apps.get_model("django_tasks_database", "DBTaskResult")
    before = timezone.now() - NO_WORKER_AFTER
    ready = results.objects.filter(status="READY", enqueued_at__lte=before)
    late = ready.exclude(run_after__gt=before)
    return int(late[:1000].count())
