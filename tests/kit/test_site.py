"""The whole flow through the kit's real pieces: nginx, gunicorn, worker, PostgreSQL,
Redis, SMTP with TLS.
"""

import re
import signal
import subprocess
import time

import psycopg
import pytest
import requests

from tests.kit.pieces import APP_PASSWORD
from tests.kit.stack import NEW_PASSWORD, PASSWORD, Stack
from tests.tools.servers import wait_until

HEADERS = {
    "Strict-Transport-Security": "max-age=31536000; includeSubDomains",
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
}


@pytest.fixture
def email(stack: Stack) -> str:
    """The address of an account that no other test uses."""
    return stack.accounts.pop()


def health(stack: Stack) -> int:
    return stack.visitor().get("/health").status_code


def test_a_forgotten_password_is_replaced_and_everybody_is_logged_out(
    stack: Stack, email: str
) -> None:
    here, elsewhere = stack.visitor(), stack.visitor()
    assert elsewhere.log_in(email, PASSWORD)
    assert here.ask_for_link(email).headers["Location"] == "/forgot-password/done"
    chosen = here.choose(stack.link_mailed_to(email), NEW_PASSWORD)
    assert chosen.headers["Location"] == "/reset-password/done"
    assert not elsewhere.is_logged_in()
    assert not here.log_in(email, PASSWORD)
    assert here.log_in(email, NEW_PASSWORD)


def test_the_owner_is_told_of_the_new_password(stack: Stack, email: str) -> None:
    visitor = stack.visitor()
    visitor.ask_for_link(email)
    visitor.choose(stack.link_mailed_to(email), NEW_PASSWORD)
    wait_until(lambda: len(stack.mails_to(email)) == 2, stack.worker.full_log)
    assert "token=" not in stack.mails_to(email)[1].text


def test_a_program_walks_the_same_way(stack: Stack, email: str) -> None:
    program = stack.visitor()
    path = "/api/auth/"
    assert (
        program.post_json(path + "request-password-reset", {"email": email}).status_code
        == 202
    )
    token = stack.link_mailed_to(email).partition("token=")[2]
    assert (
        program.post_json(path + "verify-reset-token", {"token": token}).json()["valid"]
        is True
    )
    reset = program.post_json(
        path + "reset-password", {"token": token, "password": NEW_PASSWORD}
    )
    assert reset.status_code == 200
    assert (
        program.post_json(path + "verify-reset-token", {"token": token}).status_code
        == 410
    )


def test_plain_http_leads_to_https(stack: Stack) -> None:
    address = f"http://localhost:{stack.nginx.http_port}/forgot-password?a=b"
    answer = requests.get(address, allow_redirects=False, timeout=10)
    assert answer.status_code == 301
    assert answer.headers["Location"] == "https://localhost/forgot-password?a=b"


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/forgot-password",
        "/reset-password",
        "/reset-password?token=x",
        "/login",
        "/metrics",
    ],
)
def test_every_page_carries_the_guides_headers_once(stack: Stack, path: str) -> None:
    headers = stack.visitor().get(path).headers
    assert {name: headers.get(name) for name in HEADERS} == HEADERS


def test_static_files_come_from_nginx_and_may_be_kept(stack: Stack) -> None:
    page = stack.visitor().get("/forgot-password").text
    sheet = page.partition('href="/static/')[2].partition('"')[0]
    answer = stack.visitor().get(f"/static/{sheet}")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_a_forged_forwarded_address_changes_nothing(stack: Stack) -> None:
    visitor = stack.visitor()
    forged = [
        {"X-Forwarded-For": f"203.0.113.{n}", "X-Real-IP": "198.51.100.1"}
        for n in range(4)
    ]
    answers = [
        visitor.ask_for_link(f"{n}@example.org", forged[n]).status_code
        for n in range(4)
    ]
    assert answers == [302, 302, 302, 429]
    found = stack.rows(
        "SELECT count(*) FROM password_reset_requests WHERE ip_address = "
        f"'{visitor.address}'"
    )
    assert found == [(3,)]


