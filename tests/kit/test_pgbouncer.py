"""The site behind PgBouncer in transaction mode: a session lasts for one transaction."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
import requests
from django.contrib.auth import get_user_model
from django.db import connection

from password_reset.listener import Listener
from password_reset.models import PasswordResetRequest
from tests.tools.factories import NEW_PASSWORD, UserFactory
from tests.tools.people import walk_the_flow
from tests.tools.servers import Server, dies_with_us, unprivileged, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

POLLS = "The database cannot wake a loop"


class PgBouncer(Server):
    """PgBouncer in front of this test's database, with few connections to it."""

    #: Fewer than the pools of two web processes and a worker keep open to it.
    SERVERS = 4

    def __init__(self, program: str) -> None:
        super().__init__()
        options = connection.settings_dict
        self.program = program
        self.config = self.folder / "pgbouncer.ini"
        self.config.write_text(f"""\
[databases]
* = host={options["HOST"]} port={options["PORT"]} user={options["USER"]}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = any
admin_users = postgres
pool_mode = transaction
default_pool_size = {self.SERVERS}
max_client_conn = 200
""")
        self.url = (
            f"postgres://{options['USER']}@127.0.0.1:{self.port}/{options['NAME']}"
        )

    def command(self) -> list[str]:
        run = [*unprivileged(), *dies_with_us("INT"), self.program]
        return [*run, str(self.config)]

    def answers(self) -> bool:
        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True


@pytest.fixture
def bouncer(program: Callable[[str, str], str]) -> Iterator[PgBouncer]:
    server = PgBouncer(program("pgbouncer", "pgbouncer"))
    server.start()
    yield server
    server.close()


@pytest.mark.parametrize("worker", ["db_worker", "request_loop"])
def test_the_whole_flow_behind_it_with(worker, bouncer, processes, smtp_server, user):
    environment = smtp_server.environment | {"DATABASE_URL": bouncer.url}
    site = processes.gunicorn(workers=2, **environment)
    started = getattr(processes, worker)(**environment)
    walk_the_flow(site.url, smtp_server, user.email)
    user.refresh_from_db()
    assert user.check_password(NEW_PASSWORD)
    assert "Traceback" not in site.log + started.log


def test_a_loop_polls_and_says_so_once(bouncer, processes, smtp_server, user):
    environment = smtp_server.environment | {"DATABASE_URL": bouncer.url}
    loop = processes.request_loop(**environment)
    loop.wait_for_log("a pooler stands in front of it")
    for number in range(3):
        PasswordResetRequest.objects.create(email=user.email)
        smtp_server.wait_for(number + 1, 10)
    assert loop.log.count(POLLS) == 1
    assert loop.stop() == 0
    with connection.cursor() as cursor:  # a session that listens would hear for others
        cursor.execute("SELECT count(*) FROM pg_stat_activity WHERE query ~ '^LISTEN'")
        assert cursor.fetchone() == (0,)


def test_without_it_a_loop_is_woken(settings):
    listener = Listener(60)
    listener.wait()
    assert listener._can_listen
    listener.close()


def test_purge_export_and_a_campaign_behind_it(bouncer, processes, smtp_server):
    everybody = get_user_model().objects
    for user in UserFactory.create_batch(30):
        PasswordResetRequest.objects.create(email=user.email)
    everybody.update(password="!none")
    environment = smtp_server.environment | {"DATABASE_URL": bouncer.url}
    for command in (
        ["invite_users", "--without-password"],
        ["process_reset_requests", "--concurrency", "8", "--seconds", "30"],
        ["purge_reset_tokens"],
        ["export_reset_events", "--since", "2020-01-01"],
        ["clearsessions"],
        ["prune_db_task_results"],
        ["migrate", "--check"],
    ):
        done = processes.manage(*command, **environment)
        assert done.wait(60) == 0, (command, done.log)
    wait_until(lambda: len(smtp_server.deliveries) >= 30, lambda: "emails are missing")


def test_its_restart_costs_no_visitor_an_error_for_long(
    bouncer, processes, smtp_server, user
):
    environment = smtp_server.environment | {"DATABASE_URL": bouncer.url}
    site = processes.gunicorn(workers=2, **environment)
    processes.db_worker(**environment)
    bouncer.kill()
    bouncer.start()
    wait_until(lambda: _is_ready(site.url), lambda: site.log, 10)
    walk_the_flow(site.url, smtp_server, user.email)


def _is_ready(url: str) -> bool:
    return requests.get(f"{url}/health", timeout=5).status_code == 200
