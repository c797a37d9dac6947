"""Several web hosts and workers on one database, and on one Redis, a Redis with
Sentinels, or a Redis Cluster.
"""

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import monotonic, sleep

import pytest
import requests
from django.core.cache import caches

from password_reset.models import PasswordResetRequest, PasswordResetToken
from project import env
from project.redis_servers import cache
from tests.tools.factories import OLD_PASSWORD, UserFactory
from tests.tools.many_redis import Cluster, Trio
from tests.tools.people import Person, walk_the_flow
from tests.tools.servers import wait_until
from tests.tools.threads import at_once

pytestmark = pytest.mark.django_db(transaction=True)

BEHIND_A_PROXY = {"TRUSTED_PROXIES": "127.0.0.1"}
#: What a visitor may be told while the counters move to another server.
CALM = {202, 429, 503}


@pytest.fixture
def trio() -> Iterator[Trio]:
    servers = Trio()
    try:
        servers.start()
        yield servers
    finally:
        servers.close()


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    servers = Cluster()
    try:
        servers.start()
        yield servers
    finally:
        servers.close()


def ask(url, email, visitor):
    """Ask for a link by JSON, as a visitor with an address of their own."""
    return requests.post(
        f"{url}/api/auth/request-password-reset",
        json={"email": email},
        headers={"X-Forwarded-For": visitor},
        timeout=10,
    ).status_code


def use_up(url, visitor):
    """Ask until the limit of a visitor is reached."""
    answers = [ask(url, f"a{n}@example.com", visitor) for n in range(4)]
    assert answers == [202, 202, 202, 429]


class Traffic:
    """Visitors who go on asking, each from an address of their own."""

    def __init__(self, *urls: str) -> None:
        self.urls = urls
        self.answers: list[tuple[float, int]] = []
        self.slowest = 0.0
        self._stopped = Event()
        self._threads = ThreadPoolExecutor(4)
        for lane in range(4):
            self._threads.submit(self._go_on, lane)

    def _go_on(self, lane: int) -> None:
        number = 0
        while not self._stopped.is_set():
            number += 1
            url = self.urls[number % len(self.urls)]
            visitor = f"10.{lane}.{number // 250}.{number % 250}"
            begun = monotonic()
            try:
                status = ask(url, f"nobody{lane}-{number}@example.com", visitor)
            except requests.RequestException:
                status = 0
            self.slowest = max(self.slowest, monotonic() - begun)
            self.answers.append((monotonic(), status))
            sleep(0.02)

    def accepted_since(self, moment: float) -> bool:
        return any(at > moment and status == 202 for at, status in self.answers)

    def stop(self) -> Counter[int]:
        self._stopped.set()
        self._threads.shutdown()
        return Counter(status for _at, status in self.answers)


def test_a_failover_costs_visitors_seconds_and_the_limits_nothing(processes, trio):
    sites = [
        processes.gunicorn(workers=1, **trio.environment, **BEHIND_A_PROXY).url
        for _host in range(2)
    ]
    use_up(sites[0], "198.51.100.7")
    assert ask(sites[1], "b@example.com", "198.51.100.7") == 429
    traffic = Traffic(*sites)
    wait_until(lambda: len(traffic.answers) > 20, lambda: "no traffic")
    trio.first.ask("WAIT", 1, 2000)
    trio.first.kill()
    died = monotonic()
    wait_until(lambda: trio.primary() == trio.second.port, trio.sentinels[0].log)
    promoted = monotonic()
    wait_until(
        lambda: traffic.accepted_since(promoted), lambda: str(traffic.stop()), 10
    )
    back = monotonic()
    answers = traffic.stop()
    print(f"away for {back - died:.1f} s, slowest {traffic.slowest:.1f} s: {answers}")
    assert set(answers) <= CALM
    assert answers[202] > 20
    assert back - died < 10
    assert traffic.slowest < 3
    assert ask(sites[0], "c@example.com", "198.51.100.7") == 429


