"""How often: what counts, in which order, for how long, and what a limit must never
touch.
"""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.core.cache.backends.locmem import LocMemCache
from django.db import connections
from django.test import Client
from django.utils import timezone

from password_reset import metrics, ratelimit, services
from password_reset.models import PasswordResetRequest
from tests.tools.factories import NEW_PASSWORD, UserFactory
from tests.tools.walk import ask, call, spend, token_in

ADA = "ada@example.com"
UNKNOWN = "0" * 64

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def frozen_clock():
    """Let no window end in the middle of a test, however slow the machine."""
    with time_machine.travel("2026-11-22T10:00:00Z", tick=False):
        yield


def ip(number):
    """Return one of many addresses, each in a network of its own."""
    return f"198.{18 + number // 250}.{number % 250}.1"


def held():
    """Return how many requests were accepted and mail nobody."""
    return PasswordResetRequest.objects.filter(last_error="mailbox_limit").count()


def statuses(answer, times):
    return [answer().status_code for _ in range(times)]


def door_of(name):
    """Return how to ask for a link by page or endpoint, and how it says yes."""
    if name == "page":
        return ask, 302
    return (
        lambda client, email, **extra: call(
            client, "request-password-reset", {"email": email}, **extra
        )
    ), 202


@pytest.fixture(params=["page", "api"])
def door(request):
    return door_of(request.param)


@pytest.fixture
def token(client):
    """A link in a mailbox, asked for from an address that no test uses."""
    ask(client, UserFactory(email=ADA).email, REMOTE_ADDR="203.0.113.1")
    services.process_due()
    return token_in(mail.outbox[-1].body)


class TestRequests:
    def test_one_network_may_ask_three_times_an_hour(self, client, door):
        send, yes = door
        answers = [
            send(client, f"somebody{number}@example.com").status_code
            for number in range(5)
        ]
        assert answers == [yes, yes, yes, 429, 429]
        assert PasswordResetRequest.objects.count() == 3

    def test_one_network_may_ask_for_one_address_three_times_an_hour(
        self, client, door, settings
    ):
        settings.PASSWORD_RESET_REQUEST_RATE_PER_IP = "100/h"
        send, yes = door
        answers = [send(client, ADA).status_code for _ in range(5)]
        assert answers == [yes, yes, yes, 429, 429]
        assert PasswordResetRequest.objects.count() == 3

    @pytest.mark.parametrize("email", [ADA, "nobody@example.com"])
    def test_one_address_gets_three_mails_an_hour_and_two_for_new_networks(
        self, client, door, email
    ):
        """Whoever asks is told nothing else: that would tell what others did."""
        send, yes = door
        answers = [
            send(client, email, REMOTE_ADDR=ip(number)).status_code
            for number in range(8)
        ]
        assert answers == [yes] * 8
        assert held() == 3

    def test_both_doors_share_the_counters(self, client):
        answers = [
            door_of(name)[0](client, ADA).status_code
            for name in ("page", "api", "page", "api", "page")
        ]
        assert answers == [302, 202, 302, 429, 429]

    @pytest.mark.parametrize(
        "spelling", ["ADA@example.com", " ada@EXAMPLE.com ", "\u24d0da@example.com"]
    )
    def test_spellings_of_an_address_share_a_counter(self, client, spelling):
        statuses(lambda: ask(client, ADA, REMOTE_ADDR=ip(1)), 2)
        statuses(lambda: ask(client, ADA, REMOTE_ADDR=ip(2)), 1)
        assert ask(client, spelling, REMOTE_ADDR=ip(1)).status_code == 302
        assert held() == 1

    def test_a_household_shares_a_counter(self, client, door):
        send, yes = door
        peers = [
            "2001:db8::1",
            "2001:db8::2",
            "2001:db8:0:0:ffff::3",
            "2001:DB8::4",
            "2001:db8:0:1::1",
        ]
        answers = [
            send(client, f"a{number}@example.com", REMOTE_ADDR=peer)
            for number, peer in enumerate(peers)
        ]
        assert [answer.status_code for answer in answers] == [yes, yes, yes, 429, yes]

    def test_a_forged_header_gives_no_fresh_counter(self, client, door):
        send, yes = door
        answers = [
            send(
                client,
                f"a{n}@example.com",
                HTTP_X_FORWARDED_FOR=ip(n),
                REMOTE_ADDR="8.8.8.8",
            )
            for n in range(4)
        ]
        assert [answer.status_code for answer in answers] == [yes, yes, yes, 429]

    def test_a_malformed_request_counts_nothing(self, client, door):
        send, yes = door
        assert yes not in [send(client, "ada").status_code for _ in range(10)]
        assert send(client, ADA).status_code == yes

    def test_a_network_that_is_refused_uses_up_nobodys_address(self, client, door):
        send, yes = door
        for number in range(3):
            send(client, f"somebody{number}@example.com")
        assert [send(client, ADA).status_code for _ in range(9)] == [429] * 9
        assert [
            send(client, ADA, REMOTE_ADDR=ip(number)).status_code for number in range(3)
        ] == [yes] * 3

    def test_looking_at_the_form_counts_nothing(self, client):
        statuses(lambda: client.get("/forgot-password"), 10)
        assert ask(client, ADA).status_code == 302


