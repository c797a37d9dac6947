"""What the environment makes of the site: database, cache, mail and security, tried on
real servers.
"""

import json
import os
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiosmtpd.smtp import AuthResult, LoginPassword
from django.core.cache import CacheHandler
from django.core.cache.backends.base import BaseCache
from django.core.mail import EmailMessage
from django.db import connection

from project import backends, env
from project.models import User
from tests import ROOT
from tests.project.test_env import COMPLETE
from tests.tools.servers import Redis, ask_redis, free_port
from tests.tools.smtp import SmtpServer


def values(**environment: str) -> dict[str, Any]:
    found = env.read(environment)
    assert found.problems == []
    return found.values


def in_production(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"]} | COMPLETE | changes
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )


# Database


def test_nothing_set_is_a_file_beside_the_code() -> None:
    config = backends.database(values(), ROOT)
    assert (config["ENGINE"], config["NAME"]) == (
        "django.db.backends.sqlite3",
        str(ROOT / "db.sqlite3"),
    )


def test_connections_are_pooled() -> None:
    given = {"DATABASE_POOL_MIN": "3", "DATABASE_POOL_MAX": "7"}
    config = backends.database(
        values(DATABASE_URL="postgresql://user@host/name", **given), ROOT
    )
    pool = config["OPTIONS"]["pool"]
    assert (pool["min_size"], pool["max_size"], config["CONN_MAX_AGE"]) == (3, 7, 0)


@pytest.mark.parametrize("ca", ["", __file__])
def test_tls_to_the_database_checks_certificate_and_name(ca: str) -> None:
    given = values(
        DATABASE_URL="postgresql://user@host/name",
        DATABASE_SSL="true",
        DATABASE_SSL_CA=ca,
    )
    options = backends.database(given, ROOT)["OPTIONS"]
    assert (options["sslmode"], options["sslrootcert"]) == (
        "verify-full",
        ca or "system",
    )


@pytest.mark.django_db
def test_a_look_up_in_any_case_uses_the_index() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
    assert (
        "users_upper_email"
        in User.objects.filter(email__iexact="anna@example.com").explain()
    )


# Cache


def cache_on(**environment: str) -> BaseCache:
    return CacheHandler({"default": backends.cache(values(**environment))})["default"]


def test_redis_takes_password_and_number_from_their_own_variables(
    own_redis: Redis,
) -> None:
    ask_redis(own_redis.url, "CONFIG SET requirepass hunter2")
    url = own_redis.url.removesuffix("/0")
    cache_on(REDIS_URL=url, REDIS_PASSWORD="hunter2", REDIS_DB="3").set("key", "value")
    complete = url.replace("//", "//:hunter2@") + "/3"
    assert cache_on(REDIS_URL=complete).get("key") == "value"


def test_a_redis_that_refuses_is_an_error_at_once() -> None:
    started = monotonic()
    with pytest.raises(Exception, match="refused"):
        cache_on(REDIS_URL=f"redis://127.0.0.1:{free_port()}").get("key")
    assert monotonic() - started < 1


def test_a_restart_of_redis_costs_no_error(own_redis: Redis) -> None:
    cache = cache_on(REDIS_URL=own_redis.url)
    cache.set("key", "value")
    own_redis.kill()
    own_redis.start()
    assert cache.get("key") is None


# Mail


def send(settings: Any, **environment: str) -> EmailMessage:
    for name, value in backends.mail(values(**environment)).items():
        setattr(settings, name, value)
    message = EmailMessage(
        "Subject", "https://example.com/", "noreply@example.com", ["a@example.com"]
    )
    message.send()
    return message


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 that only those trust who are told to; its key stands
    in the same file.
    """
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        *names,
    ]
    subprocess.run(
        [*command, "-keyout", "key", "-out", "crt"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )
    file = tmp_path / "both.pem"
    file.write_text((tmp_path / "key").read_text() + (tmp_path / "crt").read_text())
    return file


@pytest.fixture
def provider(certificate: Path) -> Iterator[SmtpServer]:
    """A server as providers run them: STARTTLS first, then a log-in, then mail."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)

    def authenticate(
        server: Any, session: Any, envelope: Any, mechanism: str, data: Any
    ) -> AuthResult:
        right = data == LoginPassword(b"someone@example.com", b"app password")
        return AuthResult(success=right, handled=False)

    options = {
        "tls_context": context,
        "require_starttls": True,
        "authenticator": authenticate,
        "auth_required": True,
    }
    server = SmtpServer(free_port(), **options)
    server.start()
    yield server
    server.close()


LOG_IN = {"SMTP_USER": "someone@example.com", "SMTP_PASSWORD": "app password"}