def test_a_primary_that_comes_back_is_a_replica_and_no_counter_is_lost(processes, trio):
    site = processes.gunicorn(workers=1, **trio.environment, **BEHIND_A_PROXY).url
    trio.first.ask("WAIT", 1, 2000)
    trio.first.kill()
    wait_until(lambda: trio.primary() == trio.second.port, trio.sentinels[0].log)
    wait_until(lambda: ask(site, "a@example.com", "192.0.2.1") == 202, lambda: "503")
    use_up(site, "198.51.100.8")
    trio.first.start()
    wait_until(
        lambda: trio.first.client.info("replication")["role"] == "slave",
        trio.sentinels[0].log,
    )
    assert ask(site, "d@example.com", "198.51.100.8") == 429
    assert requests.get(f"{site}/health", timeout=5).status_code == 200


def test_the_whole_flow_on_a_cluster(processes, cluster, smtp_server, user):
    environment = cluster.environment | smtp_server.environment
    site = processes.gunicorn(workers=2, **environment)
    processes.db_worker(**environment)
    walk_the_flow(site.url, smtp_server, user.email)
    assert requests.get(f"{site.url}/health", timeout=5).json()["cache"] == "ok"
    # The keys of one request lie on several nodes.
    assert sum(int(node.ask("DBSIZE")) > 0 for node in cluster.nodes) >= 2


def test_on_a_cluster_a_limit_of_three_lets_exactly_three_pass(processes, cluster):
    sites = [
        processes.gunicorn(workers=1, **cluster.environment, **BEHIND_A_PROXY).url
        for _host in range(2)
    ]
    acts = [
        lambda n=n: ask(sites[n % 2], f"x{n}@example.com", "198.51.100.9")
        for n in range(16)
    ]
    assert Counter(at_once(acts)) == {202: 3, 429: 13}


def test_a_cluster_without_one_node_answers_503_and_heals_by_itself(processes, cluster):
    site = processes.gunicorn(workers=1, **cluster.environment, **BEHIND_A_PROXY).url
    traffic = Traffic(site)
    wait_until(lambda: len(traffic.answers) > 10, lambda: "no traffic")
    cluster.nodes[1].kill()
    wait_until(lambda: traffic.answers[-1][1] == 503, lambda: str(traffic.stop()), 10)
    cluster.nodes[1].start()
    started = monotonic()
    wait_until(lambda: traffic.accepted_since(started), lambda: str(traffic.stop()), 15)
    back = monotonic() - started
    answers = traffic.stop()
    print(f"back {back:.1f} s after the node: {answers}")
    assert set(answers) <= CALM
    assert traffic.slowest < 3


def test_two_hosts_and_two_workers_lose_nothing_and_send_nothing_twice(
    processes, smtp_server
):
    people = UserFactory.create_batch(40)
    environment = smtp_server.environment | BEHIND_A_PROXY
    sites = [processes.gunicorn(workers=1, **environment).url for _host in range(2)]
    workers = [processes.db_worker("--worker-id", f"w{n}", **environment) for n in "12"]
    acts = [
        lambda n=n, one=one: ask(sites[n % 2], one.email, f"10.9.{n}.1")
        for n, one in enumerate(people)
    ]
    assert Counter(at_once(acts)) == {202: 40}
    smtp_server.wait_for(40, 60)
    wait_until(
        lambda: not PasswordResetRequest.objects.pending().exists(),
        lambda: "".join(worker.log for worker in workers),
    )
    mailed = [each.recipients[0] for each in smtp_server.deliveries]
    assert sorted(mailed) == sorted(one.email for one in people)
    assert PasswordResetToken.objects.count() == 40


def test_a_session_of_one_host_is_one_of_the_other(processes, user):
    first, second = (processes.gunicorn(workers=1).url for _host in range(2))
    person = Person(first)
    assert person.log_in(user.email, OLD_PASSWORD)
    person.url = second
    assert person.is_logged_in


def test_with_tls_sentinels_and_primary_are_asked_by_tls(settings):
    names = {"REDIS_URL": "rediss://counters", "REDIS_SENTINELS": "127.0.0.1:26379"}
    entry = cache(env.read(names).values)
    settings.CACHES = {"default": entry}
    pool = caches["default"].client.get_client().connection_pool
    assert pool.connection_class.__name__ == "SentinelManagedSSLConnection"
    asked = pool.sentinel_manager.sentinels[0].connection_pool
    assert asked.connection_class.__name__ == "SSLConnection"