def test_a_name_that_is_not_ours_gets_no_answer(stack: Stack) -> None:
    address = f"http://127.0.0.1:{stack.nginx.http_port}/"
    with pytest.raises(requests.ConnectionError):
        requests.get(address, headers={"Host": "attacker.example"}, timeout=10)
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"https://127.0.0.1:{stack.nginx.port}/", verify=False, timeout=10)


def test_no_log_holds_a_token(stack: Stack, email: str, whole_again: None) -> None:
    visitor = stack.visitor()
    visitor.ask_for_link(email)
    link = stack.link_mailed_to(email)
    visitor.get(link, headers={"Referer": link})
    visitor.get(f"/oops/{link.partition('token=')[2]}", headers={"Referer": link})
    visitor.choose(link, NEW_PASSWORD)
    visitor.get(link)
    stack.web.stop()
    assert visitor.get(link).status_code == 503
    logs = stack.all_logs()
    assert "/reset-password" in logs
    assert [token for token in stack.tokens() if token in logs] == []


def test_one_request_id_ties_nginx_and_the_site_together(stack: Stack) -> None:
    name = stack.visitor().get("/forgot-password").headers["X-Request-ID"]
    wait_until(lambda: name in stack.nginx.logs(), stack.nginx.logs)
    wait_until(lambda: name in stack.web.full_log(), stack.web.full_log)


def accepted(stack: Stack) -> float:
    return stack.metrics().get('password_reset_requests_total{status="accepted"}', 0)


def mailed(stack: Stack) -> float:
    return stack.metrics().get('password_reset_duration_seconds_count{step="mail"}', 0)


def mailed_at_rest(stack: Stack) -> float:
    """Return the count once nothing is left of what earlier tests have asked for."""
    open_rows = "SELECT 1 FROM {} WHERE processed_at IS NULL AND failed_at IS NULL"
    unfinished = " UNION ALL ".join(
        open_rows.format(table)
        for table in ("password_reset_requests", "password_reset_notices")
    )
    wait_until(lambda: not stack.rows(unfinished), stack.worker.full_log)
    # A row is settled a moment before it is counted.
    readings = [mailed(stack)]

    def steady() -> bool:
        time.sleep(0.5)
        readings.append(mailed(stack))
        return readings[-1] == readings[-2]

    wait_until(steady, lambda: f"the count never rests: {readings}")
    return readings[-1]


def test_metrics_add_up_over_processes_with_equal_ids(
    stack: Stack, whole_again: None
) -> None:
    # They come straight before, from a worker that had to start again.
    stack.worker.stop()
    for number in range(3):
        stack.visitor().ask_for_link(f"nobody-before-{number}@example.org")
    stack.worker.start()
    assert stack.web.process_ids() & stack.worker.process_ids()
    before = accepted(stack), mailed_at_rest(stack)
    for number in range(12):
        stack.visitor().ask_for_link(f"nobody-{number}@example.org")
    wait_until(lambda: mailed(stack) == before[1] + 12, stack.worker.full_log)
    assert accepted(stack) == before[0] + 12


def test_a_restart_of_the_site_forgets_no_count(
    stack: Stack, whole_again: None
) -> None:
    stack.visitor().ask_for_link("nobody@example.org")
    before = accepted(stack)
    stack.web.stop()
    stack.web.start()
    stack.wait_until_ready()
    assert accepted(stack) == before


def test_metrics_are_closed_to_the_world(stack: Stack) -> None:
    visitor = stack.visitor()
    for path in (
        "/metrics",
        "/metrics/",
        "//metrics",
        "/x/../metrics",
        "/METRICS",
        "/%6detrics",
    ):
        assert visitor.get(path).status_code == 404


def test_a_proxy_on_the_same_machine_does_not_open_metrics(stack: Stack) -> None:
    address = f"http://127.0.0.1:{stack.port}/metrics"
    assert (
        requests.get(
            address, headers={"X-Forwarded-For": "1.1.1.1"}, timeout=10
        ).status_code
        == 404
    )


def test_a_mail_that_is_given_up_is_counted(stack: Stack, email: str) -> None:
    failed = 'password_reset_requests_total{status="failed"}'
    before = stack.metrics().get(failed, 0)
    stack.mail.replies[email] = "550 No such user"
    stack.visitor().ask_for_link(email)
    wait_until(
        lambda: stack.metrics().get(failed, 0) == before + 1, stack.worker.full_log
    )