class TestWindows:
    def hours(self, client, count):
        """Ask four times in each of so many hours, from networks that have asked
        before; return how many were let through to the mailbox.
        """
        return [self.hour(client, hour) for hour in self.each_hour(count)]

    def hour(self, client, hour):
        before = held()
        for number in range(4):
            ask(client, ADA, REMOTE_ADDR=ip(number + hour % 12 * 4))
        return 4 - (held() - before)

    def each_hour(self, count):
        for hour in range(count):
            with time_machine.travel(self.midnight + timedelta(hours=hour), tick=False):
                yield hour

    @pytest.fixture(autouse=True)
    def midnight(self, client, settings):
        """Find out when the address's day begins: windows are fixed, and begin at
        another second for each key.
        """
        settings.PASSWORD_RESET_REQUEST_RATE_PER_EMAIL = "1/d"
        # All networks have asked for this address today.
        settings.PASSWORD_RESET_REQUEST_RATE_PER_IP_AND_EMAIL = None
        settings.PASSWORD_RESET_REQUEST_RATE_RESERVED = "1/99d"
        with time_machine.travel("2026-11-22T00:00:00Z", tick=False):
            for number in range(2):
                ask(client, ADA, REMOTE_ADDR=ip(900 + number))
            wait = ratelimit.address_retry_after(ADA)
            self.midnight = timezone.now() + timedelta(seconds=wait)
        del settings.PASSWORD_RESET_REQUEST_RATE_PER_EMAIL

    def test_an_address_gets_three_mails_an_hour_and_ten_a_day(self, client):
        assert self.hours(client, 27) == [3, 3, 3, 1] + [0] * 20 + [3, 3, 3]

    def test_a_network_that_is_closed_for_the_day_is_not_told_to_come_back_in_an_hour(
        self, client, settings
    ):
        settings.PASSWORD_RESET_REQUEST_RATE_PER_IP = "3/h 4/d"
        with time_machine.travel(self.midnight, tick=False) as clock:
            statuses(lambda: ask(client, ADA), 3)
            clock.shift(3600)
            answers = [ask(client, ADA) for number in range(3)]
        assert int(answers[-1]["Retry-After"]) > 3600

    def test_a_host_may_name_its_own_windows(self, client, settings):
        settings.PASSWORD_RESET_REQUEST_RATE_PER_EMAIL = "2/h 3/2h"
        assert self.hours(client, 4) == [2, 1, 2, 1]

    def test_no_rate_is_no_limit(self, client, settings):
        settings.PASSWORD_RESET_REQUEST_RATE_PER_EMAIL = None
        assert self.hours(client, 2) == [4, 4]


