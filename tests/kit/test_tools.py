"""The kit's scripts, units and jobs, run against its real pieces."""

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from tests import ROOT
from tests.kit.pieces import DEPLOY, Imap, TlsPostgres, Unit, exec_start
from tests.kit.stack import PASSWORD, Stack
from tests.tools.servers import free_port

CRON = re.compile(r"^(?:[*0-9]+\s+){5}(\S+)\s+\$JOB (.+)$", re.MULTILINE)


# The smoke test.


def smoke_test(stack: Stack) -> subprocess.CompletedProcess[str]:
    options = ["--ca", stack.nginx.ca, "--http-port", str(stack.nginx.http_port)]
    command = [sys.executable, "-S", DEPLOY / "smoke_test", stack.url, *options]
    return subprocess.run(command, capture_output=True, text=True)


def test_the_smoke_test_passes_on_a_healthy_site(stack: Stack) -> None:
    stack.forget_limits()
    result = smoke_test(stack)
    assert result.returncode == 0, result.stdout
    assert "FAIL" not in result.stdout


def test_the_smoke_test_sees_a_site_that_is_down(
    stack: Stack, whole_again: None
) -> None:
    stack.web.stop()
    result = smoke_test(stack)
    assert result.returncode == 1
    assert "FAIL  /health" in result.stdout


def test_the_smoke_test_sees_a_redis_that_is_down(
    stack: Stack, whole_again: None
) -> None:
    stack.redis.stop()
    result = smoke_test(stack)
    assert result.returncode == 1
    assert "FAIL  The form accepts a request" in result.stdout


def test_the_smoke_test_sees_a_certificate_that_is_not_trusted(stack: Stack) -> None:
    command = [
        sys.executable,
        DEPLOY / "smoke_test",
        stack.url,
        "--ca",
        stack.database.ca,
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 1
    assert "certificate verify failed" in result.stdout


def test_the_smoke_test_of_a_flow_that_is_on_finds_it_not_switched_off(
    stack: Stack,
) -> None:
    command = [sys.executable, DEPLOY / "smoke_test", stack.url, "--switched-off"]
    options = ["--ca", stack.nginx.ca, "--http-port", str(stack.nginx.http_port)]
    result = subprocess.run([*command, *options], capture_output=True, text=True)
    assert result.returncode == 1
    assert "6 of 7 checks passed" in result.stdout
    assert "FAIL  The flow is switched off" in result.stdout


# The end-to-end run.


@pytest.fixture
def imap() -> Iterator[Imap]:
    server = Imap()
    server.start()
    yield server
    server.close()


def end_to_end(
    stack: Stack, imap: Imap, email: str, *options: str, patience: str = "30"
) -> tuple[int, str]:
    """Run the selection, the mail server's deliveries going into the mailbox meanwhile."""
    stack.forget_limits()
    http_url = f"http://localhost:{stack.nginx.http_port}"
    site = ["--base-url", stack.url, "--http-url", http_url, "--ca", stack.nginx.ca]
    secrets = {
        "E2E_PASSWORD": PASSWORD,
        "E2E_MAILBOX": imap.address,
        "E2E_MAILBOX_CA": str(imap.ca),
        "E2E_PATIENCE": patience,
    }
    e2e = DEPLOY / "e2e"
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        e2e / "pytest.ini",
        e2e,
        *site,
        "--email",
        email,
    ]
    environment = {"PATH": os.environ["PATH"]}
    with (imap.folder / "output").open("w+") as output:
        process = subprocess.Popen(
            [*command, *options],
            cwd=ROOT,
            env=environment | secrets,
            stdout=output,
            stderr=output,
        )
        seen = len(stack.mail.deliveries)
        while process.poll() is None:
            for delivery in stack.mail.deliveries[seen:]:
                imap.deliver(delivery.message)
                seen += 1
            wait_a_moment(process)
        output.seek(0)
        return process.returncode, output.read()


def wait_a_moment(process: subprocess.Popen[bytes]) -> None:
    with suppress(subprocess.TimeoutExpired):
        process.wait(0.2)


def test_the_end_to_end_run_passes_on_a_healthy_site(stack: Stack, imap: Imap) -> None:
    code, output = end_to_end(stack, imap, stack.accounts.pop())
    assert code == 0, output
    assert "14 passed" in output


