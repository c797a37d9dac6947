"""Batches: what a claim takes, what becomes of rows in hand, and several workers at
once.
"""

from collections import Counter

import pytest
from django.core import mail
from django.db import DataError, OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from prometheus_client import REGISTRY

from password_reset import services, users, worker
from password_reset.models import (
    PasswordResetNotice,
    PasswordResetRequest,
)
from password_reset.outbox import LEASE
from password_reset.senders import Senders
from tests.tools.factories import UserFactory
from tests.tools.outbox import let_leases_end, mails
from tests.tools.servers import wait_until
from tests.tools.staff import REQUESTS, act, superuser
from tests.tools.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

VISITOR = {"ip_address": "192.0.2.1", "user_agent": "test", "language": "en"}


@pytest.fixture(autouse=True)
def cron_only(settings):
    settings.PASSWORD_RESET_TASK_BACKEND = None


def queue(count):
    """Make requests of people who have an account."""
    model = UserFactory._meta.model
    people = [
        model(email=f"person{number}@example.com", password="md5$x$x")
        for number in range(count)
    ]
    model.objects.bulk_create(people)
    return junk([person.email for person in people])


def junk(emails):
    rows = [PasswordResetRequest(email=email) for email in emails]
    return PasswordResetRequest.objects.bulk_create(rows)


def strangers(count):
    return junk([f"nobody{number}@example.com" for number in range(count)])


def values():
    return PasswordResetRequest.objects.values().get()


@pytest.mark.sqlite
class TestFair:
    """Nobody waits behind a backlog, and no row waits for ever."""

    def test_a_person_behind_five_thousand_strangers_is_in_the_first_batch(self):
        first = strangers(5000)[0]
        person = services.request_reset("ada@example.com", **VISITOR)
        claimed = {row.pk for row in PasswordResetRequest.objects.claim(100)}
        assert len(claimed) == 100
        assert {first.pk, person.pk} <= claimed

    def test_a_row_that_failed_before_is_in_the_first_batch_too(self):
        strangers(1000)
        late = services.request_reset("ada@example.com", **VISITOR)
        PasswordResetRequest.objects.filter(pk=late.pk).update(
            attempts=1, next_attempt_at=timezone.now()
        )
        strangers(1000)
        assert late.pk in {row.pk for row in PasswordResetRequest.objects.claim(100)}

    def test_rows_that_failed_before_leave_room_for_a_new_one(self):
        strangers(500)
        PasswordResetRequest.objects.update(attempts=1, next_attempt_at=timezone.now())
        new = services.request_reset("ada@example.com", **VISITOR)
        assert new.pk in {row.pk for row in PasswordResetRequest.objects.claim(100)}

    def test_a_notice_comes_before_all_requests(self, smtp, user):
        queue(3)
        PasswordResetNotice.objects.create(user=user, email=user.email)
        assert services.process_due(limit=1) == 1
        assert mails(smtp) == {user.email: 1}

    @pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
    @pytest.mark.parametrize("failed_before", [0, 2, 60, 120])
    def test_a_claim_takes_as_many_as_it_may(self, limit, failed_before):
        again = [row.pk for row in strangers(120)[:failed_before]]
        rows = PasswordResetRequest.objects.filter(pk__in=again)
        rows.update(attempts=1, next_attempt_at=timezone.now())
        assert len(PasswordResetRequest.objects.claim(limit)) == limit

    def test_a_limit_counts_rows_of_every_kind(self, smtp, user):
        PasswordResetNotice.objects.create(user=user, email=user.email)
        queue(3)
        strangers(3)
        assert services.process_due(limit=5) == 5
        assert PasswordResetRequest.objects.due().count() == 2


class TestTogether:
    """Two workers at once."""

    def test_each_of_500_rows_is_mailed_once_and_without_a_deadlock(self, smtp):
        people = queue(500)
        before = deadlocks()
        work = [lambda: services.process_due(None, concurrency=4)] * 2
        counts = at_once(work)
        assert sum(counts) == 500
        assert mails(smtp) == {row.email: 1 for row in people}
        assert deadlocks() == before

    def test_what_one_is_claiming_leaves_a_whole_batch_to_the_other(self):
        strangers(200)
        with transaction.atomic():
            first = PasswordResetRequest.objects.claim(100)
            [second] = at_once([lambda: PasswordResetRequest.objects.claim(100)])
        assert len({row.pk for row in [*first, *second]}) == 200

    @pytest.mark.sqlite
    def test_twenty_that_claim_at_once_never_have_the_same_row(self):
        strangers(100)
        taken = at_once([lambda: PasswordResetRequest.objects.claim(10)] * 20)
        claimed = Counter(row.pk for rows in taken for row in rows)
        assert max(claimed.values()) == 1


def deadlocks():
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
        )
        return cursor.fetchone()[0]


