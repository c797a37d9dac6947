"""Limits that protect access: no stranger keeps another from an email, fills their
mailbox, or learns what others asked for.
"""

import logging
from functools import partial

import pytest
import redis
import time_machine
from django.core import mail
from django.test import Client

from password_reset import counters, metrics, ratelimit
from password_reset.models import PasswordResetRequest
from tests.tools.factories import UserFactory
from tests.tools.staff import REQUESTS, committed, staff
from tests.tools.threads import at_once
from tests.tools.walk import ask, call

ADA = "ada@example.com"
SEND = ("view_user", "send_passwordresetrequest")

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def frozen_clock():
    """Let no window end in the middle of a test."""
    with time_machine.travel("2026-11-22T10:00:00Z", tick=False) as clock:
        yield clock


@pytest.fixture(autouse=True)
def ada(db):
    return UserFactory(email=ADA)


def network(number):
    """Return an address in one of many networks."""
    return f"198.{18 + number // 250}.{number % 250}.1"


def answers(email, addresses):
    with committed():
        return [
            ask(Client(), email, REMOTE_ADDR=each).status_code for each in addresses
        ]


def send(browser, user):
    """Send a link as staff do."""
    with committed():
        return browser.post(f"{REQUESTS}send/{user.pk}/", follow=True)


def use_up(clock, address="203.0.113.9", hours=4):
    """Ask for Ada's address from one network as often as it may for some hours."""
    for _ in range(hours):
        answers(ADA, [address] * 4)
        clock.shift(3600)


class TestAccess:
    def test_one_network_leaves_half_of_the_day_s_emails_to_others(self, frozen_clock):
        use_up(frozen_clock)
        assert len(mail.outbox) == 5
        answers(ADA, [network(number) for number in range(3)])
        assert len(mail.outbox) == 8

    def test_a_new_network_is_served_in_the_hour_that_another_has_used_up(self):
        answers(ADA, ["203.0.113.9"] * 3)
        answers(ADA, [network(1)])
        assert len(mail.outbox) == 4

    @pytest.mark.parametrize("addresses", ["203.0.113.{}", "2001:db8:0:{}::1"])
    def test_a_whole_24_or_48_is_one_network_in_this(self, addresses):
        answers(ADA, [addresses.format(number) for number in range(1, 30)])
        assert len(mail.outbox) == 3
        answers(ADA, [network(1)])
        assert len(mail.outbox) == 4

    def test_twenty_networks_leave_staff_a_way(self, frozen_clock, ada):
        for hour in range(6):
            answers(ADA, [network(hour * 20 + number) for number in range(20)])
            frozen_clock.shift(3600)
        before = len(mail.outbox)
        send(staff(*SEND), ada)
        assert len(mail.outbox) == before + 1


class TestMailbox:
    def test_a_day_brings_fifteen_emails_however_many_ask(self, frozen_clock):
        with time_machine.travel(day_begins(ADA), tick=False) as clock:
            for hour in range(23):
                answers(ADA, [network(hour * 10 + number) for number in range(10)])
                clock.shift(3600)
        # Windows of two keys begin at different moments of the day.
        assert 10 <= len(mail.outbox) <= 20

    def test_a_burst_from_one_network_takes_no_more_than_its_share(self, settings):
        settings.PASSWORD_RESET_REQUEST_RATE_PER_EMAIL = "10/d"
        settings.PASSWORD_RESET_REQUEST_RATE_PER_IP_AND_EMAIL = "3/d"
        ask_at_once = [
            partial(
                ratelimit.enforce_request_limits, f"2001:db8:0:{number:x}00::1", ADA
            )
            for number in range(20)
        ]
        admitted = at_once(ask_at_once)
        assert sum(not each.is_held for each in admitted) <= 3
        mailbox = ratelimit.budgets.of_mailbox(ADA)
        counted = counters.store().read(mailbox.windows)
        assert max(counted.values()) <= 3

    def test_an_address_of_nobody_is_counted_as_well(self):
        answers("nobody@example.com", [network(number) for number in range(9)])
        held = PasswordResetRequest.objects.filter(last_error="mailbox_limit")
        assert held.count() == 4


