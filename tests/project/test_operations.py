"""What an operator relies on beside the site: gauges, the queue's leftovers, addresses."""

import os
import stat
import subprocess
import sys
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from password_reset.models import PasswordResetRequest
from project import exporter
from tests import ROOT
from tests.tools.processes import Processes

DEPLOY = ROOT / "deploy"


def gauge(client: Client, name: str) -> float:
    lines = client.get("/metrics").content.decode().splitlines()
    (value,) = [line.split()[1] for line in lines if line.split()[0] == name]
    return float(value)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("switched", [True, False])
def test_prometheus_is_told_whether_the_flow_is_switched_on(
    client: Client, settings: Any, switched: bool
) -> None:
    settings.PASSWORD_RESET_ENABLED = switched
    assert gauge(client, "password_reset_enabled") == switched


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("server", ["cache", "database"])
def test_prometheus_is_told_that_a_server_answers(client: Client, server: str) -> None:
    assert gauge(client, f"password_reset_{server}_up") == 1


@pytest.mark.parametrize(
    ("server", "variable", "name"),
    [
        ("own_redis", "REDIS_URL", "cache"),
        ("own_postgres", "DATABASE_URL", "database"),
    ],
)
def test_prometheus_is_told_that_a_server_is_gone(
    processes: Processes,
    request: pytest.FixtureRequest,
    server: str,
    variable: str,
    name: str,
) -> None:
    import urllib.request  # noqa: PLC0415 - this test alone is outside the process

    own = request.getfixturevalue(server)
    site = processes.gunicorn(**{variable: own.url})
    own.kill()
    with urllib.request.urlopen(f"{site.url}/metrics", timeout=10) as answer:
        assert f"\npassword_reset_{name}_up 0.0\n".encode() in answer.read()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("minutes", "late"), [(-30, 0), (10, 600)])
def test_what_waits_for_its_next_attempt_is_not_late(
    client: Client, minutes: int, late: int
) -> None:
    now = timezone.now()
    PasswordResetRequest.objects.create(
        email="a@example.com",
        created_at=now - timedelta(hours=3),
        next_attempt_at=now - timedelta(minutes=minutes),
        attempts=7,
    )
    shown = gauge(client, "password_reset_oldest_pending_seconds")
    assert late <= shown < late + 60


@pytest.mark.django_db
def test_a_run_from_cron_leaves_its_time() -> None:
    from password_reset import metrics  # noqa: PLC0415 - needs settings

    before = timezone.now().timestamp()
    call_command("process_reset_requests", stdout=StringIO())
    (family,) = metrics.last_sweep_timestamp_seconds.collect()
    assert family.samples[0].value >= before


@pytest.mark.django_db
def test_a_task_whose_worker_was_killed_is_deleted_and_a_running_one_stays() -> None:
    now = timezone.now()
    for hours in (0, 2):
        DBTaskResult.objects.create(
            status="RUNNING",
            started_at=now - timedelta(hours=hours),
            args_kwargs={"args": [], "kwargs": {}},
            priority=0,
            task_path="password_reset.tasks.work",
            backend_name="default",
        )
    out = StringIO()
    call_command("prune_killed_tasks", stdout=out)
    assert out.getvalue() == "Deleted 1 killed tasks.\n"
    assert DBTaskResult.objects.get().started_at == now


def test_a_machine_of_workers_shows_its_metrics_and_nothing_else() -> None:
    started: list[str] = []
    environ = {"PATH_INFO": "/forgot-password", "REQUEST_METHOD": "GET"}
    exporter.application(environ, lambda status, headers: started.append(status))
    assert started == ["404 Not Found"]
    assert {"/metrics", "/health/live"} == exporter.SHOWN


# Addresses of databases, on the command line.


def with_database(url: str, **environment: str) -> dict[str, str]:
    """Return the environment that a command gets."""
    command = [sys.executable, DEPLOY / "with_database", "THE_URL", "env"]
    given = {"PATH": os.environ["PATH"], "THE_URL": url} | environment
    result = subprocess.run(command, env=given, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return dict(line.split("=", 1) for line in result.stdout.splitlines())


def test_an_address_becomes_libpqs_variables_and_leaves() -> None:
    seen = with_database("postgresql://us%40r:p%2Fw@db.site.test:5433/name")
    wanted = {
        "PGHOST": "db.site.test",
        "PGPORT": "5433",
        "PGUSER": "us@r",
        "PGPASSWORD": "p/w",
        "PGDATABASE": "name",
        "PGSSLMODE": "verify-full",
    }
    assert {name: seen.get(name) for name in wanted} == wanted
    assert "THE_URL" not in seen


def test_the_authority_is_the_sites(tmp_path: Path) -> None:
    seen = with_database("postgresql://u@h/n", DATABASE_SSL_CA=str(tmp_path))
    assert seen["PGSSLROOTCERT"] == str(tmp_path)
    assert "PGSSLMODE" not in with_database("postgresql://u@h/n", DATABASE_SSL="false")


def test_an_address_may_be_in_a_file_and_choose_for_itself(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgresql:///n?host=/run/sockets&sslmode=disable\n")
    seen = with_database("", THE_URL_FILE=str(tmp_path / "url"))
    assert (seen["PGHOST"], seen["PGSSLMODE"]) == ("/run/sockets", "disable")


@pytest.mark.parametrize("url", ["", "mysql://u@h/n", "postgresql://h/n?nonsense=1"])
def test_what_is_no_address_is_refused(url: str) -> None:
    command = [sys.executable, DEPLOY / "with_database", "THE_URL", "env"]
    assert subprocess.run(command, env={"THE_URL": url}, capture_output=True).returncode


# Files that are written only when they change.


def put(file: Path, text: str, *command: str) -> tuple[int, str]:
    owner = f"{file.parent.owner()}:{file.parent.group()}"
    line = [DEPLOY / "server" / "put", "0640", owner, file, *command]
    result = subprocess.run(line, input=text, capture_output=True, text=True)
    return result.returncode, result.stdout


def test_a_file_is_put_once_and_its_command_runs_once(tmp_path: Path) -> None:
    file, mark = tmp_path / "file", tmp_path / "mark"
    count = ["sh", "-c", f"echo >> {mark}"]
    assert put(file, "text", *count) == (0, f"changed {file}\n")
    written = file.stat().st_mtime_ns
    assert put(file, "text", *count) == (0, "")
    assert (file.stat().st_mtime_ns, mark.read_text()) == (written, "\n")
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


def test_a_file_that_is_not_taken_is_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "file"
    put(file, "good")
    assert put(file, "bad", "false")[0] == 1
    assert file.read_text() == "good"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_nothing_is_put_where_nothing_came(tmp_path: Path) -> None:
    file = tmp_path / "file"
    put(file, "good")
    assert put(file, "")[0] == 1
    assert file.read_text() == "good"
