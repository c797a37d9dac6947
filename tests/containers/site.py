"""A site in containers, made as an operator would make it, by the guide's commands."""

from __future__ import annotations

import json
import re
import secrets
import shlex
import shutil
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import requests
import yaml

from tests import ROOT
from tests.containers.engine import Engine, Failed
from tests.kit.pieces import (
    SMTP_PASSWORD,
    SMTP_USER,
    make_certificates,
    tls_mail_server,
)
from tests.kit.stack import links_in
from tests.kit.test_document import blocks
from tests.server.load import Load
from tests.tools.servers import free_port, new_folder, wait_until
from tests.tools.smtp import Delivery
from tests.tools.sources import copy_sources

PASSWORD = "the first long passphrase"
RELAY = "relay.site.test"
CERTIFICATE = "/etc/letsencrypt/live/yourapp.com"


def guide(needs: str) -> list[str]:
    """Return the guide's commands that need just this."""
    return [block.script for block in blocks() if block.needs == f"needs: {needs}"]


class Site:
    """The sources in a folder, filled in; not released yet."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.folder = new_folder()
        self.folder.chmod(0o755)
        self.root = self.folder / "sources"
        self.deploy = self.root / "deploy"
        self.ports = {
            f"{name}_PORT": free_port()
            for name in ("HTTP", "HTTPS", "PROMETHEUS", "ALERTMANAGER", "GRAFANA")
        }
        self.https_port = self.ports["HTTPS_PORT"]
        self.url = f"https://localhost:{self.https_port}"
        self.mail = tls_mail_server(self.folder / "relay", engine.gateway, RELAY)
        #: What the release has printed.
        self.output = ""
        # What tests/kit's end-to-end run asks a stack for.
        ca = self.folder / "tls" / "ca.pem"
        self.nginx = SimpleNamespace(ca=ca, http_port=self.ports["HTTP_PORT"])

    def start(self) -> None:
        self.remove_images()
        self.mail.start()
        copy_sources(self.root)
        tls = self.folder / "tls"
        make_certificates(tls, "site", "localhost")
        shutil.copy(tls / "site.pem", tls / "fullchain.pem")
        shutil.copy(tls / "site.key", tls / "privkey.pem")
        # The first of them enters the folder "deploy".
        scripts = (*guide("Docker (files)"), *guide("Docker, and a certificate"))
        self.type("\n".join(scripts).replace(CERTIFICATE, str(tls)))
        self.fill_in()

    def close(self) -> None:
        self.type("cd deploy && docker compose --profile release down -v", check=False)
        self.remove_images()
        self.mail.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def remove_images(self) -> None:
        """Remove every release, as that of an earlier run is not of these sources."""
        form = "{{.Repository}}:{{.Tag}}"
        found = self.engine.docker("image", "ls", "--format", form, "yourapp/*").split()
        if found:
            self.engine.docker("image", "rm", "--force", *found)
        self.engine.docker("image", "prune", "--force")

    # What an operator fills in.

    def fill_in(self) -> None:
        (self.deploy / "secrets" / "alerts_password").chmod(0o600)
        (self.deploy / "secrets" / "alerts_password").write_text(SMTP_PASSWORD)
        (self.deploy / "secrets" / "alerts_password").chmod(0o444)
        replace(self.deploy / ".env", self.compose_values)
        replace(self.deploy / ".env.production", self.environment)
        (self.folder / "pip.conf").write_text(
            "[global]\ncert = /run/secrets/pip_authority\n"
        )
        trust = {
            "extra_hosts": [f"{RELAY}:host-gateway"],
            "environment": {"SSL_CERT_FILE": "/etc/relay.pem"},
            "volumes": [f"{self.folder}/relay/ca.pem:/etc/relay.pem:ro"],
        }
        services = dict.fromkeys(("worker", "cron", "alertmanager"), trust)
        own = yaml.safe_dump({"services": services})
        (self.deploy / "own.yaml").write_text(own)

    @property
    def compose_values(self) -> dict[str, str]:
        given = {name: str(port) for name, port in self.ports.items()}
        options = f"--connect 127.0.0.1 --http-port {self.nginx.http_port}"
        return given | {
            "SERVER_NAMES": "localhost",
            "ALERTS_TO": "operators@site.test",
            "ALERTS_FROM": "alerts@site.test",
            "ALERTS_SMARTHOST": f"{RELAY}:{self.mail.port}",
            "ALERTS_USER": SMTP_USER,
            "SMOKE_OPTIONS": f"{options} --ca {self.nginx.ca}",
            "COMPOSE_FILE": "compose.yaml:own.yaml",
            "PIP_CONFIG": str(self.folder / "pip.conf"),
            "PIP_AUTHORITY": "/etc/ssl/certs/ca-certificates.crt",
        }

    @property
    def environment(self) -> dict[str, str]:
        return {
            "APP_NAME": "Resetting",
            "SUPPORT_EMAIL": "help@site.test",
            "SUPPORT_URL": "",
            "API_URL": self.url,
            "WEB_URL": self.url,
            "SMTP_HOST": RELAY,
            "SMTP_PORT": str(self.mail.port),
            "SMTP_USER": SMTP_USER,
            "SMTP_PASSWORD": SMTP_PASSWORD,
            "SMTP_FROM": "noreply@site.test",
            "SMTP_FROM_NAME": "Resetting",
            "SESSION_SECRET": secrets.token_hex(32),
        }

    # What is typed.

    def type(self, script: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Type commands as root in the folder of the sources."""
        shell = f"cd {self.root}\nset -e\n{script}"
        return self.engine.run("bash", "-c", shell, check=check)

    def compose(self, *arguments: str, check: bool = True) -> str:
        command = shlex.join(["docker", "compose", "--progress", "quiet", *arguments])
        return self.type(f"cd deploy && {command}", check=check).stdout

    def release(self, *arguments: str, check: bool = True) -> Any:
        return self.type(
            shlex.join(["deploy/release", "--compose", *arguments]), check=check
        )

    def make_account(self, email: str) -> str:
        code = f"from project.models import User; User.objects.create_user({email!r}, {PASSWORD!r})"
        once = ["run", "--rm", "-T", "migrate", "python", "manage.py", "shell", "-c"]
        self.compose(*once, code)
        return email

    def forget_limits(self) -> None:
        """Empty the counters, as an hour would."""
        flush = "REDISCLI_AUTH=$(cat /run/secrets/redis_password) redis-cli flushall"
        self.compose("exec", "-T", "redis", "sh", "-c", flush)

    def sql(self, query: str, database: str = "yourapp_db") -> str:
        psql = ["psql", "--username", "postgres", "-d", database, "-XtAc", query]
        return self.compose("exec", "-T", "db", *psql).strip()

    def other_sources(self, name: str, *changes: tuple[str, str, str]) -> Path:
        """Make sources with some texts replaced: (file, text, other text)."""
        target = self.folder / name
        copy_sources(target)
        for file, text, other in changes:
            path = target / file
            before = path.read_text() if path.exists() else text
            assert text in before, f"{text!r} is not in {file}"
            path.write_text(before.replace(text, other) if text else other)
        return target

    # What a test looks at.

    def services(self) -> dict[str, dict[str, Any]]:
        """Return what Docker knows of each running container, by its service."""
        names = self.compose("ps", "--quiet").split()
        found = json.loads(self.engine.docker("inspect", *names)) if names else []
        return {
            each["Config"]["Labels"]["com.docker.compose.service"]: each
            for each in found
        }

    def unwell(self) -> dict[str, str]:
        """Return the services that are not as they should be."""
        states = {name: each["State"] for name, each in self.services().items()}
        wrong = {}
        for name in EXPECTED:
            state = states.get(name, {"Status": "missing"})
            health = state.get("Health", {}).get("Status", "healthy")
            if (state["Status"], health) != ("running", "healthy"):
                wrong[name] = f"{state['Status']}, {health}"
        return wrong

    def seconds_until_well(self, limit: float = 120) -> float:
        started = time.monotonic()
        wait_until(
            lambda: self.health() == 200 and not self.unwell(),
            lambda: str(self.unwell()),
            limit,
        )
        return time.monotonic() - started

    def health(self) -> int:
        try:
            return self.ask("/health").status_code
        except requests.ConnectionError:
            return 0

    def ask(self, path: str) -> requests.Response:
        return requests.get(self.url + path, verify=str(self.nginx.ca), timeout=30)

    def version(self) -> str:
        image: str = self.services()["web"]["Config"]["Image"]
        return image.partition(":")[2]

    def remembered(self) -> str:
        found = re.findall(r"(?m)^RELEASE=(.*)$", (self.deploy / ".env").read_text())
        return ",".join(found)

    def load(self) -> Load:
        return Load("localhost", self.nginx.ca, rate=50, port=self.https_port)

    def mails_to(self, email: str) -> list[Delivery]:
        return [mail for mail in self.mail.deliveries if mail.recipients == (email,)]

    def ask_for_link(self, email: str, seconds: float = 60) -> str:
        """Ask as a program does, and return the link of the email that comes."""
        before = len(self.mails_to(email))
        answer = requests.post(
            f"{self.url}/api/auth/request-password-reset",
            json={"email": email},
            verify=str(self.nginx.ca),
            timeout=30,
        )
        assert answer.status_code == 202, answer.text
        wait_until(
            lambda: len(self.mails_to(email)) > before,
            lambda: self.compose("logs", "--tail", "30", "worker", "cron"),
            seconds,
        )
        return links_in(self.mails_to(email)[-1])[0]

    def metric(self, name: str) -> float:
        """Return a metric of the site, as Prometheus would read it."""
        code = (
            "import os, urllib.request as r; q = r.Request('http://127.0.0.1:8000/metrics', "
            "headers={'Authorization': 'Bearer ' + open('/run/secrets/metrics_token').read().strip()});"
            "print(r.urlopen(q).read().decode())"
        )
        text = self.compose("exec", "-T", "web", "python", "-c", code)
        found = re.search(rf"(?m)^{re.escape(name)} (\S+)$", text)
        return float(found[1]) if found else 0.0


EXPECTED = [
    name
    for name, service in yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())[
        "services"
    ].items()
    if "profiles" not in service and service.get("restart") != "no"
]


def replace(path: Path, values: dict[str, str]) -> None:
    """Fill in NAME=value lines, in the file as it is (its owner and mode stay)."""
    text = path.read_text()
    for name, value in values.items():
        line = f"{name}={shlex.quote(value)}"
        text, count = re.subn(rf"(?m)^{name}=.*$", line.replace("\\", r"\\"), text)
        if not count:
            text += f"{line}\n"
    path.write_text(text)


__all__ = ["EXPECTED", "PASSWORD", "RELAY", "Failed", "Site", "guide"]
