"""The worker: claim a batch, look users up, issue the secrets, send, settle.

A secret is made here and leaves in the email alone. No transaction is open while a mail
server is waited for.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeGuard
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import DatabaseError
from django.db.models import prefetch_related_objects
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from . import (
    brands,
    codes,
    deliveries,
    mail_connection,
    mailer,
    metrics,
    pacing,
    ratelimit,
    telemetry,
    tokens,
    users,
)
from .budgets import Scope
from .campaigns import (
    CampaignRow,
    ForcedPasswordReset,
    PasswordResetCampaign,
    PasswordResetInvitation,
)
from .conf import conf
from .deliveries import Sent
from .embedded import EmbeddedWorker
from .mail_connection import MailConnection
from .models import PasswordResetNotice, PasswordResetRequest, PasswordResetToken
from .outbox import HELD, OutboxQuerySet, OutboxRow
from .purposes import Purpose, lifetime_of
from .redaction import redact
from .senders import Senders
from .signals import reset_mail_failed
from .wakeup import is_immediate, wake_by_task, worker_task

if TYPE_CHECKING:
    from django.tasks import Task

logger = logging.getLogger("password_reset")

#: Rows that one claim takes.
BATCH = 100
#: Rows that one claim takes while all of them belong to nobody.
MOST = 1000
#: Emails on their way at once, each over a connection of its own.
SENDERS = 8
#: Seconds that a woken task works before it wakes the next: a worker that is asked to
#: stop waits for no more than this.
TASK_SECONDS = 5.0

#: Seconds that a worker waits for the next slot of a campaign before it ends.
LINGER = 10.0
#: The embedded worker comes back by itself.
EMBEDDED_LINGER = 1.0
#: Seconds between two looks for what workers that died have left, in a run that lasts.
SETTLE_EVERY = 60.0

Letter = Callable[[MailConnection], None]
#: The users of an address, or why they could not be looked up.
Found = list[AbstractBaseUser] | Exception


@dataclass
class Job:
    """What a claimed row asks for: emails, each written and sent by one call.

    ``mails_sent`` counts those of earlier attempts too.
    """

    row: OutboxRow
    letters: list[Letter] = field(default_factory=list)
    mails_sent: int = 0
    errors: list[Exception] = field(default_factory=list)


@dataclass(frozen=True)
class Kind:
    """A kind of row: its table, its name in logs, and which emails it asks for."""

    model: type[Any]
    log_name: str
    task: Task[[int], None]
    #: Rows whose address belongs to nobody have none.
    jobs: Callable[[list[Any]], Iterator[Job]]
    #: Emails that nobody waits for: a few at a time, at the pace of their campaign.
    is_paced: bool = False

    @property
    def outbox(self) -> OutboxQuerySet[Any]:
        rows: OutboxQuerySet[Any] = self.model.objects.all()
        return rows

    def claim(self, room: int, age: float = 0.0) -> list[Any]:
        """Claim due rows that have reached an age, in seconds; none of a campaign."""
        rows = _older_than(age, self.outbox)
        return (rows.filter(campaign=None) if self.is_paced else rows).claim(room)


@worker_task
def deliver_request(request_id: int) -> None:
    """Send the links that a request asks for. A queue sees nothing but a number."""
    _answer(REQUESTS, request_id)


@worker_task
def deliver_notice(notice_id: int) -> None:
    """Send the email that tells an owner of a changed password."""
    _answer(NOTICES, notice_id)


@worker_task
def deliver_invitation(invitation_id: int) -> None:
    """Send the link to a first password."""
    _answer(INVITATIONS, invitation_id)


@worker_task
def deliver_forced_reset(reset_id: int) -> None:
    """Send the link to somebody whose password the site has ended."""
    _answer(FORCED_RESETS, reset_id)


def wake(task: Task[[int], None], pk: int) -> None:
    """Wake whichever worker the host has for a row that is committed."""
    if conf.has_embedded_worker():
        embedded.wake()
    else:
        wake_by_task(task, pk)


def wake_for(kind: Kind, pks: list[int]) -> None:
    """Wake a worker for several rows, or work on them now where the back end is
    Django's Immediate.
    """
    alias = conf.task_backend
    if alias is not None and is_immediate(alias):
        work_on(kind, pks)
    else:
        wake(kind.task, pks[0])


def work_off(
    limit: int | None = None,
    *,
    senders: int = 1,
    stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[int], object] = lambda done: None,
    linger: float = 0.0,
) -> int:
    """Work on what is due, notices first; return on how many rows. Where a campaign is
    paced, stay for its next email if that is due within so many seconds.

    Ends early when no email can be sent at present: the rest of the batch is released,
    since each row would only wait for the same time-out.
    """
    return _work_off(limit, senders, stopped, progress, linger=linger)[0]


def _work_off(
    limit: int | None,
    senders: int,
    stopped: Callable[[], bool],
    progress: Callable[[int], object] = lambda done: None,
    age: Callable[[], float] = lambda: 0.0,
    linger: float = 0.0,
) -> tuple[int, bool]:
    """Also return whether email can be sent at present. Each batch is of rows that have
    reached an age, in seconds.
    """
    done, room, settled = 0, _larger(0), monotonic()
    with Senders(senders, _work, stopped) as crew:
        try:
            while conf.enabled and not crew.is_ended and done != limit:
                # While a campaign is paced, this does not end for hours.
                if monotonic() - settled > SETTLE_EVERY:
                    settle_exhausted()
                    settled = monotonic()
                claimed = room if limit is None else min(room, limit - done)
                kind, rows = _claim(claimed, age())
                if not rows:
                    crew.drain()
                    if linger and pacing.wait_for_slot(linger, stopped):
                        continue
                    break
                jobs = _jobs(kind, rows)
                done += len(rows) - _release(jobs[BATCH:])
                crew.add(jobs[:BATCH])
                # Where more is due it is claimed before the others have nothing to do.
                is_more = kind.is_paced or len(rows) == room
                crew.drain(crew.ready if is_more else 0)
                progress(done - crew.waiting)
                room = _larger(0 if jobs else room)
            crew.drain()
            able = not crew.is_outage
        finally:
            # Whatever has failed: nobody waits for the end of a lease.
            done -= _release(crew.close())
        crew.check()
        return done, able


def _larger(room: int) -> int:
    """Return how many rows to claim after as many of nobody."""
    if conf.user_finder is not users.find_users:
        # Asked one by one, and perhaps over a network: what takes longer than a worker
        # may work would be given back untried, for ever.
        return SENDERS
    can_skip = REQUESTS.outbox.can_skip()
    return min(max(2 * room, BATCH), MOST) if can_skip else BATCH


def work_on(kind: Kind, pks: list[int]) -> int:
    """Work on some rows; return how many were due and not claimed."""
    rows = kind.outbox.filter(pk__in=pks).claim(len(pks)) if conf.enabled else []
    if rows:
        with Senders(1, _work, lambda: False) as crew:
            try:
                crew.add(_jobs(kind, rows))
                crew.drain()
            finally:
                _release(crew.close())
    return len(rows)


def settle_exhausted() -> None:
    """Give up the rows whose last attempt ended in a crash."""
    for kind in KINDS:
        for row in kind.outbox.exhausted():
            metrics.email_failures_total.inc()
            _give_up(row, "crashed", None)


def is_work_left() -> bool:
    """Return whether anything is due."""
    return any(kind.outbox.due().exists() for kind in KINDS)


def _work_off_all(age: Callable[[], float]) -> None:
    if conf.enabled:
        settle_exhausted()
        _work_off(None, 1, lambda: False, age=age, linger=EMBEDDED_LINGER)


embedded = EmbeddedWorker(_work_off_all)


def _answer(kind: Kind, pk: int) -> None:
    """Do what a wake-up asks for and, in a worker, all that waits beside it.

    Not every row has a task of its own, so one that ends with work left wakes the next.
    """
    alias = conf.task_backend
    if alias is None or is_immediate(alias):
        work_on(kind, [pk])
        return
    until = monotonic() + TASK_SECONDS
    _, able = _work_off(
        None, SENDERS, stopped=lambda: monotonic() > until, linger=LINGER
    )
    # While no email can be sent, the rows keep their attempts.
    if able and monotonic() > until and is_work_left():
        wake_by_task(kind.task, pk)


def _claim(room: int, age: float = 0.0) -> tuple[Kind, list[Any]]:
    """Claim rows of the first kind that has some due, and after all of them those of a
    campaign; an empty list when there are none.
    """
    for kind in UNPACED:
        if rows := kind.claim(room, age):
            return kind, rows
    # No more than leave at once: whoever asks for a link meanwhile comes first.
    few = min(room, SENDERS)
    for campaign in PasswordResetCampaign.objects.running():
        kind = PACED[campaign.kind]
        if rows := pacing.claim(campaign, _older_than(age, kind.outbox), few):
            return kind, rows
    return KINDS[-1], []


def _older_than(seconds: float, rows: OutboxQuerySet[Any]) -> OutboxQuerySet[Any]:
    if not seconds:
        return rows
    return rows.filter(created_at__lte=timezone.now() - timedelta(seconds=seconds))


def _jobs(kind: Kind, rows: list[Any]) -> list[Job]:
    """Return what claimed rows ask for, and settle those that ask for nothing."""
    for row in rows:
        # The same number stands in the log line of the web request that made the row.
        fields = {kind.log_name: row.pk, "attempt": row.attempts}
        fields |= brands.fields(row.brand)
        logger.info("Password reset mail attempted", extra=fields)
    started, begun = monotonic(), telemetry.now()
    jobs = list(kind.jobs([row for row in rows if not row.is_held]))
    busy = {job.row.pk for job in jobs}
    if held := [row for row in rows if row.is_held]:
        _settle_held(kind, held, rows[0].claim_id)
        _trace(kind, [row.pk for row in held], HELD, begun)
        busy |= {row.pk for row in held}
    if unknown := [row.pk for row in rows if row.pk not in busy]:
        kind.outbox.filter(pk__in=unknown).settle(rows[0].claim_id)
        _trace(kind, unknown, "no_email", begun)
        # A worker on junk alone is not silent: each row counts, with its share of time.
        share = (monotonic() - started) / len(rows)
        spent = metrics.duration_seconds.labels(step="mail")
        for _row in unknown:
            spent.observe(share)
    return jobs


def _trace(kind: Kind, pks: list[int], outcome: str, begun: int) -> None:
    table, begins = kind.model._meta.db_table, kind.is_paced
    telemetry.settled(table, pks, outcome, begun, begins=begins)


def _settle_held(kind: Kind, held: list[Any], mark: UUID | None) -> None:
    """Record the refusals that the answer to the visitor was not to tell, and that its
    time was not to either.
    """
    kind.outbox.filter(pk__in=[row.pk for row in held]).settle(mark, HELD)
    for row in held:
        fields = {kind.log_name: row.pk}
        ratelimit.record_refusal(Scope.REQUEST_EMAIL, row.ip_address, **fields)


def _release(jobs: list[Job]) -> int:
    """Give back the rows of jobs that nobody has begun; return how many."""
    claims: dict[tuple[type[Any], UUID | None], list[int]] = {}
    for job in jobs:
        claims.setdefault((type(job.row), job.row.claim_id), []).append(job.row.pk)
    return sum(
        model.objects.filter(pk__in=keys).release(mark)
        for (model, mark), keys in claims.items()
    )


def _work(job: Job, connection: MailConnection) -> None:
    """Send a row's emails and record what became of them."""
    row, begins = job.row, isinstance(job.row, CampaignRow)
    with (
        metrics.timed("mail"),
        telemetry.delivering(
            row._meta.db_table, row.pk, row.attempts, begins=begins
        ) as span,
    ):
        for letter in job.letters:
            # Where a batch is long, many share an address, or a server is slow, another
            # worker may have taken the row over: it sends the mail.
            if not row.keep_lease():
                span.set_attribute(telemetry.OUTCOME, "taken_over")
                return
            try:
                letter(connection)
                job.mails_sent += 1
            except Exception as error:
                job.errors.append(_record(error))
            _remember(row, connection.take_sent())
        span.set_attribute(telemetry.OUTCOME, _settle(job))
        span.set_attribute("password_reset.mails_sent", job.mails_sent)
        for first in job.errors[:1]:
            telemetry.failed(span, first, mail_connection.error_code(first))


