"""A whole site as the kit has it: nginx, gunicorn, worker, PostgreSQL, Redis, SMTP."""

import re
import secrets
import shlex
import shutil
import subprocess
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import TypeVar

import psycopg
import requests

from tests import ROOT
from tests.kit import pieces
from tests.kit.pieces import Nginx, PasswordRedis, TlsPostgres, Unit
from tests.kit.release import build
from tests.kit.visitor import Visitor
from tests.tools.servers import Server, free_port, new_folder, wait_until
from tests.tools.smtp import Delivery

Piece = TypeVar("Piece", bound=Server)
METRICS_TOKEN = secrets.token_hex(16)
PASSWORD = "the first long passphrase"
NEW_PASSWORD = "the second long passphrase"


class Stack:
    """The pieces, put together and running once `start()` returns."""

    def __init__(self) -> None:
        self.folder = new_folder()
        self.release = self.folder / "release"
        self.running: list[Server] = []
        self.addresses = (f"127.0.{n // 250}.{n % 250 + 2}" for n in count(250))
        self.mail = pieces.tls_mail_server(self.folder / "mail")
        self.https_port, self.port = free_port(), free_port()
        self.url = f"https://localhost:{self.https_port}"

    def start(self) -> None:
        build(self.release)
        # A release on a server has the whole kit; the image has what its COPY lines
        # name.
        shutil.copytree(ROOT / "deploy", self.release / "deploy", dirs_exist_ok=True)
        self.database = self._run(TlsPostgres())
        self.database.create()
        self.redis = self._run(PasswordRedis())
        self.mail.start()
        self.environment_file = self.write_environment()
        self.migrate()
        self.accounts = self.make_accounts(20)
        self.nginx = self._run(
            Nginx(self.release, f"127.0.0.1:{self.port}", self.https_port)
        )
        self.start_site()

    def start_site(self) -> None:
        where = (self.release, self.environment_file)
        self.web = self._run(
            Unit("password-reset-web.service", *where, ready="Booting worker")
        )
        self.worker = self._run(
            Unit("password-reset-worker.service", *where, ready="Starting worker")
        )
        self.wait_until_ready()

    def wait_until_ready(self) -> None:
        wait_until(lambda: self.health() == 200, lambda: self.web.full_log()[-3000:])

    def _run(self, server: Piece) -> Piece:
        self.running.append(server)
        server.start()
        return server

    def close(self) -> None:
        with ExitStack() as closing:
            closing.callback(shutil.rmtree, self.folder, ignore_errors=True)
            closing.callback(self.mail.close)
            for server in self.running:
                closing.callback(server.close)

    # The environment, from the shipped example.

    def values(self) -> dict[str, str]:
        """Return what a team fills into the example."""
        return {
            "APP_NAME": "Resetting",
            "SUPPORT_EMAIL": "help@localhost.localdomain",
            "SUPPORT_URL": "",
            "SMTP_FROM_NAME": "Resetting",
            "API_URL": self.url,
            "WEB_URL": self.url,
            "PORT": str(self.port),
            "DATABASE_URL": self.database.address("yourapp_user", pieces.APP_PASSWORD),
            "DATABASE_SSL_CA": str(self.database.ca),
            "DATABASE_POOL_MAX": "4",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.mail.port),
            "SMTP_USER": pieces.SMTP_USER,
            "SMTP_PASSWORD": pieces.SMTP_PASSWORD,
            "SMTP_FROM": "noreply@localhost.localdomain",
            "REDIS_URL": f"redis://127.0.0.1:{self.redis.port}",
            "REDIS_PASSWORD": pieces.REDIS_PASSWORD,
            "SESSION_SECRET": secrets.token_hex(32),
            "METRICS_TOKEN": METRICS_TOKEN,
            "PROMETHEUS_MULTIPROC_DIR": str(self.folder / "metrics"),
        }

    def write_environment(self) -> Path:
        text = (ROOT / "deploy" / "env.production.example").read_text()
        for name, value in self.values().items():
            text, count = re.subn(
                rf"(?m)^{name}=.*$", f"{name}={shlex.quote(value)}", text
            )
            assert count == 1, f"{name} is not in the example"
        # The test's authority for the mail server; a real provider's is in the system's
        # store.
        text += f"SSL_CERT_FILE={self.folder}/mail/ca.pem\n"
        path = self.folder / "env"
        path.write_text(text)
        return path

    # The commands of DEPLOYMENT.md.

    def shell(
        self, script: str, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a script in the release's folder with the site's environment."""
        prelude = f"set -a; . {self.environment_file}; set +a; PATH={self.release}/.venv/bin:$PATH\n"
        return subprocess.run(
            ["sh", "-ec", prelude + script],
            cwd=self.release,
            env=self.shell_environment() | environment,
            capture_output=True,
            text=True,
        )

    def shell_environment(self) -> dict[str, str]:
        tools = f"{self.database.binaries}:/usr/local/bin:/usr/bin:/bin:/usr/sbin"
        return {
            "PATH": tools,
            "PGSSLROOTCERT": str(self.database.ca),
            "LC_ALL": "C.UTF-8",
        }

    def manage(self, *arguments: str, **environment: str) -> str:
        result = self.shell("python manage.py " + shlex.join(arguments), **environment)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def owner_url(self) -> str:
        return self.database.address("yourapp_owner", pieces.OWNER_PASSWORD)

    def migrate(self) -> None:
        script = f"export DATABASE_URL='{self.owner_url()}'; python manage.py migrate --noinput"
        result = self.shell(script)
        assert result.returncode == 0, result.stderr
        self.grant()

    def grant(self) -> None:
        command = ["psql", "--no-psqlrc", "--quiet", self.owner_url(), "--file"]
        environment = self.shell_environment() | {"APP_DATABASE_USER": "yourapp_user"}
        subprocess.run(
            [*command, ROOT / "deploy/sql/grants.sql"], env=environment, check=True
        )

    def make_accounts(self, number: int) -> list[str]:
        """Create accounts in one go and return their addresses."""
        emails = [f"person-{n}@example.org" for n in range(number)]
        code = (
            "from django.contrib.auth.hashers import make_password; from "
            "project.models import User;"
            f"hashed = make_password({PASSWORD!r});"
            "User.objects.bulk_create([User(email=email, password=hashed) for email "
            f"in {emails}])"
        )
        result = self.shell(
            f"export DATABASE_URL='{self.owner_url()}'; python manage.py shell -c "
            f"{shlex.quote(code)}"
        )
        assert result.returncode == 0, result.stderr
        return emails

    def operator(self) -> dict[str, str]:
        """Return what DEPLOYMENT.md uses beside the site's environment, and whom a test
        must trust.
        """
        trusted = self.folder / "trusted.pem"
        trusted.write_text(
            self.nginx.ca.read_text() + (self.folder / "mail/ca.pem").read_text()
        )
        return {
            "OWNER_DATABASE_URL": self.owner_url(),
            "DATABASE_BACKUP_URL": self.owner_url(),
            "BACKUP_FOLDER": str(self.folder / "backups"),
            "SMOKE_OPTIONS": f"--http-port {self.nginx.http_port} --ca {self.nginx.ca}",
            "CURL_CA_BUNDLE": str(trusted),
        }

    # What a test looks at.

    def forget_limits(self) -> None:
        """Empty the counters, as an hour would."""
        self.redis.ask("FLUSHDB")

    def visitor(self) -> Visitor:
        """Return a visitor with an address that nobody had before, so with untouched
        limits.
        """
        return Visitor(self.url, next(self.addresses), self.nginx.ca)

    def health(self) -> int:
        try:
            answer = requests.get(f"http://127.0.0.1:{self.port}/health", timeout=10)
        except (requests.ConnectionError, requests.Timeout):
            return 0
        return answer.status_code

    def metrics(self) -> dict[str, float]:
        """Return the samples of /metrics by their text, as Prometheus would read them."""
        answer = requests.get(
            f"http://127.0.0.1:{self.port}/metrics",
            headers={"Authorization": f"Bearer {METRICS_TOKEN}"},
            timeout=10,
        )
        answer.raise_for_status()
        lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
        return {
            name: float(value)
            for name, _, value in (line.rpartition(" ") for line in lines)
        }

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with psycopg.connect(
            self.database.url.replace("/postgres?", "/yourapp_db?")
        ) as session:
            return session.execute(query).fetchall()

    def all_logs(self) -> str:
        """Return every line that any piece has written."""
        pieces = (self.web, self.worker, self.database, self.redis)
        return self.nginx.logs() + "".join(
            (piece.folder / "log").read_text() for piece in pieces
        )

    def link_mailed_to(self, email: str, count: int = 1) -> str:
        """Wait for a mail to the address and return the link in its text."""
        wait_until(
            lambda: len(self.mails_to(email)) >= count,
            lambda: f"no mail to {email}: {self.worker.full_log()[-3000:]}",
        )
        return links_in(self.mails_to(email)[count - 1])[0]

    def tokens(self) -> list[str]:
        """Return every token that any mail has carried."""
        links = [link for mail in self.mail.deliveries for link in links_in(mail)]
        return [link.partition("token=")[2] for link in links]

    def mails_to(self, email: str) -> list[Delivery]:
        return [mail for mail in self.mail.deliveries if mail.recipients == (email,)]


def links_in(mail: Delivery) -> list[str]:
    return re.findall(r"https://\S+/reset-password\?token=[0-9a-f]{64}", mail.text)