@pytest.mark.sqlite
class TestClaimId:
    """A worker whose lease ran out has no say any more."""

    def test_it_cannot_settle_a_row_that_was_requeued(self, smtp):
        [row] = queue(1)
        [stale] = PasswordResetRequest.objects.claim(1)
        let_leases_end()
        assert PasswordResetRequest.objects.requeue() == 1
        before = values()
        assert not stale.mark_processed(mails_sent=1)
        assert not stale.retry_later("late")
        assert not stale.mark_failed("late")
        assert not PasswordResetRequest.objects.settle(stale.claim_id)
        assert values() == before
        assert services.process_due() == 1
        assert mails(smtp) == {row.email: 1}

    def test_try_again_now_beside_a_stale_worker_mails_once(self, smtp):
        [row] = queue(1)
        kind, rows = worker._claim(1)
        jobs = list(kind.jobs(rows))
        let_leases_end()
        act(superuser(), REQUESTS, "retry", row)
        services.process_due()
        rows[0].next_attempt_at -= LEASE
        send(jobs)
        assert mails(smtp) == {row.email: 1}

    def test_nor_give_back_or_settle_in_a_batch_what_another_has(self):
        strangers(3)
        mark = PasswordResetRequest.objects.claim(3)[0].claim_id
        let_leases_end()
        assert len(PasswordResetRequest.objects.claim(3)) == 3
        assert PasswordResetRequest.objects.release(mark) == 0
        assert PasswordResetRequest.objects.settle(mark) == 0


class TestInHand:
    """What becomes of claimed rows that cannot be sent now."""

    def test_an_outage_in_the_middle_gives_back_what_was_not_tried(self, smtp):
        queue(90)
        PasswordResetRequest.objects.update(attempts=3)
        smtp.delay = 0.02
        tried, _ = at_once(
            [
                lambda: services.process_due(None, concurrency=8),
                lambda: (smtp.wait_for(10), smtp.stop()),
            ]
        )
        untouched = PasswordResetRequest.objects.due()
        assert 10 <= tried <= len(smtp.deliveries) + 8
        assert untouched.count() == 90 - tried
        assert set(untouched.values_list("attempts", "claim_id")) == {(3, None)}

    @pytest.mark.parametrize("reply", ["421 4.7.0 Try later", "454 4.7.0 Throttled"])
    def test_a_provider_that_has_had_enough_is_left_alone(self, smtp, reply):
        queue(60)
        smtp.delay, smtp.quota, smtp.over_quota = 0.02, 10, reply
        assert services.process_due(None, concurrency=8) <= len(smtp.deliveries) + 8
        assert smtp.refused <= 2 * 8  # a kept connection that is closed is made anew
        smtp.refused = 0
        assert services.process_due(None, concurrency=8) == 1
        assert smtp.refused == 1

    def test_many_senders_keep_a_connection_each_and_leave_none_open(self, smtp):
        queue(60)
        smtp.delay = 0.01
        services.process_due(None, concurrency=4)
        assert sum(mails(smtp).values()) == 60
        assert 1 < smtp.connections <= 4
        wait_until(lambda: not smtp.open_connections(), lambda: "one is left open")
        assert borrowed() == 1  # this thread's

    @pytest.mark.sqlite
    def test_a_batch_that_outlasts_its_lease_leaves_the_rest_to_the_next_worker(
        self, smtp
    ):
        people = queue(3)
        kind, rows = worker._claim(3)
        jobs = worker._jobs(kind, rows)
        let_leases_end()
        for row in rows:
            row.next_attempt_at -= LEASE
        assert services.process_due() == 3
        send(jobs)
        assert mails(smtp) == {row.email: 1 for row in people}

    @pytest.mark.sqlite
    def test_a_long_batch_renews_the_lease_of_a_row_before_its_mail(self, smtp):
        queue(2)
        kind, rows = worker._claim(2)
        for row in rows:
            row.next_attempt_at -= LEASE
        send(worker._jobs(kind, rows))
        assert sum(mails(smtp).values()) == 2
        assert not PasswordResetRequest.objects.pending().exists()

    @pytest.mark.sqlite
    def test_a_finder_that_yields_a_user_twice_mails_them_once(self, smtp, settings):
        settings.PASSWORD_RESET_USER_FINDER = lambda email: [
            *users.find_users(email),
            *users.find_users(email),
        ]
        [row] = queue(1)
        services.process_due()
        assert mails(smtp) == {row.email: 1}
        assert values()["mails_sent"] == 1

    @pytest.mark.sqlite
    def test_who_was_mailed_is_not_mailed_again_after_a_crash_and_a_requeue(self, smtp):
        [row] = queue(1)
        UserFactory(email=row.email.upper())
        smtp.replies[row.email.upper()] = "451 Later"
        services.process_due()
        smtp.replies.clear()
        # As a crash between the mail and the note of it leaves the row.
        let_leases_end()
        PasswordResetRequest.objects.update(mails_sent=0)
        PasswordResetRequest.objects.requeue()
        services.process_due()
        assert mails(smtp) == {row.email: 1, row.email.upper(): 1}
        assert values()["mails_sent"] == 2


def send(jobs):
    with Senders(1, worker._work, lambda: False) as crew:
        crew.add(jobs)
        crew.drain()


def borrowed():
    """Return how many connections of the pool are in use."""
    stats = connection.pool.get_stats()
    return stats["pool_size"] - stats["pool_available"]