def _remember(row: OutboxRow, sent: list[Sent]) -> None:
    """Write down what was sent. A failure of that must not make an email that was sent
    look like one that was not.
    """
    try:
        if sent:
            deliveries.remember(row, sent)
    except DatabaseError as error:
        _record(error)


def _settle(job: Job) -> str:
    """Record what became of a row's emails; return it in a word."""
    row, sent = job.row, job.mails_sent
    lasting = [e for e in job.errors if not mail_connection.is_permanent(e)]
    if not job.errors:
        if not row.mark_processed(mails_sent=sent):
            deliveries.forget_erased(row)
        return "processed"
    if not lasting or row.is_last_attempt:
        _give_up(row, mail_connection.error_code(job.errors[0]), sent)
        return "failed"
    row.retry_later(mail_connection.error_code(lasting[0]), mails_sent=sent)
    return "retry"


def _give_up(row: OutboxRow, reason: str, mails_sent: int | None) -> None:
    if not row.mark_failed(reason, mails_sent=mails_sent):
        return
    if isinstance(row, PasswordResetRequest):
        metrics.requests_total.labels(status="failed").inc()
    reset_mail_failed.send_robust(sender=type(row), row=row, reason=reason)
    logger.error(
        "Password reset mail given up",
        extra={
            "outbox": row._meta.db_table,
            "row": row.pk,
            "reason": reason,
            **brands.fields(row.brand),
        },
    )


