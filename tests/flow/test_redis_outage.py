"""Without counters nothing is processed; who asks is told at once to come back, and
later it works again.
"""

import re
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

import pytest
import requests
from django.core import mail

from password_reset import services
from password_reset.models import PasswordResetRequest, PasswordResetToken
from tests.tools.factories import NEW_PASSWORD, UserFactory
from tests.tools.servers import ask_redis, wait_until
from tests.tools.walk import ask, call, spend, token_in

UNKNOWN = "0" * 64


@pytest.fixture
def redis(own_redis, settings):
    """A Redis of this test's own under the counters of this process."""
    settings.CACHES = {
        "default": settings.CACHES["default"] | {"LOCATION": own_redis.url}
    }
    return own_redis


@pytest.fixture
def frozen(redis):
    """A Redis that accepts connections and never answers."""
    redis.process.send_signal(signal.SIGSTOP)
    yield redis
    if redis.process:
        redis.process.send_signal(signal.SIGCONT)


DOORS = {
    "a request": lambda client, token: ask(client, "ada@example.com"),
    "a reset with an unknown link": lambda client, token: spend(client, UNKNOWN),
    "a look at an unknown link": lambda client, token: client.get(
        "/reset-password", {"token": UNKNOWN}
    ),
    "a request by JSON": lambda client, token: call(
        client, "request-password-reset", {"email": "ada@example.com"}
    ),
    "a reset with an unknown token by JSON": lambda client, token: call(
        client, "reset-password", {"token": UNKNOWN, "password": NEW_PASSWORD}
    ),
    "an unknown token by JSON": lambda client, token: call(
        client, "verify-reset-token", {"token": UNKNOWN}
    ),
}
each_door = pytest.mark.parametrize("knock", DOORS.values(), ids=DOORS)


def refused_in_time(knock, client, token):
    """Knock, and hold the answer against what is promised: 503, when to come back,
    within two seconds.
    """
    started = monotonic()
    answer = knock(client, token)
    took = monotonic() - started
    assert (answer.status_code, answer["Retry-After"]) == (503, "60")
    assert answer["Cache-Control"] == "no-store"
    assert took < 2
    return answer


@pytest.mark.django_db
class TestDoor:
    @pytest.fixture
    def token(self, client, redis):
        ask(client, UserFactory().email)
        services.process_due()
        return token_in(mail.outbox[-1].body)

    @each_door
    def test_a_dead_redis_closes_it_at_once(self, client, token, redis, knock):
        redis.kill()
        refused_in_time(knock, client, token)
        assert PasswordResetRequest.objects.count() == 1
        assert PasswordResetToken.objects.usable().count() == 1

    @each_door
    def test_a_redis_that_hangs_closes_it_as_well(self, client, token, frozen, knock):
        refused_in_time(knock, client, token)
        assert PasswordResetRequest.objects.count() == 1
        assert PasswordResetToken.objects.usable().count() == 1

    @each_door
    def test_it_opens_again_without_a_restart(self, client, token, redis, knock):
        redis.kill()
        refused_in_time(knock, client, token)
        redis.start()
        assert knock(client, token).status_code in {200, 202, 302, 404}

    @pytest.mark.parametrize("trouble", ["killed", "full"])
    @pytest.mark.parametrize("by", ["page", "api"])
    def test_who_holds_a_link_that_works_gets_through(
        self, client, token, redis, trouble, by
    ):
        if trouble == "killed":
            redis.kill()
        else:
            ask_redis(redis.url, "CONFIG SET maxmemory 1")
        assert client.get("/reset-password", {"token": token}).status_code == 200
        assert call(client, "verify-reset-token", {"token": token}).status_code == 200
        if by == "page":
            assert spend(client, token).status_code == 302
            return
        body = {"token": token, "password": NEW_PASSWORD}
        assert call(client, "reset-password", body).status_code == 200

    def test_so_do_they_where_it_hangs(self, client, token, frozen):
        started = monotonic()
        assert spend(client, token).status_code == 302
        assert monotonic() - started < 3

    @each_door
    @pytest.mark.parametrize("fail_open", [False, True])
    def test_a_cache_that_hides_its_errors_does_not_open_it(
        self, client, token, redis, settings, fail_open, knock
    ):
        default = settings.CACHES["default"]
        settings.CACHES = {
            "default": default
            | {"OPTIONS": default["OPTIONS"] | {"IGNORE_EXCEPTIONS": True}}
        }
        settings.RATELIMIT_FAIL_OPEN = fail_open
        redis.kill()
        refused_in_time(knock, client, token)

    @each_door
    def test_a_full_redis_closes_it(self, client, token, redis, knock):
        ask_redis(redis.url, "CONFIG SET maxmemory 1")
        refused_in_time(knock, client, token)

    def test_with_the_limits_switched_off_nobody_asks_redis(
        self, client, token, redis, settings
    ):
        settings.RATELIMIT_ENABLE = False
        redis.kill()
        assert ask(client, "ada@example.com").status_code == 302

    def test_the_page_and_the_problem_say_so_calmly(self, client, token, redis):
        redis.kill()
        assert "1 minute" in DOORS["a request"](client, token).text
        assert DOORS["a request by JSON"](client, token).json()["code"] == "unavailable"


