"""The public functions of the flow: ask for a link, look at one, spend it, and keep
the tables small.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import (
    DatabaseError,
    InterfaceError,
    OperationalError,
    ProgrammingError,
    models,
    router,
    transaction,
)
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from . import (
    brands,
    codes,
    factors,
    invitations,
    lockouts,
    metrics,
    revokers,
    telemetry,
    tokens,
    users,
    worker,
)
from .campaigns import ForcedPasswordReset, PasswordResetInvitation
from .conf import conf
from .erasure import Erased, erase
from .factors import SecondFactorError, SecondFactorUnavailable
from .forced_resets import force_reset
from .invitations import InvitationRefused, send_invitation, void_invitation
from .models import (
    PasswordResetCode,
    PasswordResetNotice,
    PasswordResetRequest,
    PasswordResetToken,
    PasswordResetTokenQuerySet,
)
from .outbox import FIRST_PAUSE, HELD, OutboxQuerySet
from .purge import PurgeResult, purge
from .purposes import Purpose
from .ratelimit import CounterUnavailable, RateLimited
from .redaction import redact
from .redirects import safe_path
from .revokers import RevocationFailed
from .signals import reset_completed, reset_rejected, reset_requested
from .visitors import client_network

__all__ = [
    "Backlog",
    "Erased",
    "InvitationRefused",
    "Origin",
    "PurgeResult",
    "ResetResult",
    "RevocationFailed",
    "SecondFactorError",
    "SecondFactorUnavailable",
    "TokenError",
    "backlog",
    "erase",
    "find_token",
    "force_reset",
    "latest_request",
    "open_with_code",
    "origin_of",
    "process_due",
    "purge",
    "record_outage",
    "record_rejection",
    "request_reset",
    "reset_password",
    "send_invitation",
    "spend_link",
    "void_invitation",
    "waiting",
]

logger = logging.getLogger("password_reset")

#: Something that the flow needs is down: pages and endpoints answer 503 and ask to come
#: back in so many seconds.
DATABASE_DOWN = (OperationalError, InterfaceError, ProgrammingError)
DEPENDENCY_DOWN = (
    *DATABASE_DOWN,
    CounterUnavailable,
    RevocationFailed,
    SecondFactorUnavailable,
)
RETRY_AFTER = 60
#: Emails that a worker has on their way at once, where nobody says otherwise.
CONCURRENCY = worker.SENDERS
#: Seconds for which a worker stays for the next email of a campaign.
LINGER = worker.LINGER
COUNTED = "_password_reset_counted"
REQUESTS = PasswordResetRequest._meta.db_table
TOKENS = PasswordResetToken._meta.db_table
#: Requests for one address among which a client without a cookie finds its own.
NETWORKS_READ = 100


class TokenError(Exception):
    """A token opens nothing; ``reason`` is ``invalid``, ``expired`` or ``used``.

    ``used`` also stands for: voided, account deactivated, password or address changed
    since the mail.
    """

    def __init__(
        self,
        reason: str,
        *,
        is_malformed: bool = False,
        purpose: str = Purpose.RESET.value,
    ) -> None:
        super().__init__(reason)
        self.reason = reason
        #: What the link was for, where a row answers it.
        self.purpose = purpose
        #: Whether an ``invalid`` token has not even the shape of one.
        self.is_malformed = is_malformed


#: What is no fault of the site, but of what a visitor sent.
REFUSALS = (TokenError, ValidationError, SecondFactorError, RateLimited)


@dataclass(frozen=True)
class ResetResult:
    """What a reset did; ``sessions_deleted`` counts sessions and API tokens."""

    user_id: Any
    sessions_deleted: int


@dataclass(frozen=True)
class Origin:
    """What a link came from: the address that it was mailed to, and where the visitor
    was who asked for it.
    """

    email: str
    next_url: str


@dataclass(frozen=True)
class Backlog:
    """Emails that wait.

    ``pending`` counts whatever is not settled, such as all that an outage holds up,
    and ``oldest_seconds`` is the age of the oldest. ``due`` counts only what a worker
    could take now, and ``due_seconds`` is for how long it could have taken the first of
    these: after some minutes, no worker is running.
    """

    pending: int
    oldest_seconds: float
    due: int
    due_seconds: float


def request_reset(
    email: str,
    *,
    ip_address: str | None,
    user_agent: str,
    language: str,
    source: str = PasswordResetRequest.Source.WEB,
    is_held: bool = False,
    next_url: str = "",
    brand: str = "",
) -> PasswordResetRequest:
    """Accept a request: one row, then a wake-up. No user is looked up, so nothing here
    depends on whether there is an account.

    A row that is held differs in a code: the worker mails nobody for it. ``next_url``
    is where the last page of the reset leads back to; what is not of this site is
    dropped. ``brand`` is a key of ``PASSWORD_RESET_BRANDS``; any other is the default
    brand.
    """
    begun = telemetry.now()
    row: PasswordResetRequest = PasswordResetRequest.objects.create(
        email=email.strip(),
        ip_address=ip_address,
        user_agent=user_agent,
        language=language,
        source=source,
        last_error=HELD if is_held else "",
        next_url=safe_path(next_url),
        brand=brands.known(brand),
    )
    telemetry.accepted(REQUESTS, row.pk, begun, source=str(source))
    # robust: a dead broker must not turn an accepted request into an error; cron finds
    # the row.
    _after_commit(row, partial(worker.wake, worker.deliver_request, row.pk))
    reset_requested.send_robust(sender=PasswordResetRequest, reset_request=row)
    metrics.requests_total.labels(status="accepted").inc()
    logger.info(
        "Password reset requested",
        extra={
            "email": row.email,
            "ip": ip_address,
            "userAgent": user_agent,
            "reset_request": row.pk,
            **brands.fields(row.brand),
        },
    )
    return row


@sensitive_variables("raw")
def find_token(raw: object, *, brand: str = "") -> PasswordResetToken:
    """Return the token that a link carries, with its user. Changes nothing.

    Raises ``TokenError``. One indexed look-up by digest; a value that does not have the
    shape of a token never reaches it. The link of another brand is an unknown one.
    """
    rows = PasswordResetToken.objects.select_related("user", "request")
    token = _known(raw, rows, brand)
    if token.used_at is None and token.is_expired:
        raise TokenError("expired", purpose=token.purpose)
    if token.used_at is not None or not token.matches(token.user):
        raise TokenError("used", purpose=token.purpose)
    return token


@sensitive_variables("raw")
def origin_of(raw: object, *, brand: str = "") -> Origin:
    """Return what a link came from, dead or not. Changes nothing and looks no user up:
    whoever has the link has read that mailbox.

    Raises ``TokenError``.
    """
    rows = PasswordResetToken.objects.select_related("request")
    token = _known(raw, rows.only("email", "request__next_url"), brand)
    return Origin(token.email, token.next_url)


@sensitive_variables("code")
def open_with_code(
    request_id: int | None,
    code: str,
    *,
    ip_address: str | None,
    user_agent: str,
    brand: str = "",
) -> codes.OpenedLink:
    """Spend the code of a request's email and return the link that it becomes.

    ``code`` has the shape that ``codes.clean`` returns. Raises ``codes.CodeError`` with
    the number of tries that are left: five for each request, known address or not.
    """
    try:
        if request_id is None:
            raise codes.CodeError(0)
        with telemetry.step(
            "code", REQUESTS, request_id, begins=False, refusals=(codes.CodeError,)
        ):
            return codes.redeem(
                request_id,
                code,
                ip_address=ip_address,
                user_agent=user_agent,
                brand=brand,
            )
    except codes.CodeError:
        _record_wrong_code(request_id, ip_address)
        raise


def latest_request(
    email: str, ip_address: str | None, *, brand: str = ""
) -> int | None:
    """Return the key of the latest request for an address that came from the same
    network to the same brand and may still have a code; ``None`` for none.
    """
    network = client_network(ip_address)
    # Those of a browser are typed there, with its cookie: nobody beside it uses up
    # their tries. The caller's own address first: others can bury the rest.
    rows = PasswordResetRequest.objects.filter(
        brands.belongs_to(brand),
        email=email.strip(),
        source=PasswordResetRequest.Source.API,
        created_at__gt=timezone.now() - codes.HANDLE_LIFETIME,
    ).order_by("-created_at")
    own = rows.filter(ip_address=ip_address).values_list("pk", "ip_address")[:1]
    near = rows.values_list("pk", "ip_address")[:NETWORKS_READ]
    found = {pk for pk, asked in (*own, *near) if client_network(asked) == network}
    return max(found, default=None)


@sensitive_variables("raw", "new_password", "second_factor")
def reset_password(
    raw: object,
    new_password: str,
    *,
    ip_address: str | None,
    user_agent: str,
    second_factor: str = "",
    brand: str = "",
) -> ResetResult:
    """Spend a token and set a password, exactly once.

    Raises ``TokenError``, or ``ValidationError`` for a password that the site's
    validators refuse; a refused password leaves the link usable, and a code of a second
    factor unused. Raises ``SecondFactorError`` where the account has one and the code
    is missing or not right, and ``RateLimited`` after too many; ``RevocationFailed``
    when what the reset should end could not be ended. The link stays usable then, too.
    """
    return spend_link(
        raw,
        None,
        new_password,
        ip_address=ip_address,
        user_agent=user_agent,
        second_factor=second_factor,
        brand=brand,
    )


@sensitive_variables("raw", "new_password", "second_factor")
def spend_link(
    raw: object,
    found: PasswordResetToken | None,
    new_password: str,
    *,
    ip_address: str | None,
    user_agent: str,
    second_factor: str = "",
    brand: str = "",
) -> ResetResult:
    """Do what ``reset_password`` does, with the link's token where the caller has found
    it already. What it saw is checked again in the write and under lock.
    """
    with metrics.timed("reset"):
        try:
            token = found or find_token(raw, brand=brand)
            with _traced(token):
                _validate(new_password, token.user)
                factors.check(token, second_factor, ip_address)
                reset = _spend(token, new_password, ip_address, user_agent)
        except TokenError as error:
            record_rejection(raw, error.reason, ip_address)
            raise
        except (DatabaseError, InterfaceError) as error:
            _count_once(error)
            raise
    return _finish(reset)


def _traced(token: PasswordResetToken) -> AbstractContextManager[Any]:
    """Record a reset in the trace of the request that its link came from; in one of its
    own where no request is known, as after an invitation.
    """
    known = token.request_id is not None
    row = (REQUESTS, token.request_id) if known else (TOKENS, token.pk)
    return telemetry.step("reset", *row, begins=not known, refusals=REFUSALS)


@sensitive_variables("raw")
def record_rejection(raw: object, reason: str, ip_address: str | None) -> None:
    """Log, count and announce that a link was refused."""
    if reason == "expired":
        metrics.tokens_expired_total.inc()
    reset_rejected.send_robust(
        sender=PasswordResetToken, reason=reason, ip_address=ip_address
    )
    logger.warning(
        "Invalid reset token attempt",
        extra={"token": tokens.mask(raw), "ip": ip_address, "reason": reason},
    )


def _record_wrong_code(request_id: int | None, ip_address: str | None) -> None:
    """Log and announce that a code was refused; never the code."""
    reset_rejected.send_robust(
        sender=PasswordResetCode, reason="code", ip_address=ip_address
    )
    logger.warning(
        "Invalid reset code attempt",
        extra={"reset_request": request_id, "ip": ip_address},
    )


def record_outage(error: Exception) -> None:
    """Log and count that the database cannot be reached; the other outages are logged
    where they happen.
    """
    if isinstance(error, DATABASE_DOWN):
        _count_once(error)
        logger.error("%s: %s", _trouble(error), type(error).__name__)


def _trouble(error: Exception) -> str:
    # PostgreSQL and MySQL call a missing table or column a ProgrammingError, SQLite
    # an OperationalError.
    if isinstance(error, ProgrammingError) or "no such" in str(error):
        return "The tables of password reset are not there: run manage.py migrate"
    return "The database of password reset cannot be reached"


def _count_once(error: Exception) -> None:
    """Count an error of the database, which passes the service and then the view."""
    if COUNTED not in vars(error):
        vars(error)[COUNTED] = True
        metrics.database_errors_total.inc()


def process_due(
    limit: int | None = 100,
    *,
    concurrency: int = 1,
    stopped: Callable[[], bool] = lambda: False,
    progress: Callable[[int], object] = lambda done: None,
    linger: float = 0.0,
) -> int:
    """Work on what is due, notices first, in this process; return on how many rows:
    those that were given back untried do not count.

    For Celery beat, cron, or anything that can call a function: the safety net of every
    queue. ``limit`` rows at most, ``None`` for all; ``concurrency`` emails are on their
    way at once, each over a mail and a database connection of its own (one at a time on
    SQLite and inside a transaction). ``stopped`` is called before each row; while no
    email can be sent, one row is tried and the others keep their attempts. After each
    batch ``progress`` is called with the number of rows so far. While a campaign is
    paced, the call lasts until its next email is over ``linger`` seconds away.
    """
    if not conf.enabled:
        return 0
    worker.settle_exhausted()
    return worker.work_off(
        limit,
        senders=concurrency,
        stopped=stopped,
        progress=progress,
        linger=linger,
    )


def backlog() -> Backlog:
    """Return what waits, and refresh the gauges with it."""
    metrics.campaign_pending.set(_waiting_in_campaigns())
    return waiting()


def waiting() -> Backlog:
    """Return what waits for a worker, and refresh its gauges: what a page of the admin
    asks for, and so without a count of the campaigns.
    """
    # What a campaign sends waits for its pace, not for a worker.
    single = PasswordResetInvitation.objects.filter(campaign__isnull=True)
    outboxes = (PasswordResetRequest.objects, PasswordResetNotice.objects, single)
    pending, oldest = _count([outbox.pending() for outbox in outboxes], "created_at")
    # What waits for its next attempt, as for a mailbox that is full, is not late.
    since = Coalesce("next_attempt_at", "created_at")
    due, late = _count([outbox.due() for outbox in outboxes], since)
    metrics.pending_requests.set(pending)
    metrics.oldest_pending_seconds.set(late)
    return Backlog(pending, oldest, due, late)


def _waiting_in_campaigns() -> int:
    invited = PasswordResetInvitation.objects.filter(campaign__isnull=False)
    forced = ForcedPasswordReset.objects.all()
    return int(invited.pending().count() + forced.pending().count())


@sensitive_variables("raw")
def _known(
    raw: object, rows: PasswordResetTokenQuerySet, brand: str
) -> PasswordResetToken:
    if not tokens.is_well_formed(raw):
        raise TokenError("invalid", is_malformed=True)
    # Of another brand it is as one that nobody has: a page that said where it belongs
    # would tell whoever found a link that it works, and which sites share accounts.
    own = rows.filter(brands.belongs_to(brand))
    token = own.filter(token_hash=tokens.digest(raw)).first()
    if token is None:
        raise TokenError("invalid")
    return token


@dataclass(frozen=True)
class _Reset:
    """A reset that the database has accepted."""

    token: PasswordResetToken
    user: AbstractBaseUser
    revoked: int
    notice: PasswordResetNotice | None
    ip_address: str | None
    user_agent: str
    at: datetime


@sensitive_variables("new_password")
def _validate(new_password: str, user: Any) -> None:
    try:
        validate_password(new_password, user)
    except ValidationError:
        raise
    except Exception as error:
        logger.error(
            "A password validator failed\n%s",
            redact("".join(traceback.format_exception(error))),
        )
        # An error email shows the variables of every frame, and those of a validator
        # contain the password.
        raise error.with_traceback(None) from None


@sensitive_variables("new_password")
def _spend(
    token: PasswordResetToken,
    new_password: str,
    ip_address: str | None,
    user_agent: str,
) -> _Reset:
    with transaction.atomic(using=router.db_for_write(PasswordResetToken)):
        # The write comes first: SQLite cannot upgrade a read lock ("database is
        # locked").
        passed_at = token.second_factor_at
        if not PasswordResetToken.objects.spend(token.pk, second_factor_at=passed_at):
            raise TokenError("expired" if token.is_expired else "used")
        user = _locked_user(token)
        user.set_password(new_password)
        # Only this column: what else changed meanwhile, such as a deactivation, stays.
        user.save(update_fields=["password"])
        revoked = revokers.revoke_all(user)
        notice = _write_notice(user, token, ip_address, user_agent)
        return _Reset(
            token, user, revoked, notice, ip_address, user_agent, timezone.now()
        )


def _locked_user(token: PasswordResetToken) -> AbstractBaseUser:
    """Read the user again, under lock: between form and commit it may have been
    deactivated or deleted.
    """
    user = users.locked(token.user_id)
    if user is None or not token.matches(user):
        raise TokenError("used")
    return user


def _write_notice(
    user: AbstractBaseUser,
    token: PasswordResetToken,
    ip_address: str | None,
    user_agent: str,
) -> PasswordResetNotice | None:
    if not users.stored_email(user):
        return None
    notice: PasswordResetNotice = PasswordResetNotice.objects.create(
        user_id=user.pk,
        email=users.stored_email(user),
        ip_address=ip_address,
        user_agent=user_agent,
        language=token.request.language if token.request else "",
        brand=token.brand,
        # Time to count the sessions first; should this process die now, the mail goes
        # without their number.
        next_attempt_at=timezone.now() + FIRST_PAUSE,
    )
    table = PasswordResetNotice._meta.db_table
    _after_commit(notice, partial(telemetry.accepted, table, notice.pk))
    return notice


def _finish(reset: _Reset) -> ResetResult:
    """Do what follows a reset; none of it can undo the reset."""
    count = reset.revoked
    with _robust("end sessions"):
        count += revokers.end_sessions(reset.user, before=reset.at)
    with _robust("stamp the other links"):
        PasswordResetToken.objects.filter(user_id=reset.user.pk).void()
        PasswordResetCode.objects.filter(user_id=reset.user.pk).void()
    if reset.token.purpose == Purpose.INVITATION:
        with _robust("accept the invitation"):
            invitations.accept(reset.user.pk, reset.at)
    with _robust("release the notice"):
        _release(reset.notice, count)
    # After the commit: a reset that did not happen gives nobody new tries, and a cache
    # rolls nothing back.
    _after_commit(reset.token, partial(_unlock, reset))
    _after_commit(reset.token, partial(_announce, reset, count))
    return ResetResult(user_id=reset.user.pk, sessions_deleted=count)


def _release(notice: PasswordResetNotice | None, count: int) -> None:
    if notice is not None:
        PasswordResetNotice.objects.filter(pk=notice.pk).update(
            sessions_deleted=count, next_attempt_at=None
        )
        _after_commit(notice, partial(worker.wake, worker.deliver_notice, notice.pk))


def _unlock(reset: _Reset) -> None:
    # A lock that stays costs a wait; without the reset its owner would stay out.
    with _robust("unlock the log-in"):
        lockouts.unlock(reset.user, reset.ip_address)


def _announce(reset: _Reset, count: int) -> None:
    asked_at = (reset.token.request or reset.token).created_at
    metrics.completions_total.inc()
    if reset.token.purpose == Purpose.RESET:  # nobody waits for the other emails
        seconds = (reset.at - asked_at).total_seconds()
        metrics.request_to_reset_seconds.observe(seconds)
    logger.info(
        "Password reset completed",
        extra={
            "userId": str(reset.user.pk),
            "ip": reset.ip_address,
            "sessionsDeleted": count,
        },
    )
    reset_completed.send_robust(
        sender=PasswordResetToken,
        user=reset.user,
        token=reset.token,
        sessions_deleted=count,
        ip_address=reset.ip_address,
        user_agent=reset.user_agent,
    )


def _count(sets: list[OutboxQuerySet[Any]], since: str | Coalesce) -> tuple[int, float]:
    """Return how many rows there are and how many seconds ago the first one began."""
    totals = [
        rows.aggregate(count=models.Count("pk"), first=models.Min(since))
        for rows in sets
    ]
    now = timezone.now()
    ages = [
        (now - total["first"]).total_seconds() for total in totals if total["first"]
    ]
    return sum(total["count"] for total in totals), max([0.0, *ages])


def _after_commit(row: models.Model, callback: Callable[[], object]) -> None:
    # A function of its own: of a callback that failed Django logs the __qualname__,
    # which a partial has not.
    transaction.on_commit(lambda: callback(), using=row._state.db, robust=True)  # noqa: PLW0108


@contextmanager
def _robust(step: str) -> Iterator[None]:
    try:
        yield
    except Exception:
        logger.exception("After a password reset it was not possible to %s", step)