def _request_jobs(rows: list[PasswordResetRequest]) -> Iterator[Job]:
    """Yield a job for each request whose address somebody has."""
    try:
        found = _found([row.email for row in rows])
        mailed = _mailed_before([row.pk for row in rows if row.email in found])
    except Exception as error:
        _record(error)
        yield from (Job(row, errors=[error], mails_sent=row.mails_sent) for row in rows)
        return
    for row in rows:
        if row.email in found:
            job = _request_job(row, found[row.email], mailed.get(row.pk, set()))
            if job.letters or job.errors or job.mails_sent:
                yield job


def _found(emails: list[str]) -> dict[str, Found]:
    """Return who has which address, looked up in one statement, or one by one where the
    host has a finder of its own.
    """
    finder = conf.user_finder
    if finder is users.find_users:
        try:
            return {**users.find_all(emails)}
        except DatabaseError as error:
            # One address that the database cannot compare must not hold up all others.
            _record(error)
    return {email: _asked(finder, email) for email in emails}


def _asked(finder: Callable[[str], Iterable[AbstractBaseUser]], email: str) -> Found:
    try:
        return list(finder(email))
    except Exception as error:
        return _record(error)


def _mailed_before(keys: list[int]) -> dict[int, set[Any]]:
    """Return the users whom earlier attempts have mailed, by request: also those before
    it was requeued, which starts the count of attempts anew.
    """
    found: dict[int, set[Any]] = {}
    sent = PasswordResetToken.objects.filter(request__in=keys, sent_at__isnull=False)
    for request_id, user_id in sent.values_list("request_id", "user_id"):
        found.setdefault(request_id, set()).add(user_id)
    return found


