"""What Prometheus sees: right across processes, and closed to strangers."""

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Container
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from password_reset.ratelimit import Scope
from tests import ROOT
from tests.tools.processes import Processes
from tests.tools.servers import wait_until
from tests.tools.smtp import SmtpServer

SECRET = "b1946ac92492d2347c6235b4d2611184"

# A process that counts as any process of the site does: it takes its slot, then makes
# its metrics.
COUNTER = """
import os, sys
from pathlib import Path
from project import env, process_slots
process_slots.share_between_processes(env.read({"PROMETHEUS_MULTIPROC_DIR": sys.argv[1]}).values)
import prometheus_client
counter = prometheus_client.Counter("things_total", "Things")
counter.inc(int(sys.argv[2]))
print(os.getpid(), flush=True)
sys.stdin.read()
"""


class Counting:
    """A process that counts and then waits, as the first process of a container of its
    own if asked.
    """

    def __init__(self, directory: Path, amount: int, *prefix: str) -> None:
        command = [*prefix, sys.executable, "-c", COUNTER, str(directory), str(amount)]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True
        )
        assert self.process.stdout is not None
        self.pid = int(self.process.stdout.readline())

    def end(self) -> None:
        self.process.communicate()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def total(directory: Path) -> float:
    from prometheus_client import CollectorRegistry, multiprocess  # noqa: PLC0415 - settings choose its mode first

    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry, str(directory))
    return registry.get_sample_value("things_total") or 0.0


def scrape(url: str) -> dict[str, float]:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return {
        name: float(value)
        for name, value in (
            line.rsplit(" ", 1) for line in lines if not line.startswith("#")
        )
    }


@pytest.mark.django_db(transaction=True)
class TestDoor:
    def test_a_stranger_finds_no_such_page(self, client: Client) -> None:
        assert client.get("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 404

    @pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
    def test_this_machine_may_read(self, client: Client, address: str) -> None:
        assert client.get("/metrics", REMOTE_ADDR=address).status_code == 200

    @pytest.mark.parametrize(
        "header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"]
    )
    def test_a_stranger_behind_a_proxy_on_this_machine_may_not(
        self, client: Client, header: str
    ) -> None:
        assert (
            client.get(
                "/metrics", REMOTE_ADDR="127.0.0.1", headers={header: "127.0.0.1"}
            ).status_code
            == 404
        )

    def test_a_unix_socket_may_not(self, client: Client) -> None:
        assert client.get("/metrics", REMOTE_ADDR="").status_code == 404

    def test_the_token_opens_from_anywhere(self, client: Client, settings: Any) -> None:
        settings.METRICS_TOKEN = SECRET
        headers = {
            "Authorization": f"Bearer {SECRET}",
            "X-Forwarded-For": "203.0.113.9",
        }
        response = client.get(
            "/metrics", REMOTE_ADDR="10.0.0.2", headers=headers, HTTP_HOST="web:8000"
        )
        assert response.status_code == 200
        assert "password_reset_pending_requests 0.0" in response.content.decode()

    @pytest.mark.parametrize(
        "header", ["Bearer ", "Bearer wrong", f"Basic {SECRET}", f"Bearer {SECRET}x"]
    )
    def test_a_wrong_token_opens_nothing(
        self, client: Client, settings: Any, header: str
    ) -> None:
        settings.METRICS_TOKEN = SECRET
        assert (
            client.get(
                "/metrics", REMOTE_ADDR="10.0.0.2", HTTP_AUTHORIZATION=header
            ).status_code
            == 404
        )


def test_two_web_workers_and_a_task_worker_add_up(
    processes: Processes, smtp_server: SmtpServer, tmp_path: Path
) -> None:
    get_user_model().objects.create_user(
        "a@example.com", "correct horse battery staple"
    )
    environment = smtp_server.environment | {"PROMETHEUS_MULTIPROC_DIR": str(tmp_path)}
    smtp_server.replies["*"] = "550 No"
    processes.db_worker(**environment)
    site = processes.gunicorn(
        options=("--config", "python:project.gunicorn"), **environment
    )
    for _ in range(10):
        urllib.request.urlopen(f"{site.url}/login", timeout=10).close()
    request = urllib.request.Request(
        f"{site.url}/api/auth/request-password-reset", b'{"email": "a@example.com"}'
    )
    request.add_header("Content-Type", "application/json")
    urllib.request.urlopen(request, timeout=10).close()
    failures = "password_reset_email_failures_total"
    wait_until(lambda: scrape(site.url)[failures] == 1, lambda: str(scrape(site.url)))
    readings = [scrape(site.url) for _ in range(6)]
    by_view = 'django_http_requests_total_by_view_transport_method_total{method="GET",transport="http",view="login"}'
    accepted = 'password_reset_requests_total{status="accepted"}'
    assert {(seen[by_view], seen[accepted], seen[failures]) for seen in readings} == {
        (10.0, 1.0, 1.0)
    }


def test_containers_with_equal_process_ids_add_up(tmp_path: Path) -> None:
    alone = ("unshare", "--user", "--map-root-user", "--pid", "--fork")
    first, second = Counting(tmp_path, 3, *alone), Counting(tmp_path, 4, *alone)
    try:
        assert first.pid == second.pid == 1
        assert total(tmp_path) == 7
    finally:
        first.end()
        second.end()