class TestAttempts:
    @pytest.fixture(params=["page", "api"])
    def attempt(self, request):
        """Return how to try to spend a token by page or endpoint."""
        if request.param == "page":
            return spend
        return lambda client, token, **extra: call(
            client,
            "reset-password",
            {"token": token, "password": NEW_PASSWORD},
            **extra,
        )

    def test_one_network_may_try_five_times_a_minute(self, client, attempt):
        assert statuses(lambda: attempt(client, UNKNOWN), 7) == [404] * 5 + [429] * 2

    def test_a_good_link_does_not_wait_for_what_others_in_its_network_did(
        self, client, attempt, token
    ):
        assert statuses(lambda: attempt(client, UNKNOWN), 6)[-1] == 429
        assert attempt(client, token).status_code in {200, 302}

    def test_a_good_link_has_five_attempts_a_minute_of_its_own(self, client, token):
        def weak():
            return spend(client, token, "short")

        assert statuses(weak, 7) == [200] * 5 + [429] * 2
        wait = timedelta(seconds=int(weak()["Retry-After"]))
        with time_machine.travel(timezone.now() + wait):
            assert spend(client, token).status_code == 302

    def test_another_network_is_not_touched(self, client, attempt, token):
        statuses(lambda: attempt(client, UNKNOWN), 9)
        assert attempt(client, token, REMOTE_ADDR=ip(1)).status_code in {200, 302}

    @pytest.mark.parametrize("look", ["get", "head"])
    def test_looking_counts_unknown_links_only(self, client, token, look):
        see = getattr(client, look)
        assert (
            statuses(lambda: see("/reset-password", {"token": token}), 9) == [200] * 9
        )
        assert statuses(lambda: see("/reset-password", {"token": UNKNOWN}), 6) == [
            404
        ] * 5 + [429]
        assert see("/reset-password", {"token": token}).status_code == 200

    def test_verifying_counts_unknown_tokens_only(self, client, token):
        def verify(raw):
            return call(client, "verify-reset-token", {"token": raw})

        assert statuses(lambda: verify(token), 9) == [200] * 9
        assert statuses(lambda: verify(UNKNOWN), 6) == [404] * 5 + [429]
        assert verify(token).status_code == 200

    def test_all_doors_share_the_counter(self, client):
        client.get("/reset-password", {"token": UNKNOWN})
        call(client, "verify-reset-token", {"token": UNKNOWN})
        call(client, "reset-password", {"token": UNKNOWN, "password": NEW_PASSWORD})
        assert statuses(lambda: spend(client, UNKNOWN), 3) == [404, 404, 429]

    def test_malformed_json_counts_nothing(self, client):
        assert (
            statuses(lambda: call(client, "reset-password", {"token": UNKNOWN}), 9)
            == [400] * 9
        )
        assert (
            call(
                client, "reset-password", {"token": UNKNOWN, "password": NEW_PASSWORD}
            ).status_code
            == 404
        )


def test_links_already_mailed_work_after_an_attacker_spent_the_victims_limit(
    client, token
):
    answers = [
        ask(client, ADA, REMOTE_ADDR=ip(number)).status_code for number in range(9)
    ]
    assert answers == [302] * 9
    assert held() > 0
    assert client.get("/reset-password", {"token": token}).status_code == 200
    assert spend(client, token).status_code == 302


class TestAnswer:
    @pytest.fixture
    def refused(self, client, door):
        send, _ = door
        return [send(client, ADA, headers={"Accept-Language": "en"}) for _ in range(4)][
            -1
        ]

    def test_it_says_when_in_the_header_and_in_a_sentence(self, refused):
        wait = int(refused["Retry-After"])
        assert 1 <= wait <= 3600
        minutes = (
            f"{-(-wait // 60)} minute" if wait > 60 else f"{-(-wait // 10) * 10} second"
        )
        assert minutes in refused.text or "1 hour" in refused.text
        assert refused["Cache-Control"] == "no-store"

    @pytest.mark.parametrize("early", [1, 0])
    @pytest.mark.parametrize("same", ["network", "address"])
    def test_who_comes_back_when_told_to_is_let_in_and_not_a_second_earlier(
        self, client, door, early, same, settings
    ):
        send, yes = door
        if same == "address":
            settings.PASSWORD_RESET_REQUEST_RATE_PER_IP = "100/h"

        def knock(number):
            email = ADA if same == "address" else f"a{number}@example.com"
            return send(client, email, REMOTE_ADDR=ip(1))

        with time_machine.travel("2026-11-22T12:00:00.999Z", tick=False) as clock:
            wait = [knock(number) for number in range(4)][-1]["Retry-After"]
            clock.shift(int(wait) - early)
            assert knock(5).status_code == (429 if early else yes)

    def test_the_page_gives_the_moment_to_machines_as_well(self, client):
        with time_machine.travel("2026-11-22T12:00:00Z", tick=False):
            page = [ask(client, ADA) for _ in range(4)][-1]
            at = timezone.now() + timedelta(seconds=int(page["Retry-After"]))
        assert f'datetime="{at:%Y-%m-%dT%H:%M:%SZ}"' in page.text

    def test_json_carries_the_seconds(self, client):
        refused = [
            call(client, "request-password-reset", {"email": ADA}) for _ in range(4)
        ][-1]
        assert refused.json()["code"] == "rate_limited"
        assert str(refused.json()["retry_after"]) == refused["Retry-After"]

    def test_it_is_counted_by_its_scope(self, client):
        before = metrics.rate_limit_total.labels(scope="request_ip")._value.get()
        statuses(lambda: ask(client, ADA), 4)
        assert (
            metrics.rate_limit_total.labels(scope="request_ip")._value.get()
            == before + 1
        )