def _request_job(row: PasswordResetRequest, found: Found, mailed: set[Any]) -> Job:
    """Return the job of sending a link to each user of the address who has none yet."""
    told = len(mailed) + (row.explained_at is not None)
    job = Job(row, mails_sent=max(told, row.mails_sent))
    if isinstance(found, Exception):
        job.errors.append(found)
        return job
    # Distinct: a host's finder may yield a user twice.
    waiting = {user.pk: user for user in found}
    job.letters = _letters(row, waiting.values(), mailed)
    return job


def _letters(
    row: PasswordResetRequest, found: Iterable[AbstractBaseUser], mailed: set[Any]
) -> list[Letter]:
    """Return the emails to the users of an address: a link for each, and one letter for
    all those who have to be told how to log in.
    """
    answers = [(user, users.answer_to(user)) for user in found]
    invited = _invited([user for user, _ in answers])
    letters: list[Letter] = [
        partial(_mail_link, row, user, purpose=invited.get(user.pk, Purpose.RESET))
        for user, answer in answers
        if (answer is users.Answer.LINK or user.pk in invited) and user.pk not in mailed
    ]
    told = [
        user
        for user, answer in answers
        if answer is users.Answer.EXPLANATION and user.pk not in invited
    ]
    if told and row.explained_at is None:
        letters.append(partial(_mail_explanation, row, told))
    return letters