CSRF = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')


class Load:
    """Threads that ask for links, each for another address, by page and endpoint in
    turn, until told to stop.
    """

    def __init__(self, site, addresses):
        self.site, self.addresses = site, iter(addresses)
        self.seen, self.accepted, self.stopped = Counter(), set(), False
        self.threads = ThreadPoolExecutor(4)
        self.running = [self.threads.submit(self.run) for _ in range(4)]

    def run(self):
        session = requests.Session()
        form = CSRF.search(session.get(f"{self.site.url}/forgot-password").text)[1]
        for number, email in self.addresses:
            if self.stopped:
                return
            answer = self.ask(session, number, email, form)
            if answer.status_code in {202, 302}:
                self.accepted.add(email)
            self.seen[answer.status_code] += 1

    def ask(self, session, number, email, form):
        if number % 2:
            return session.post(
                f"{self.site.url}/api/auth/request-password-reset",
                json={"email": email},
            )
        data = {"email": email, "csrfmiddlewaretoken": form}
        return session.post(
            f"{self.site.url}/forgot-password", data, allow_redirects=False
        )

    def wait_for(self, status, more):
        goal = self.seen[status] + more
        wait_until(
            lambda: self.seen[status] >= goal,
            lambda: f"{self.seen}\n{self.site.log[-2000:]}",
        )

    def stop(self):
        self.stopped = True
        self.threads.shutdown()
        return [thread.result() for thread in self.running]


@pytest.fixture
def users(transactional_db):
    """People enough for any run, by the addresses that they have."""
    people = UserFactory.build_batch(3000)
    type(people[0]).objects.bulk_create(people)
    return [person.email for person in people]


def test_while_redis_dies_and_comes_back_each_accepted_request_has_its_mail(
    processes, own_redis, smtp_server, users
):
    environment = {
        "DJANGO_SETTINGS_MODULE": "tests.limit_settings",
        "LIMITS": "high",
        "REDIS_URL": own_redis.url,
    }
    site = processes.gunicorn(**environment)
    processes.db_worker(**environment, **smtp_server.environment)
    load = Load(site, enumerate(users))
    load.wait_for(302, 50)
    own_redis.kill()
    load.wait_for(503, 50)
    own_redis.start()
    load.wait_for(302, 50)
    load.stop()
    assert set(load.seen) == {202, 302, 503}
    mailed = [
        delivery.recipients for delivery in smtp_server.wait_for(len(load.accepted), 60)
    ]
    assert sorted(mailed) == sorted((email,) for email in load.accepted)
    assert PasswordResetRequest.objects.count() == len(load.accepted)