def test_health_follows_redis(stack: Stack, whole_again: None) -> None:
    stack.redis.stop()
    assert health(stack) == 503
    stack.redis.start()
    assert health(stack) == 200


def test_health_follows_postgresql(stack: Stack, whole_again: None) -> None:
    stack.database.stop()
    assert health(stack) == 503
    stack.database.start()
    wait_until(lambda: health(stack) == 200, stack.web.full_log)


def test_health_is_quick_while_redis_hangs(stack: Stack, whole_again: None) -> None:
    assert stack.redis.process
    stack.redis.process.send_signal(signal.SIGSTOP)
    begun = time.monotonic()
    status = health(stack)
    stack.redis.process.send_signal(signal.SIGCONT)
    assert status == 503
    assert time.monotonic() - begun < 3


def test_health_tells_a_stranger_no_more_than_that(stack: Stack) -> None:
    assert set(stack.visitor().get("/health").json()) == {"status", "database", "cache"}


def test_a_restart_of_redis_forgets_no_limit(stack: Stack, whole_again: None) -> None:
    visitor = stack.visitor()
    for number in range(3):
        visitor.ask_for_link(f"{number}@example.org")
    stack.redis.stop()
    stack.redis.start()
    assert visitor.ask_for_link("4@example.org").status_code == 429


def test_a_full_redis_closes_the_door_and_drops_no_limit(stack: Stack) -> None:
    visitor = stack.visitor()
    for number in range(3):
        visitor.ask_for_link(f"{number}@example.org")
    stack.redis.ask("CONFIG", "SET", "maxmemory", "1")
    full = stack.visitor().ask_for_link("kim@example.org")
    stack.redis.ask("CONFIG", "SET", "maxmemory", "256mb")
    assert (full.status_code, "Retry-After" in full.headers) == (503, True)
    assert visitor.ask_for_link("4@example.org").status_code == 429


def test_redis_wants_the_password_and_is_as_the_file_says(stack: Stack) -> None:
    settings = [
        stack.redis.ask("CONFIG", "GET", f"maxmemory{part}") for part in ("", "-policy")
    ]
    assert settings == ["maxmemory\n268435456\n", "maxmemory-policy\nnoeviction\n"]
    assert "NOAUTH" in stack.redis.ask("PING", password="")


def test_nginx_brakes_a_flood_of_posts_before_it_reaches_the_site(stack: Stack) -> None:
    visitor = stack.visitor()
    answers = [visitor.post_json("/reset-password", {}) for _ in range(30)]
    last = answers[-1]
    assert (last.status_code, last.headers["Retry-After"]) == (429, "60")
    assert "X-Request-ID" not in last.headers
    assert visitor.get("/reset-password").status_code == 200


@pytest.mark.parametrize("path", ["/login", "/admin/login/", "/admin/project/user/"])
def test_nginx_brakes_who_guesses_passwords(stack: Stack, path: str) -> None:
    visitor = stack.visitor()
    last = [visitor.post_json(path, {}) for _ in range(30)][-1]
    assert (last.status_code, last.headers["Retry-After"]) == (429, "60")
    assert "X-Request-ID" not in last.headers
    assert visitor.get(path).status_code in {200, 302}


def test_a_program_is_braked_in_its_own_words(stack: Stack) -> None:
    visitor = stack.visitor()
    answers = [
        visitor.post_json("/api/auth/verify-reset-token/", {}) for _ in range(30)
    ]
    assert answers[-1].headers["Content-Type"] == "application/problem+json"
    assert answers[-1].json()["code"] == "rate_limited"


def test_while_the_site_is_down_people_read_a_calm_page(
    stack: Stack, whole_again: None
) -> None:
    stack.web.stop()
    page = stack.visitor().get("/forgot-password")
    assert (page.status_code, page.headers["Retry-After"]) == (503, "30")
    assert "Back in a moment" in page.text
    assert {name: page.headers.get(name) for name in HEADERS} == HEADERS
    program = stack.visitor().post_json(
        "/api/auth/request-password-reset", {"email": "a@b.org"}
    )
    assert program.json()["code"] == "unavailable"