def _invited(found: list[AbstractBaseUser]) -> dict[Any, Purpose]:
    """Return which of an address' users have an invitation to set a first password:
    whoever lost its email asks for a link as everybody does.
    """
    keys = [
        user.pk
        for user in found
        if user.is_active and not user.has_usable_password()
        if not users.must_reset(user)
    ]
    if not keys:
        return {}
    rows = PasswordResetInvitation.objects.open().filter(user__in=keys)
    return dict.fromkeys(rows.values_list("user_id", flat=True), Purpose.INVITATION)


@sensitive_variables("raw", "code")
def _mail_link(
    row: PasswordResetRequest | PasswordResetNotice | CampaignRow,
    user: AbstractBaseUser,
    connection: MailConnection,
    address: str = "",
    purpose: Purpose = Purpose.RESET,
) -> None:
    raw = tokens.new_token()
    # Committed before the email is sent: a link that arrives is a link that works.
    token = PasswordResetToken.objects.create(
        user_id=user.pk,
        request=row if isinstance(row, PasswordResetRequest) else None,
        email=address or users.stored_email(user),
        brand=brands.known(row.brand),
        purpose=purpose,
        token_hash=tokens.digest(raw),
        fingerprint=_fingerprint(user, purpose),
        expires_at=timezone.now() + lifetime_of(purpose),
        ip_address=row.ip_address,
        user_agent=row.user_agent,
    )
    if token.request_id is None:
        telemetry.lead_to(token._meta.db_table, token.pk)
    code = codes.issue(row, user) if _has_code(row, purpose) else ""
    message = mailer.reset_message(
        row, user, raw, token.expires_at, token.email, code, purpose
    )
    message_id = mailer.send(message, connection)[:255]
    PasswordResetToken.objects.filter(pk=token.pk).update(
        message_id=message_id, sent_at=timezone.now()
    )


def _fingerprint(user: AbstractBaseUser, purpose: Purpose) -> str:
    own = purpose.value if purpose is Purpose.INVITATION else ""
    return tokens.fingerprint(*users.identity(user), purpose=own)


def _mail_explanation(
    row: PasswordResetRequest,
    told: list[AbstractBaseUser],
    connection: MailConnection,
) -> None:
    # All are written before one is sent, and one that was sent is not sent again.
    for message in [mailer.explanation_message(row, user) for user in told]:
        mailer.send(message, connection)
        metrics.explanations_total.inc()
        PasswordResetRequest.objects.filter(pk=row.pk).update(
            explained_at=timezone.now()
        )


def _has_code(
    row: PasswordResetRequest | PasswordResetNotice | CampaignRow, purpose: Purpose
) -> TypeGuard[PasswordResetRequest]:
    """Return whether somebody waits who could type a code: staff do not."""
    return (
        conf.codes
        and purpose is Purpose.RESET
        and isinstance(row, PasswordResetRequest)
        and row.source != PasswordResetRequest.Source.ADMIN
    )


def _notice_jobs(rows: list[PasswordResetNotice]) -> Iterator[Job]:
    for row in rows:
        job = Job(row, mails_sent=row.mails_sent)
        try:
            job.letters = _notice_letters(row)
        except Exception as error:
            job.errors.append(_record(error))
        yield job