def test_the_end_to_end_run_of_the_limits_passes(stack: Stack, imap: Imap) -> None:
    code, output = end_to_end(stack, imap, "nobody@example.org", "-m", "limits")
    assert (code, "1 passed" in output) == (0, True), output


def test_the_end_to_end_run_fails_where_no_mail_comes(stack: Stack, imap: Imap) -> None:
    email = stack.accounts.pop()
    stack.mail.replies[email] = "550 No such user"
    code, output = end_to_end(stack, imap, email, "-k", "mail", patience="3")
    assert (code, "no mail to" in output) == (1, True), output


# Units and jobs.


@pytest.mark.parametrize(
    "unit", ["password-reset-purge.service", "password-reset-requests.service"]
)
def test_what_a_timer_starts_ends_well(stack: Stack, unit: str) -> None:
    for command in exec_start(unit, stack.release):
        result = stack.shell(command)
        assert result.returncode == 0, result.stderr


def test_the_cron_file_does_what_the_timers_do() -> None:
    jobs = {
        job for _, job in CRON.findall((DEPLOY / "cron/password-reset").read_text())
    }
    units = ["password-reset-purge.service", "password-reset-requests.service"]
    started = [command for unit in units for command in exec_start(unit, Path("/x"))]
    assert jobs == {command.partition("manage.py ")[2] for command in started}


@pytest.mark.parametrize(
    "job",
    [job for _, job in CRON.findall((DEPLOY / "cron/password-reset").read_text())],
)
def test_a_cron_job_ends_well_in_crons_empty_environment(
    stack: Stack, job: str
) -> None:
    environment = {
        "PATH": "/usr/bin:/bin",
        "PASSWORD_RESET_ENV": str(stack.environment_file),
    }
    command = [stack.release / "deploy/cron/job", *shlex.split(job)]
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd="/"
    )
    assert result.returncode == 0, result.stderr


def test_cron_hears_nothing_of_a_job_that_ends_well_and_all_of_one_that_fails(
    stack: Stack,
) -> None:
    """What a job prints cron mails, and this one runs each minute."""
    job = ["env", "-i", "PATH=/usr/bin:/bin"]
    job += [f"PASSWORD_RESET_ENV={stack.environment_file}"]
    job += [str(stack.release / "deploy/cron/job")]
    well = subprocess.run([*job, "process_reset_requests"], capture_output=True)
    fails = subprocess.run([*job, "no_such_command"], capture_output=True)
    assert (well.returncode, well.stdout, well.stderr) == (0, b"", b"")
    assert fails.returncode == 1
    assert b"Unknown command: 'no_such_command'" in fails.stdout


