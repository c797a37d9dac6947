"""The servers that a run brings along are real, restart in place and end with the run."""

import os
import smtplib
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path

import psycopg
import pytest
import requests
from django.core import mail
from django.db import connection

from tests.tools.processes import Processes
from tests.tools.servers import Postgres, Redis, ask_redis, wait_until
from tests.tools.smtp import SmtpServer


def send(server: SmtpServer, recipient: str = "ann@example.com") -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = (
        "me@example.com",
        recipient,
        "Hello",
    )
    message.set_content("Good morning")
    with smtplib.SMTP("127.0.0.1", server.port, timeout=10) as client:
        client.send_message(message)


def test_a_mail_arrives_with_its_envelope_and_text(smtp_server: SmtpServer) -> None:
    send(smtp_server)
    [delivery] = smtp_server.wait_for(1)
    assert (delivery.sender, delivery.recipients) == (
        "me@example.com",
        ("ann@example.com",),
    )
    assert delivery.text.strip() == "Good morning"


def test_a_stopped_smtp_server_refuses_and_a_started_one_accepts(
    smtp_server: SmtpServer,
) -> None:
    smtp_server.stop()
    with pytest.raises(ConnectionRefusedError):
        send(smtp_server)
    smtp_server.start()
    send(smtp_server)
    assert len(smtp_server.deliveries) == 1


@pytest.mark.parametrize("reply", ["451 Try later", "550 No such user"])
def test_one_recipient_is_refused_and_another_is_served(
    smtp_server: SmtpServer, reply: str
) -> None:
    smtp_server.replies["bob@example.com"] = reply
    with pytest.raises(smtplib.SMTPRecipientsRefused):
        send(smtp_server, "bob@example.com")
    send(smtp_server, "ann@example.com")
    assert [delivery.recipients for delivery in smtp_server.deliveries] == [
        ("ann@example.com",)
    ]


def test_a_client_killed_in_data_leaves_no_mail(smtp_server: SmtpServer) -> None:
    smtp_server.hold()
    code = f"import smtplib; smtplib.SMTP('127.0.0.1', {smtp_server.port}).sendmail('a@b', 'c@d', 'x')"
    client = subprocess.Popen([sys.executable, "-c", code])
    assert smtp_server.held.wait(20)
    client.kill()
    client.wait()
    assert smtp_server.deliveries == []


def test_a_killed_postgres_comes_back_with_its_data(own_postgres: Postgres) -> None:
    with psycopg.connect(own_postgres.url) as session:
        session.execute("CREATE TABLE kept (n int)")
    own_postgres.kill()
    assert not own_postgres.answers()
    own_postgres.start()
    with psycopg.connect(own_postgres.url) as session:
        assert session.execute("SELECT count(*) FROM kept").fetchone() == (0,)


def test_a_killed_redis_comes_back_empty(own_redis: Redis) -> None:
    ask_redis(own_redis.url, "SET greeting hello")
    own_redis.kill()
    assert not own_redis.answers()
    own_redis.start()
    assert ask_redis(own_redis.url, "GET greeting") == "$-1\r\n"


def test_a_run_killed_hard_leaves_no_server_behind() -> None:
    code = (
        "import os, tests.tools.servers as s, time\n"
        "started = s.start_servers()\n"
        "print(*(server.process.pid for server in started), flush=True)\n"
        "time.sleep(60)\n"
    )
    free = {
        key: os.environ[key]
        for key in os.environ.keys() - {"DATABASE_URL", "REDIS_URL"}
    }
    run = subprocess.Popen(
        [sys.executable, "-c", code], env=free, stdout=subprocess.PIPE
    )
    assert run.stdout
    pids = run.stdout.readline().split()
    assert len(pids) == 2
    run.kill()
    run.communicate()
    wait_until(lambda: not any(map(is_running, pids)), lambda: f"still running: {pids}")


def is_running(pid: bytes) -> bool:
    """Tell whether the process runs; one that only waits to be collected does not."""
    try:
        return ") Z " not in Path(f"/proc/{int(pid)}/stat").read_text()
    except FileNotFoundError:
        return False


def test_this_process_sends_through_the_smtp_server(smtp: SmtpServer) -> None:
    mail.EmailMultiAlternatives(
        "Hello", "Good morning", "me@example.com", ["ann@example.com"]
    ).send()
    assert smtp.wait_for(1)[0].recipients == ("ann@example.com",)


@pytest.mark.sqlite
@pytest.mark.django_db
def test_the_database_is_the_one_that_was_asked_for() -> None:
    assert connection.vendor == (
        "sqlite" if os.environ["DATABASE_URL"].startswith("sqlite") else "postgresql"
    )
    assert connection.settings_dict["NAME"] not in {":memory:", "postgres"}


@pytest.mark.sqlite
def test_the_site_serves_the_database_of_the_test(processes: Processes) -> None:
    site = processes.gunicorn(workers=2)
    assert requests.get(f"{site.url}/health", timeout=10).status_code == 200
    assert site.stop() == 0


def test_the_worker_starts_and_stops(processes: Processes) -> None:
    worker = processes.db_worker()
    worker.wait_for_log("Starting worker")
    assert worker.stop() == 0


def test_a_killed_site_leaves_no_worker_on_its_port(processes: Processes) -> None:
    site = processes.gunicorn(workers=2)
    site.kill()
    with pytest.raises(requests.ConnectionError):
        requests.get(f"{site.url}/health", timeout=10)