def _notice_letters(row: PasswordResetNotice) -> list[Letter]:
    """Return the email that tells of a change or, to an owner who knows nothing of it,
    a fresh link to each address that is or was theirs.
    """
    if row.disowned_at is None:
        return [partial(_mail_notice, row)]
    user = row.user
    if users.answer_to(user) is not users.Answer.LINK:
        return []
    # What an earlier attempt has sent belongs to no request.
    sent = PasswordResetToken.objects.filter(
        user_id=user.pk,
        request__isnull=True,
        created_at__gte=row.disowned_at,
        sent_at__isnull=False,
    )
    mailed = set(sent.values_list("email", flat=True))
    return [
        partial(_mail_link, row, user, address=address)
        for address in users.addresses(user)
        if address not in mailed
    ]


def _mail_notice(row: PasswordResetNotice, connection: MailConnection) -> None:
    mailer.send(mailer.changed_message(row), connection)


def _campaign_jobs(rows: list[Any]) -> Iterator[Job]:
    """Yield the link that the site itself sends, for each row whose user may still have
    one; settle the others with the reason.
    """
    try:
        prefetch_related_objects(rows, "user")
        mailed = _mailed_by_campaign(rows)
    except Exception as error:
        _record(error)
        yield from (Job(row, errors=[error], mails_sent=row.mails_sent) for row in rows)
        return
    for row in rows:
        if row.pk in mailed:
            row.mark_processed(mails_sent=1)
        elif job := _campaign_job(row):
            yield job


def _campaign_job(row: Any) -> Job | None:
    """Return the job of sending a row's link; settle the row with the reason where its
    user may have none.
    """
    job = Job(row, mails_sent=row.mails_sent)
    try:
        if obstacle := row.obstacle():
            row.mark_processed(obstacle, mails_sent=row.mails_sent)
            return None
        job.letters.append(partial(_mail_link, row, row.user, purpose=row.purpose))
    except Exception as error:  # of the host's user model
        job.errors.append(_record(error))
    return job


def _mailed_by_campaign(rows: list[Any]) -> set[int]:
    """Return the rows whose link an earlier attempt has sent: a worker may have died
    before it could settle them.
    """
    since = {row.user_id: row.wanted_since for row in rows}
    sent = PasswordResetToken.objects.filter(
        user__in=list(since),
        purpose=rows[0].purpose,
        request__isnull=True,
        sent_at__isnull=False,
    ).values_list("user_id", "created_at")
    done = {user_id for user_id, made in sent if made >= since[user_id]}
    return {row.pk for row in rows if row.user_id in done}


def _record(error: Exception) -> Exception:
    """Count and log a failure. No frames are logged: their variables hold the link."""
    if isinstance(error, DatabaseError):
        metrics.database_errors_total.inc()
    else:
        metrics.email_failures_total.inc()
    trace = redact("".join(traceback.format_exception(error)))
    code = mail_connection.error_code(error)
    logger.warning("Password reset mail failed: %s\n%s", code, trace)
    return error


NOTICES = Kind(PasswordResetNotice, "reset_notice", deliver_notice, _notice_jobs)
REQUESTS = Kind(PasswordResetRequest, "reset_request", deliver_request, _request_jobs)
FORCED_RESETS = Kind(
    ForcedPasswordReset, "forced_reset", deliver_forced_reset, _campaign_jobs, True
)
INVITATIONS = Kind(
    PasswordResetInvitation, "invitation", deliver_invitation, _campaign_jobs, True
)
#: Another kind of email is another entry.
KINDS = (NOTICES, REQUESTS, INVITATIONS, FORCED_RESETS)
#: Those with rows of no campaign, in the order in which they are worked on, before all
#: campaigns: a notice may tell of a theft, and somebody waits for what they asked for.
UNPACED = (NOTICES, REQUESTS, INVITATIONS)
PACED = {kind.model.purpose.value: kind for kind in KINDS if kind.is_paced}