def day_begins(email):
    """Return the moment at which the day of an address begins."""
    windows = ratelimit.budgets.of_mailbox(email).windows
    return max(windows, key=lambda window: window.period).ends + 1


class TestSilence:
    """What others did is told to nobody."""

    @pytest.mark.parametrize("by", ["page", "api"])
    def test_whoever_asks_first_gets_the_answer_of_whoever_asks_tenth(self, by):
        def knock(number):
            address = {"REMOTE_ADDR": network(number)}
            if by == "page":
                return ask(Client(), ADA, **address)
            body = {"email": ADA}
            return call(Client(), "request-password-reset", body, **address)

        with committed():
            seen = [knock(number) for number in range(10)]
        assert len({(each.status_code, each.content) for each in seen}) == 1
        assert len(mail.outbox) == 5

    def test_a_visitor_is_told_of_their_own_requests_the_same_either_way(self):
        """202, 202, 429 would tell that somebody asked within the hour."""
        victim, nobody = "203.0.113.1", "198.51.100.1"
        answers(ADA, [victim] * 2)
        assert answers(ADA, [network(1)] * 4) == [302, 302, 302, 429]
        assert answers("nobody@example.com", [nobody] * 4) == [302, 302, 302, 429]

    def test_a_neighbour_in_the_same_24_is_told_nothing(self):
        answers(ADA, ["203.0.113.1"] * 3)
        assert answers(ADA, ["203.0.113.2"] * 4) == [302, 302, 302, 429]

    @pytest.mark.django_db(transaction=True)
    def test_a_held_request_asks_redis_and_the_database_for_as_much(
        self, own_redis, settings, django_assert_num_queries
    ):
        settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
        location = {"LOCATION": own_redis.url}
        settings.CACHES = {"default": settings.CACHES["default"] | location}
        stats = redis.Redis.from_url(own_redis.url)

        def asked(number):
            before = stats.info("stats")["total_commands_processed"]
            ask(Client(), ADA, REMOTE_ADDR=network(number))
            return stats.info("stats")["total_commands_processed"] - before

        asked(99)
        seen = [asked(number) for number in range(8)]
        assert len(set(seen)) == 1
        held = PasswordResetRequest.objects.filter(last_error="mailbox_limit")
        assert held.count() == 4


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("refused", [False, True])
def test_a_post_takes_at_most_three_round_trips_to_redis(own_redis, settings, refused):
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
    location = {"LOCATION": own_redis.url}
    settings.CACHES = {"default": settings.CACHES["default"] | location}
    stats = redis.Redis.from_url(own_redis.url)

    def reads():
        return stats.info("stats")["total_reads_processed"]

    answers(ADA, [network(1)] * (4 if refused else 1))
    before = reads()
    answers(ADA, [network(1)])
    # One of them is the question itself.
    assert reads() - before - 1 == 2


class TestNetworks:
    def spread(self, pattern, count):
        """Ask for many addresses, each from a client of its own in one network."""
        return [
            ask(
                Client(), f"a{number}@example.com", REMOTE_ADDR=pattern(number)
            ).status_code
            for number in range(count)
        ]

    @pytest.mark.parametrize(
        ("pattern", "limit"),
        [
            (lambda n: f"203.0.113.{n}", 60),
            (lambda n: f"2001:db8:0:{n:x}::1", 12),
            (lambda n: f"2001:db8:0:{n:x}00::1", 60),
        ],
        ids=["/24", "/56", "/48"],
    )
    def test_a_wider_network_has_a_budget(self, pattern, limit):
        seen = self.spread(pattern, limit + 3)
        assert seen == [302] * limit + [429] * 3

    def test_another_network_beside_it_is_not_touched(self):
        self.spread(lambda n: f"2001:db8:0:{n:x}00::1", 63)
        assert answers(ADA, ["2001:db8:1::1"]) == [302]

    def test_each_can_be_set(self, settings):
        settings.PASSWORD_RESET_REQUEST_RATE_PER_IPV4_24 = "2/h"
        assert self.spread(lambda n: f"203.0.113.{n}", 3) == [302, 302, 429]

    def test_who_raises_the_limit_of_a_client_raises_those_around_it(self, settings):
        settings.PASSWORD_RESET_REQUEST_RATE_PER_IP = None
        assert set(self.spread(lambda n: f"203.0.113.{n}", 70)) == {302}