def test_who_follows_a_killed_process_goes_on_counting(tmp_path: Path) -> None:
    for _ in range(3):
        Counting(tmp_path, 2).kill()
    assert total(tmp_path) == 6
    assert len(list(tmp_path.glob("counter_*.db"))) == 1


def test_a_forked_child_counts_for_itself(tmp_path: Path) -> None:
    fork = (
        COUNTER + "if os.fork() == 0:\n    counter.inc(1)\n    "
        "os._exit(0)\nos.wait()\ncounter.inc(10)\n"
    )
    command = [sys.executable, "-W", "error", "-c", fork, str(tmp_path), "100"]
    subprocess.run(
        command, cwd=ROOT, input="", text=True, check=True, capture_output=True
    )
    assert total(tmp_path) == 111
    assert len(list(tmp_path.glob("counter_*.db"))) == 2


# As many series as are asked for, on a disk of 100 kB that is full if asked: a file of
# counters begins with 64 kB, and doubles.
FULL_DISK = """
mount -t tmpfs -o size=100k tmpfs "$1"
[ "$2" = empty ] || cat /dev/zero > "$1/filler" 2> /dev/null || true
exec "$3" -c "$4" "$1" "$5"
"""
SERIES = """
import os, sys
from project import env, process_slots
process_slots.share_between_processes(env.read({"PROMETHEUS_MULTIPROC_DIR": sys.argv[1]}).values)
import prometheus_client
from prometheus_client import multiprocess
counter = prometheus_client.Counter("things_total", "Things", ["number"])
for number in range(int(sys.argv[2])):
    counter.labels(str(number)).inc()
registry = prometheus_client.CollectorRegistry()
multiprocess.MultiProcessCollector(registry)
print(prometheus_client.generate_latest(registry).decode().count("things_total{"))
"""


@pytest.mark.parametrize(
    ("disk", "series", "shown"),
    [
        ("empty", 5, {5}),
        ("full", 5, {0}),
        ("full", 2000, {0}),
        ("empty", 2000, range(1, 2000)),
    ],
    ids=["room", "full", "full for many", "full at some time"],
)
def test_a_full_disk_ends_no_process_that_counts(
    tmp_path: Path, disk: str, series: int, shown: Container[int]
) -> None:
    """What is mapped and has no blocks of its own would end it with SIGBUS."""
    alone = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", FULL_DISK]
    run = [*alone, "sh", tmp_path, disk, sys.executable, SERIES, str(series)]
    result = subprocess.run(run, cwd=ROOT, text=True, capture_output=True)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) in shown
    assert ("disk is full" in result.stderr) is (int(result.stdout) < series)


def test_the_default_directory_is_ours_alone_and_tells_no_secret(
    tmp_path: Path,
) -> None:
    script = "import os; import project.settings; print(os.environ['PROMETHEUS_MULTIPROC_DIR'])"
    environment = {
        "TMPDIR": str(tmp_path),
        "DATABASE_URL": "postgres://user:hunter2@127.0.0.1/name",
    }
    command = [sys.executable, "-c", script]
    found = Path(
        subprocess.check_output(command, cwd=ROOT, env=environment, text=True).strip()
    )
    assert found.parent == tmp_path
    assert found.stat().st_mode & 0o777 == 0o700
    assert re.fullmatch(r"password-reset-metrics-[0-9]+-[0-9a-f]{16}", found.name)


def test_root_leaves_nothing_where_the_site_counts(tmp_path: Path) -> None:
    """`collectstatic` as root, as in a first installation, then the site as its user."""
    site, alone = 1234, ("unshare", "--map-root-user", "--map-users=auto", "--")
    if os.geteuid() == 0:
        os.chown(tmp_path, site, site)
        alone = ()
    root = Counting(tmp_path / "metrics", 3, *alone)
    root.end()
    assert list(tmp_path.iterdir()) == []


def test_every_series_begins_with_zero(processes: Processes, tmp_path: Path) -> None:
    """Prometheus sees no increase in a series that is born with 1."""
    site = processes.gunicorn(workers=1, PROMETHEUS_MULTIPROC_DIR=str(tmp_path))
    shown = scrape(site.url)
    for status in ("accepted", "rate_limited", "invalid", "unavailable", "failed"):
        assert shown[f'password_reset_requests_total{{status="{status}"}}'] == 0
    for scope in Scope:
        assert shown[f'password_reset_rate_limit_total{{scope="{scope}"}}'] == 0
    assert shown['password_reset_duration_seconds_count{step="mail"}'] == 0


def test_a_directory_that_others_can_write_is_not_used(tmp_path: Path) -> None:
    script = "import os; import project.settings; print(os.environ.get('PROMETHEUS_MULTIPROC_DIR', 'none'))"
    command, environment = [sys.executable, "-c", script], {"TMPDIR": str(tmp_path)}
    found = Path(
        subprocess.check_output(command, cwd=ROOT, env=environment, text=True).strip()
    )
    found.chmod(0o777)
    assert (
        subprocess.check_output(command, cwd=ROOT, env=environment, text=True).strip()
        == "none"
    )