STORED = [
    "ada@example.com",
    "ADA@Example.COM",
    "Straße@example.com",
    "STRASSE@example.com",
    "m\u0131ke@example.com",
    "mike@example.com",
    "M\u0130KE@example.com",
    "\uff41da@example.com",
    "\u212aelvin@example.com",
    "kelvin@example.com",
    "\u03a3igma\u03c2@example.com",
    "\ufb01sh@example.com",
    "fish@example.com",
    "e\u0301ve@example.com",
    "\u00e9ve@example.com",
    "per%cent@example.com",
    "under_score@example.com",
    "o'hara@example.com",
    "back\\slash@example.com",
    "\u01c5@example.com",
]


FORMS = (str, str.upper, str.lower, str.title, str.casefold, str.swapcase)


@pytest.fixture
def look_alikes(db):
    for email in STORED:
        UserFactory(email=email)
    UserFactory(email="aDA@example.com", is_active=False)
    UserFactory(email="adA@example.com", password=None)
    return {form(email) for email in STORED for form in FORMS} | {"bob@example.com"}


@pytest.mark.sqlite
def test_many_are_found_as_each_of_them_is(look_alikes):
    singly = {email: ids(users.find_users(email)) for email in look_alikes}
    known = {email: found for email, found in singly.items() if found}
    assert set(STORED) <= set(known)
    together = users.find_all(look_alikes)
    assert {email: ids(found) for email, found in together.items()} == known
    assert {
        email: ids(users.find_all([email]).get(email, [])) for email in look_alikes
    } == singly


@pytest.mark.sqlite
def test_a_thousand_addresses_are_looked_up_in_one_statement(
    db, django_assert_num_queries
):
    UserFactory(email="ada@example.com")
    strangers = [f"nobody{number}@example.com" for number in range(999)]
    with django_assert_num_queries(1):
        found = users.find_all([*strangers, "ADA@example.com"])
    assert set(found) == {"ADA@example.com"}


def ids(found):
    return sorted(user.pk for user in found)


def test_claims_grow_while_all_rows_are_of_nobody(smtp):
    strangers(690)
    queue(10)
    with CaptureQueriesContext(connection) as queries:
        assert services.process_due(None) == 700
    claims = [each for each in queries if 'SET "attempts"' in each["sql"]]
    assert len(claims) == 4  # 100 with people among them, then 100, 200 and 300
    assert sum(mails(smtp).values()) == 10


def test_one_person_amid_junk_does_not_wait_for_other_people(smtp):
    strangers(150)
    queue(2)
    jobs = worker._jobs(worker.REQUESTS, PasswordResetRequest.objects.claim(152))
    with Senders(8, worker._work, lambda: False) as crew:
        for job in jobs:
            crew.add([job])
            crew.drain(crew.ready)
        assert sum(mails(smtp).values()) == 2


def test_what_a_large_claim_has_of_people_beyond_a_batch_is_given_back(smtp):
    strangers(150)
    queue(150)
    rows = PasswordResetRequest.objects.claim(300)
    jobs = worker._jobs(worker.REQUESTS, rows)
    assert worker._release(jobs[worker.BATCH :]) == 50
    released = PasswordResetRequest.objects.due()
    assert set(released.values_list("attempts", "claim_id")) == {(0, None)}


def test_rows_of_nobody_count_in_the_metric_that_tells_of_a_live_worker(cron_only):
    def observed():
        return REGISTRY.get_sample_value(
            "password_reset_duration_seconds_count", {"step": "mail"}
        )

    before = observed() or 0
    PasswordResetRequest.objects.bulk_create(
        PasswordResetRequest(email=f"nobody{n}@example.com") for n in range(5)
    )
    services.process_due()
    assert observed() - before == 5


class TestWhatFails:
    def test_a_finder_that_takes_longer_than_a_task_still_makes_progress(
        self, settings
    ):
        """Otherwise each task gives all rows back untried and wakes the next."""
        asked = []

        def finder(email):
            asked.append(email)
            return users.find_users(email)

        settings.PASSWORD_RESET_USER_FINDER = finder
        queue(40)
        services.process_due(None, concurrency=2, stopped=lambda: len(asked) > 10)
        assert len(mail.outbox) >= 8

    def test_an_address_that_cannot_be_compared_holds_up_no_other(self, monkeypatch):
        def refuse(emails):
            raise DataError("illegal mix of collations")

        monkeypatch.setattr(users, "find_all", refuse)
        queue(5)
        services.process_due(None)
        assert len(mail.outbox) == 5

    def test_what_a_failed_sender_has_not_begun_is_given_back(self, monkeypatch):
        settled = []

        def settle(job):
            settled.append(job)
            raise OperationalError("server closed the connection")

        monkeypatch.setattr(worker, "_settle", settle)
        queue(60)
        with pytest.raises(OperationalError):
            services.process_due(None, concurrency=4)
        claimed = PasswordResetRequest.objects.filter(claim_id__isnull=False)
        assert claimed.count() == len(settled) <= 4