def test_a_log_in_goes_over_starttls(
    provider: SmtpServer,
    certificate: Path,
    settings: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    send(settings, **(provider.environment | LOG_IN))
    assert provider.wait_for(1)[0].recipients == ("a@example.com",)


def test_a_server_with_a_strangers_certificate_gets_no_password(
    provider: SmtpServer, settings: Any
) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        send(settings, **(provider.environment | LOG_IN))
    assert provider.deliveries == []


def test_a_server_without_log_in_is_spoken_to_as_it_is(
    smtp_server: SmtpServer, settings: Any
) -> None:
    send(settings, **smtp_server.environment)
    assert smtp_server.wait_for(1)[0].sender == "noreply@example.com"


def test_a_named_mail_server_is_used_without_more_words() -> None:
    assert values(SMTP_HOST="localhost")["EMAIL_PROVIDER"] == "smtp"


@pytest.mark.parametrize(("secure", "port"), [("true", 465), ("false", 587)])
def test_the_usual_port_follows_from_the_kind_of_tls(secure: str, port: int) -> None:
    assert values(SMTP_HOST="localhost", SMTP_SECURE=secure)["SMTP_PORT"] == port


class Api(BaseHTTPRequestHandler):
    """A web service that accepts every mail and keeps what it was sent."""

    received: list[tuple[str, Any]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.received.append((self.path, json.loads(body)))
        self.send_response(202 if "send" in self.path else 200)
        self.end_headers()
        self.wfile.write(b"" if "send" in self.path else b'{"MessageId": "1"}')

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002 - the name is http.server's
        """Keep quiet."""


@pytest.fixture
def api() -> Iterator[tuple[str, list[tuple[str, Any]]]]:
    received: list[tuple[str, Any]] = []
    with HTTPServer(
        ("127.0.0.1", 0), type("Received", (Api,), {"received": received})
    ) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", received
        server.shutdown()


@pytest.mark.filterwarnings("ignore:.*SendGrid:Warning")
def test_sendgrid_may_not_rewrite_links(
    api: tuple[str, list[tuple[str, Any]]], settings: Any
) -> None:
    url, received = api
    send(
        settings,
        EMAIL_PROVIDER="sendgrid",
        SENDGRID_API_KEY="SG.key",
        SENDGRID_API_URL=f"{url}/v3/",
    )
    ((path, body),) = received
    assert path == "/v3/mail/send"
    assert body["tracking_settings"]["click_tracking"] == {"enable": False}
    assert body["tracking_settings"]["open_tracking"] == {"enable": False}


def test_ses_sends_with_keys_of_its_own(
    api: tuple[str, list[tuple[str, Any]]], settings: Any
) -> None:
    url, received = api
    keys = {
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "secret",
    }
    message: Any = send(settings, EMAIL_PROVIDER="ses", AWS_ENDPOINT_URL=url, **keys)
    ((path, body),) = received
    assert path == "/v2/email/outbound-emails"
    assert body["Destination"]["ToAddresses"] == ["a@example.com"]
    assert message.anymail_status.message_id == "1"


# Production


def test_djangos_own_deployment_check_has_nothing_to_say() -> None:
    # Django 6.1 asks the database for its version to check a model.
    here = {"DATABASE_URL": os.environ["DATABASE_URL"], "DATABASE_SSL": "false"}
    result = in_production(
        "manage.py", "check", "--deploy", "--fail-level", "WARNING", **here
    )
    assert (result.returncode, "WARNINGS" in result.stderr) == (0, False), result.stderr


def test_production_is_https_only_and_knows_its_hosts() -> None:
    script = "from project import settings as s; print([s.DEBUG, s.SECURE_SSL_REDIRECT, s.SESSION_COOKIE_SECURE, \
        s.CSRF_COOKIE_SECURE, s.SECURE_HSTS_SECONDS, s.ALLOWED_HOSTS, s.PASSWORD_RESET_BASE_URL])"
    found = in_production("-c", script).stdout.strip()
    hosts = ["acme.dev", "api.acme.dev"]
    assert found == str([False, True, True, True, 31536000, hosts, "https://acme.dev"])


@pytest.mark.parametrize(
    ("proxies", "header"),
    [("", "None"), ("10.0.0.0/8", "('HTTP_X_FORWARDED_PROTO', 'https')")],
)
def test_a_forwarded_scheme_is_believed_behind_a_proxy_only(
    proxies: str, header: str
) -> None:
    script = "from project import settings; print(settings.SECURE_PROXY_SSL_HEADER)"
    assert in_production("-c", script, TRUSTED_PROXIES=proxies).stdout.strip() == header


def test_production_asks_for_fifteen_characters() -> None:
    script = "from project import settings; print(settings.PASSWORD_MIN_LENGTH)"
    assert in_production("-c", script).stdout.strip() == "15"


def test_only_development_has_limits_of_its_own() -> None:
    script = (
        "import django; django.setup(); from password_reset.conf import conf;"
        "print(*conf.request_rate_per_ip, *conf.request_rate_per_email)"
    )
    module = {"DJANGO_SETTINGS_MODULE": "project.settings"}
    here = subprocess.check_output(
        [sys.executable, "-c", script], cwd=ROOT, env=module, text=True
    )
    assert here.split() == ["20/h", "20/h"]
    deployed = in_production("-c", script, **module).stdout
    assert deployed.split() == ["3/h", "3/h", "10/d"]


@pytest.mark.parametrize(
    ("url", "has_queue"),
    [("postgresql://user@host/name", True), ("sqlite:///file.sqlite3", False)],
)
def test_the_queue_lives_where_a_worker_can_reach_it(url: str, has_queue: bool) -> None:
    command = [
        sys.executable,
        "-c",
        "from project import settings; print(hasattr(settings, 'TASKS'))",
    ]
    found = subprocess.check_output(
        command, cwd=ROOT, env={"DATABASE_URL": url}, text=True
    )
    assert found.strip() == str(has_queue)


def test_switching_the_flow_off_is_one_variable() -> None:
    script = "from project import settings; print(settings.PASSWORD_RESET_ENABLED)"
    assert (
        in_production("-c", script, FEATURE_PASSWORD_RESET="false").stdout.strip()
        == "False"
    )