def test_the_container_of_cron_survives_a_restart(tmp_path: Path) -> None:
    """Its start, twice on one file system, with a stand-in for the daemon."""
    script = (DEPLOY / "cron/container").read_text()
    for path in ("/run/", "/etc/"):
        (tmp_path / path.strip("/")).mkdir()
        script = script.replace(path, f"{tmp_path}{path}")
    script = script.replace("-R password-reset", f"-R {os.getgid()}")
    (tmp_path / "cron").write_text('#!/bin/sh\necho "started $*"\n')
    (tmp_path / "cron").chmod(0o755)
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    for _twice in range(2):
        with (tmp_path / "log").open("w+") as log:
            process = subprocess.Popen(
                ["sh", "-c", script],
                env=environment,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
            status = process.wait(30)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        assert (status, (tmp_path / "log").read_text()) == (0, "started -f\n")


def test_the_first_start_of_the_database_container_makes_the_roles(
    tmp_path: Path,
) -> None:
    for name in ("owner", "user", "backup"):
        (tmp_path / f"database_{name}_password").write_text(f"the-{name}s-own")
    database = TlsPostgres()
    database.start()
    try:
        environment = {
            "PATH": f"{database.binaries}:/usr/bin:/bin",
            "PGHOST": str(database.folder),
            "PGPORT": str(database.port),
            "SECRETS": str(tmp_path),
            "SQL": str(DEPLOY / "sql"),
        }
        for _twice in range(2):
            start = [DEPLOY / "postgresql" / "first_start"]
            subprocess.run(start, env=environment, check=True)
        for name in ("owner", "user", "backup"):
            role = f"yourapp_{name}"
            psycopg.connect(database.address(role, f"the-{name}s-own")).close()
    finally:
        database.close()


def test_systemd_is_told_when_the_site_is_ready(stack: Stack, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
        notified.bind(str(tmp_path / "notify"))
        notified.settimeout(30)
        lines = f"NOTIFY_SOCKET={tmp_path}/notify\nPORT={free_port()}\n"
        environment = tmp_path / "env"
        environment.write_text(stack.environment_file.read_text() + lines)
        web = Unit(
            "password-reset-web.service",
            stack.release,
            environment,
            ready="Booting worker",
        )
        web.start()
        assert b"READY=1" in notified.recv(1024)
        web.close()


# The environment.


def test_an_empty_environment_is_told_all_that_is_missing() -> None:
    environment = {"PATH": os.environ["PATH"], "ENVIRONMENT": "production"}
    command = [sys.executable, "-m", "project.env"]
    result = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 1
    for name in (
        "API_URL",
        "WEB_URL",
        "DATABASE_URL",
        "SMTP_HOST",
        "SMTP_FROM",
        "REDIS_URL",
        "SESSION_SECRET",
    ):
        assert f"{name}: is missing" in result.stderr


def test_the_example_filled_in_is_complete(stack: Stack) -> None:
    result = stack.shell("python -m project.env")
    assert (result.returncode, result.stderr) == (0, "")


def test_the_example_is_the_same_to_the_shell_and_to_django(stack: Stack) -> None:
    command = [sys.executable, "-m", "project.env", str(stack.environment_file)]
    result = subprocess.run(
        command, env={"PATH": ""}, cwd=ROOT, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr


# Backup and restore.


@pytest.fixture
def empty_database(stack: Stack) -> Iterator[str]:
    with psycopg.connect(stack.database.url, autocommit=True) as session:
        session.execute("CREATE DATABASE restored OWNER yourapp_owner")
    yield stack.owner_url().replace("yourapp_db", "restored")
    with psycopg.connect(stack.database.url, autocommit=True) as session:
        session.execute("DROP DATABASE restored WITH (FORCE)")


def test_a_restored_backup_has_every_row_and_no_live_secret(
    stack: Stack, empty_database: str, tmp_path: Path
) -> None:
    email = stack.accounts.pop()
    visitor = stack.visitor()
    visitor.log_in(email, PASSWORD)
    visitor.ask_for_link(email)
    stack.link_mailed_to(email)
    backup = stack.shell(
        f"{DEPLOY}/backup {tmp_path}", DATABASE_BACKUP_URL=stack.owner_url()
    )
    dump = backup.stdout.strip()
    restore = stack.shell(f"{DEPLOY}/restore {dump}", OWNER_DATABASE_URL=empty_database)
    assert restore.returncode == 0, restore.stderr
    counted = "SELECT count(*) FROM {}"
    with psycopg.connect(empty_database) as session:
        for table in ("users", "password_reset_tokens", "password_reset_requests"):
            assert session.execute(counted.format(table)).fetchall() == stack.rows(
                counted.format(table)
            )
        live = "password_reset_tokens WHERE used_at IS NULL"
        for rows in (live, "django_session", "user_sessions"):
            assert session.execute(counted.format(rows)).fetchone() == (0,)


def test_a_backup_forgets_old_dumps_and_no_others(stack: Stack, tmp_path: Path) -> None:
    old, other = (
        tmp_path / "password-reset-20200101T000000Z.dump",
        tmp_path / "other.dump",
    )
    for path in (old, other):
        path.touch()
        os.utime(path, (0, 0))
    stack.shell(f"{DEPLOY}/backup {tmp_path} 14", DATABASE_BACKUP_URL=stack.owner_url())
    assert (old.exists(), other.exists()) == (False, True)
    assert len(list(tmp_path.glob("password-reset-*.dump"))) == 1


def test_a_backup_that_fails_leaves_nothing_that_looks_like_one(
    stack: Stack, tmp_path: Path
) -> None:
    nowhere = stack.owner_url().replace("yourapp_db", "nowhere")
    result = stack.shell(f"{DEPLOY}/backup {tmp_path}", DATABASE_BACKUP_URL=nowhere)
    assert result.returncode != 0
    assert list(tmp_path.glob("*.dump")) == []