@pytest.mark.parametrize(
    "forbidden",
    [
        "CREATE TABLE mine (id int)",
        "INSERT INTO users (email, password) VALUES ('a', 'b')",
        "DELETE FROM users",
        "UPDATE users SET is_superuser = true",
        "UPDATE users SET email = 'attacker@example.org'",
        "DELETE FROM django_admin_log",
        "TRUNCATE password_reset_tokens",
        "CREATE TEMPORARY TABLE mine (id int)",
        "SELECT lo_create(0)",
        "SELECT lo_creat(-1)",
        "SELECT lo_from_bytea(0, 'mine')",
        "SELECT nextval('users_id_seq')",
        "SELECT setval('password_reset_tokens_id_seq', 1)",
        "CREATE SCHEMA mine",
        "CREATE ROLE mine",
        "CREATE DATABASE mine",
        "SET ROLE yourapp_owner",
        "COPY password_reset_tokens TO PROGRAM 'cat'",
        "COPY password_reset_tokens TO '/tmp/mine'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT rolpassword FROM pg_authid",
    ],
)
def test_the_sites_role_may_not(stack: Stack, forbidden: str) -> None:
    address = stack.database.address("yourapp_user", APP_PASSWORD)
    with (
        psycopg.connect(address, autocommit=True) as session,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        session.execute(forbidden)


@pytest.mark.parametrize(
    "forbidden",
    [
        "CREATE ROLE mine",
        "CREATE DATABASE mine",
        "ALTER ROLE yourapp_owner SUPERUSER",
        "GRANT pg_execute_server_program TO yourapp_owner",
        "COPY users TO PROGRAM 'cat'",
        "SELECT lo_create(0)",
    ],
)
def test_the_owner_who_migrates_is_no_superuser(stack: Stack, forbidden: str) -> None:
    with (
        psycopg.connect(stack.owner_url(), autocommit=True) as session,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        session.execute(forbidden)


@pytest.mark.parametrize("role", ["postgres", "yourapp_owner", "yourapp_user"])
def test_a_user_of_the_same_machine_gets_into_no_role_of_the_database(
    stack: Stack, role: str
) -> None:
    database = stack.database
    psql = [
        database.binaries / "psql",
        "--no-psqlrc",
        "--no-password",
        "-c",
        "SELECT 1",
    ]
    where = (
        f"postgresql://{role}@/yourapp_db?host={database.folder}&port={database.port}"
    )
    result = subprocess.run(
        [*as_nobody(), *psql, where], capture_output=True, text=True
    )
    assert result.returncode == 2
    assert re.search("Peer authentication failed|no password supplied", result.stderr)


def as_nobody() -> list[str]:
    """Return a command prefix for another user of this machine."""
    return ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]


def test_the_superuser_does_not_come_over_the_network(stack: Stack) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"pg_hba\.conf rejects"):
        psycopg.connect(stack.database.address("postgres", "any"))


def test_the_database_lets_nobody_in_without_tls(stack: Stack) -> None:
    address = stack.database.address("yourapp_user", APP_PASSWORD)
    with pytest.raises(psycopg.OperationalError, match="no encryption"):
        psycopg.connect(f"{address}?sslmode=disable")


def test_a_database_with_another_authority_is_not_believed(stack: Stack) -> None:
    command = (
        "python manage.py shell -c 'from django.db import connection as c; c.cursor()'"
    )
    result = stack.shell(f"DATABASE_SSL_CA={stack.nginx.ca}; {command}")
    assert result.returncode == 1
    assert "certificate verify failed" in result.stderr


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/forgot-password", "text/html"),
        ("/reset-password/", "text/html"),
        ("/api/auth/reset-password", "application/problem+json"),
    ],
)
def test_a_body_over_16_kib_never_reaches_the_site(
    stack: Stack, path: str, media_type: str
) -> None:
    visitor = stack.visitor()
    answer = visitor.session.post(stack.url + path, "a" * 16_385, **visitor.options)
    assert (answer.status_code, answer.headers["Content-Type"]) == (413, media_type)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "X-Request-ID" not in answer.headers
