"""A site on a machine, installed as an operator would install it."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace

import requests

from tests.kit.pieces import make_certificates
from tests.server.machine import SUITE, Machine, pip_options
from tests.tools.servers import free_port, new_folder
from tests.tools.smtp import SmtpServer

SOURCES = "/srv/sources"
#: PostgreSQL, by the version that the distribution has.
VERSIONS = {"bookworm": 15, "trixie": 17, "noble": 16}
CLUSTER = f"{VERSIONS[SUITE]}/main"
POSTGRESQL = f"postgresql@{CLUSTER.replace('/', '-')}"
PASSWORD = "the first long passphrase"
#: What pip is told, where it finds in the machine what it has here.
PIP = pip_options() | {
    "PIP_CERT": "/var/cache/authorities.pem",
    "PIP_CACHE_DIR": "/var/cache/pip",
}


class Site:
    """A machine with the sources, a certificate and the answers; not installed yet."""

    url = "https://localhost"

    def __init__(self, name: str) -> None:
        self.name = name
        self.machine = Machine(name)
        self.run = self.machine.run
        self.folder = new_folder()
        self.mail = SmtpServer(free_port())
        #: What the installation has printed.
        self.output = ""
        # What tests/kit's end-to-end run asks a stack for.
        self.nginx = SimpleNamespace(ca=self.folder / "ca.pem", http_port=80)

    def start(self) -> None:
        self.mail.start()
        self.machine.boot()
        self.machine.copy_sources(SOURCES)
        make_certificates(self.folder, "site", "localhost", "127.0.0.1")
        for name, mode in (("site.pem", 0o644), ("site.key", 0o600), ("ca.pem", 0o644)):
            self.machine.write(f"/etc/tls/{name}", self.file(name), mode)

    def file(self, name: str) -> str:
        return (self.folder / name).read_text()

    def close(self) -> None:
        self.machine.close()
        self.mail.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def answers(self) -> dict[str, str]:
        """What an operator would type."""
        return {
            "DOMAIN": "localhost",
            "API_DOMAIN": "localhost",
            "APP_NAME": "Resetting",
            "SUPPORT_EMAIL": "help@site.test",
            "TLS_CERTIFICATE": "/etc/tls/site.pem",
            "TLS_KEY": "/etc/tls/site.key",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.mail.port),
            "SMTP_USER": "",
            "SMTP_PASSWORD": "",
            "SMTP_FROM": "noreply@site.test",
            "ALERTS_TO": "operators@site.test",
            "ALERTS_FROM": "alerts@site.test",
            "ALERTS_SMARTHOST": f"127.0.0.1:{self.mail.port}",
            "SMOKE_OPTIONS": "--connect 127.0.0.1 --ca /etc/tls/ca.pem",
        }

    def install(self, *arguments: str, **answers: str) -> str:
        """Run deploy/install and return what it printed."""
        command = shlex.join(["deploy/install", *arguments])
        environment = PIP | self.answers | answers
        return self.run(f"cd {SOURCES} && {command}", **environment).stdout

    def type(self, script: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Type commands as root in the folder of the sources."""
        return self.run(f"cd {SOURCES} && {script}", check=check, **PIP)

    def watch(self) -> None:
        """Let a stranger write down what each process shows to everybody; until a reboot."""
        look = "ps axeww -o args="
        keep = "awk '!seen[$0]++ { print; fflush() }'"
        script = f"while sleep 0.2; do {look}; done | {keep} >> /var/tmp/watched"
        unit = ["systemd-run", "--quiet", "--unit=stranger", "--uid=nobody"]
        start = shlex.join([*unit, "bash", "-c", script])
        self.run(f"systemctl --quiet is-active stranger || {start}")

    # What a test looks at.

    def version(self) -> str:
        return self.run(
            "basename $(readlink /srv/password-reset/current)"
        ).stdout.strip()

    def health(self) -> int:
        try:
            return self.ask("/health").status_code
        except requests.ConnectionError:
            return 0

    def ask(self, path: str) -> requests.Response:
        return requests.get(self.url + path, verify=str(self.nginx.ca), timeout=30)

    def seconds_until_healthy(self, limit: float = 120) -> float:
        started = time.monotonic()
        while self.health() != 200:
            assert time.monotonic() < started + limit, "not healthy"
            time.sleep(0.2)
        return time.monotonic() - started

    def forget_limits(self) -> None:
        """Empty the counters, as an hour would."""
        self.run(
            ". /etc/password-reset/env; REDISCLI_AUTH=$REDIS_PASSWORD redis-cli flushall"
        )

    def five_minutes_pass(self) -> None:
        """Let what a worker had in its hand when it died be due again."""
        self.sql(
            "UPDATE password_reset_requests SET next_attempt_at = next_attempt_at - interval '5 min'"
            " WHERE processed_at IS NULL AND failed_at IS NULL"
        )

    def sql(self, query: str, database: str = "yourapp_db") -> str:
        command = ["psql", "-d", database, "-XtAc", query]
        return self.run(shlex.join(command), user="postgres").stdout.strip()

    def make_account(self, email: str) -> str:
        """Make an account as the owner of the tables does, by a command of Django."""
        code = f"from project.models import User; User.objects.create_user({email!r}, {PASSWORD!r})"
        command = ["python", "manage.py", "shell", "-c", code]
        self.type(f"deploy/as_owner {shlex.join(command)}")
        return email

    def other_sources(self, name: str, *changes: tuple[str, str, str]) -> str:
        """Make sources with some texts replaced: (file, text, other text)."""
        folder = f"/srv/{name}"
        self.run(f"rm -rf {folder} && cp -a {SOURCES} {folder}")
        for file, text, other in changes:
            path = Path(self.machine.root / folder[1:] / file)
            before = path.read_text() if path.exists() else text
            assert text in before, f"{text!r} is not in {file}"
            path.write_text(before.replace(text, other))
        return folder