class TestSwitches:
    def test_a_hosts_test_setting_switches_the_limits_off(self, client, settings):
        settings.RATELIMIT_ENABLE = False
        assert statuses(lambda: ask(client, ADA), 9) == [302] * 9
        assert statuses(lambda: spend(client, UNKNOWN), 9) == [404] * 9

    def test_the_hosts_own_counters_are_not_ours(self, client, settings):
        settings.RATELIMIT_CACHE_PREFIX = "elsewhere:"
        assert statuses(lambda: ask(client, ADA), 3) == [302] * 3

    def test_the_key_of_an_address_does_not_show_it(self):
        key = ratelimit.address_key(ADA)
        assert len(key) == 64
        assert "ada" not in key


class SlowCache(LocMemCache):
    """A cache that takes so long that the clock's next second comes."""

    clock = None

    def add(self, *args, **kwargs):
        self.clock.shift(1)
        return super().add(*args, **kwargs)


def test_a_counter_that_is_asked_in_the_last_moment_of_its_window_is_no_outage(
    client, settings, monkeypatch
):
    settings.CACHES = {"default": {"BACKEND": f"{__name__}.SlowCache"}}
    settings.PASSWORD_RESET_REQUEST_RATE_PER_IP = "1/s"
    with time_machine.travel("2026-11-22T12:00:00Z", tick=False) as clock:
        monkeypatch.setattr(SlowCache, "clock", clock)
        assert ask(client, ADA).status_code == 302


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    """50 requests at the same moment, on Redis and PostgreSQL."""

    def at_once(self, send):
        def one(number):
            try:
                return send(Client(), number).status_code
            finally:
                connections.close_all()

        # The first request loads the middleware, which is no work for fifty at once.
        Client().get("/forgot-password")
        with ThreadPoolExecutor(50) as threads:
            return list(threads.map(one, range(50)))

    def test_exactly_three_requests_of_one_network_pass(self):
        answers = self.at_once(
            lambda client, number: ask(client, f"somebody{number}@example.com")
        )
        assert (answers.count(302), answers.count(429)) == (3, 47)
        assert PasswordResetRequest.objects.count() == 3

    def test_of_requests_for_one_address_three_mail_and_the_reserve_s_two(self):
        body = {"email": ADA}
        answers = self.at_once(
            lambda client, n: call(
                client, "request-password-reset", body, REMOTE_ADDR=ip(n)
            )
        )
        assert answers == [202] * 50
        assert 3 <= 50 - held() <= 5

    def test_a_race_does_not_use_up_the_day(self):
        """What was one too many is taken back, in each of the windows."""
        self.at_once(lambda client, n: ask(client, ADA, REMOTE_ADDR=ip(n)))
        mailbox = ratelimit.budgets.of_mailbox(ADA)
        assert set(ratelimit._read([mailbox]).values()) == {3}

    def test_exactly_five_attempts_of_one_network_pass(self):
        answers = self.at_once(lambda client, number: spend(client, f"{number:064x}"))
        assert (answers.count(404), answers.count(429)) == (5, 45)