class TestSoft:
    def test_it_is_off_by_default(self):
        answers(ADA, ["203.0.113.9"] * 3)
        assert ratelimit.soft_limit("203.0.113.9") is None

    def test_a_network_reaches_it_before_it_is_refused(self, settings):
        settings.PASSWORD_RESET_CHALLENGE_RATE_PER_IP = "2/h"
        assert answers(ADA, ["203.0.113.9"] * 2) == [302, 302]
        assert ratelimit.soft_limit("203.0.113.9") == "challenge_ip"
        assert ratelimit.soft_limit(network(1)) is None
        assert answers(ADA, ["203.0.113.9"] * 2) == [302, 429]

    def test_so_does_the_site(self, settings):
        settings.PASSWORD_RESET_CHALLENGE_RATE_PER_SITE = "5/h"
        answers(ADA, [network(number) for number in range(5)])
        assert ratelimit.soft_limit(network(99)) == "challenge_site"

    def test_a_proof_lifts_the_limit_of_the_client_and_no_other(self, settings):
        settings.PASSWORD_RESET_REQUEST_RATE_PER_IPV4_24 = "5/h"
        for number in range(5):
            ratelimit.enforce_request_limits(
                "203.0.113.9", f"a{number}@example.com", is_proven=True
            )
        with pytest.raises(ratelimit.RateLimited) as limited:
            ratelimit.enforce_request_limits("203.0.113.9", ADA, is_proven=True)
        assert limited.value.scope == "request_ipv4_24"


class TestRefusals:
    """Each is logged, with scope and address of the visitor (ASVS 5.0, 16.3.3)."""

    @pytest.fixture
    def lines(self, caplog):
        caplog.set_level(logging.WARNING, "password_reset")
        return lambda: [
            (record.scope, record.ip)
            for record in caplog.records
            if record.message == "Password reset limited"
        ]

    def test_one_that_is_told_is_logged(self, lines):
        answers(ADA, ["203.0.113.9"] * 5)
        assert lines() == [("request_ip", "203.0.113.9")] * 2

    def test_one_that_is_not_told_is_logged_by_the_worker(self, lines):
        answers(ADA, [network(number) for number in range(6)])
        assert lines() == [("request_email", network(5))]

    def test_one_of_an_unknown_link_is_logged(self, client, lines):
        for _ in range(6):
            client.get("/reset-password", {"token": "0" * 64})
        assert lines() == [("confirm_ip", "127.0.0.1")]

    def test_no_line_names_the_address_that_was_asked_for(self, caplog):
        caplog.set_level(logging.WARNING, "password_reset")
        answers(ADA, [*["203.0.113.9"] * 5, *map(network, range(6))])
        assert not [one for one in caplog.records if ADA in str(vars(one))]

    def test_each_is_counted_by_its_scope(self):
        counter = metrics.rate_limit_total.labels(scope="request_email")
        before = counter._value.get()
        answers(ADA, [network(number) for number in range(7)])
        assert counter._value.get() == before + 2


class TestStaff:
    def test_they_have_a_limit_of_their_own(self, ada):
        browser = staff(*SEND)
        for _ in range(4):
            send(browser, ada)
        assert len(mail.outbox) == 3
        answers(ADA, ["203.0.113.9"])
        assert len(mail.outbox) == 4
