"""The worker's half: claim a row, look users up, issue the secret, send the mail. A
secret is born here.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.forms import PasswordResetForm
from django.db import DatabaseError
from django.db.models import F
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from . import mailer, metrics, tokens, transport
from .bells import bell, is_immediate, ring
from .conf import conf
from .embedded import EmbeddedWorker
from .logging import redact
from .models import (
    OutboxQuerySet,
    OutboxRow,
    PasswordResetNotice,
    PasswordResetRequest,
    PasswordResetToken,
    identity,
    stored_email,
)
from .signals import reset_mail_failed

if TYPE_CHECKING:
    from django.tasks import Task

logger = logging.getLogger("password_reset")

#: Rows that one bell works off: enough to spare most of a burst its own connection and
#: log-in, few enough that a worker which is asked to stop soon does.
BURST = 10


@bell
def deliver_request(request_id: int) -> None:
    """Send the links that a request asks for. A queue sees nothing but a number."""
    _answer(deliver_request, process_request, request_id)


@bell
def deliver_notice(notice_id: int) -> None:
    """Send the mail that tells an owner of a changed password."""
    _answer(deliver_notice, process_notice, notice_id)


def find_users(email: str) -> Iterable[AbstractBaseUser]:
    """Return the active users with a usable password on an address, as Django's own
    form finds them.

    Its comparison is safe against Unicode look-alikes (Django CVE-2019-19844).
    """
    users: Iterable[AbstractBaseUser] = PasswordResetForm().get_users(email)
    return users


def wake(task: Task[[int], None], pk: int) -> None:
    """Have a row worked on that is committed, by whichever worker the host has."""
    if conf.has_embedded_worker():
        _embedded.wake()
    else:
        ring(task, pk)


def work_off_all() -> None:
    """Work until nothing is due, or until no mail can leave."""
    if conf.enabled:
        settle_exhausted()
        while work_off(BURST) >= BURST:
            pass


_embedded = EmbeddedWorker(work_off_all)


def process_request(pk: int) -> bool:
    """Claim a request and mail its users; ``False`` when it is not due or another
    worker has it.
    """
    return _process(PasswordResetRequest.objects.all(), pk, _mail_links)


def process_notice(pk: int) -> bool:
    """Claim a notice and mail it; ``False`` when it is not due or another worker has
    it.
    """
    return _process(PasswordResetNotice.objects.all(), pk, _mail_notice)


def work_off(limit: int, stopped: Callable[[], bool] = lambda: False) -> int:
    """Work on what is due, oldest first, over one connection; return how many rows were
    claimed.

    Ends before the limit when no mail can leave at present: each row would only wait
    for the same time-out.
    """
    claimed = 0
    with transport.connection() as line:
        for outbox, process in (
            (PasswordResetRequest.objects, process_request),
            (PasswordResetNotice.objects, process_notice),
        ):
            due = (
                outbox.due()
                .order_by("next_attempt_at", "pk")
                .values_list("pk", flat=True)
            )
            for pk in list(due[: limit - claimed]):
                if line.down or stopped():
                    return claimed
                claimed += process(pk)
    return claimed


def settle_exhausted() -> None:
    """Give up the rows whose last attempt ended in a crash."""
    for outbox in (PasswordResetRequest.objects, PasswordResetNotice.objects):
        for row in outbox.exhausted():
            metrics.email_failures_total.inc()
            _give_up(row, "crashed")


def _answer(heard: Task[[int], None], process: Callable[[int], bool], pk: int) -> None:
    """Do what a bell rings for and, in a worker, some of what waits beside it while the
    connection is open.

    Not every row has a bell of its own, so one that ends with its hands full rings the
    next.
    """
    with transport.connection() as line:
        process(pk)
        alias = conf.task_backend
        if alias is None or is_immediate(alias) or line.down:
            return
        # While no mail can leave, the rows keep their attempts.
        if work_off(BURST) and not line.down and _is_work_left():
            ring(heard, pk)


def _is_work_left() -> bool:
    return any(
        outbox.due().exists()
        for outbox in (PasswordResetRequest.objects, PasswordResetNotice.objects)
    )


def _process(
    outbox: OutboxQuerySet[Any], pk: int, send: Callable[[Any], list[Exception]]
) -> bool:
    if not conf.enabled:
        return False
    row = outbox.claim(pk)
    if row is None:
        return False
    # The same number stands in the line of the web request that made the row.
    name = "reset_request" if isinstance(row, PasswordResetRequest) else "reset_notice"
    logger.info(
        "Password reset mail attempted", extra={name: row.pk, "attempt": row.attempts}
    )
    with metrics.timed("mail"):
        _settle(row, send(row))
    return True


def _settle(row: OutboxRow, errors: list[Exception]) -> None:
    lasting = [error for error in errors if not transport.is_permanent(error)]
    if not errors:
        row.settle()
    elif not lasting or row.is_last_attempt:
        _give_up(row, transport.error_code(errors[0]))
    else:
        row.postpone(transport.error_code(lasting[0]))


def _give_up(row: OutboxRow, reason: str) -> None:
    if not row.give_up(reason):
        return
    if isinstance(row, PasswordResetRequest):
        metrics.requests_total.labels(status="failed").inc()
    reset_mail_failed.send_robust(sender=type(row), row=row, reason=reason)
    logger.error(
        "Password reset mail given up",
        extra={"outbox": row._meta.db_table, "row": row.pk, "reason": reason},
    )


def _mail_links(row: PasswordResetRequest) -> list[Exception]:
    """Mail everyone on the address whom this request has not mailed yet; return what
    went wrong.
    """
    errors: list[Exception] = []
    try:
        mailed = set(
            row.tokens.filter(sent_at__isnull=False).values_list("user_id", flat=True)
        )
        waiting = [
            user for user in conf.user_finder(row.email) if user.pk not in mailed
        ]
    except Exception as error:
        return [_record(error)]
    for user in waiting:
        try:
            # Before each mail: where many share an address, or a server is slow, the
            # row stays this worker's.
            if not row.renew_lease():
                break
            _mail_link(row, user)
        except Exception as error:
            errors.append(_record(error))
    return errors


@sensitive_variables("raw")
def _mail_link(row: PasswordResetRequest, user: AbstractBaseUser) -> None:
    raw = tokens.new_token()
    # Committed before the mail leaves: a link that arrives is a link that works.
    token = PasswordResetToken.objects.create(
        user_id=user.pk,
        request=row,
        email=stored_email(user),
        token_hash=tokens.digest(raw),
        fingerprint=tokens.fingerprint(*identity(user)),
        expires_at=timezone.now() + conf.token_lifetime,
        ip_address=row.ip_address,
        user_agent=row.user_agent,
    )
    token.message_id = mailer.send_reset(row, user, raw, token.expires_at)[:255]
    token.sent_at = timezone.now()
    token.save(update_fields=["message_id", "sent_at"])
    PasswordResetRequest.objects.filter(pk=row.pk).update(
        mails_sent=F("mails_sent") + 1
    )


def _mail_notice(row: PasswordResetNotice) -> list[Exception]:
    try:
        mailer.send_changed(row)
    except Exception as error:
        return [_record(error)]
    PasswordResetNotice.objects.filter(pk=row.pk).update(mails_sent=F("mails_sent") + 1)
    return []


def _record(error: Exception) -> Exception:
    """Count and log a failure. No frames are logged: their variables hold the link."""
    if isinstance(error, DatabaseError):
        metrics.database_errors_total.inc()
    else:
        metrics.email_failures_total.inc()
    trace = redact("".join(traceback.format_exception(error)))
    logger.warning(
        "Password reset mail failed: %s\n%s", transport.error_code(error), trace
    )
    return error
