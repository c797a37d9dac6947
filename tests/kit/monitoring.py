"""Debian's Prometheus, Alertmanager and node exporter with the shipped files, in which
an hour is a few seconds.
"""

import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import requests
import yaml

from tests import ROOT
from tests.kit.pieces import DEPLOY
from tests.kit.programs import find_program
from tests.kit.stack import METRICS_TOKEN, Stack
from tests.tools.servers import Server, dies_with_us, free_port, wait_until
from tests.tools.smtp import SmtpServer

RULES = DEPLOY / "prometheus" / "rules.yml"
STEP = DEPLOY / "server" / "steps" / "08-monitoring"
#: Seconds that a minute of the shipped files lasts here, and the longest time.
MINUTE, LONGEST = 1.5, 14.0
#: Seconds within which an alert fires or ends, on a machine that is busy otherwise.
PATIENCE = 120
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
WINDOW = re.compile(r"(?<=\[)\d+[smhd](?=\])|(?<=offset )\d+[smhd]\b")


def shortened(duration: str) -> str:
    """Return the duration of a test for a shipped one."""
    seconds = int(duration[:-1]) * UNITS[duration[-1]]
    return f"{min(seconds / 60 * MINUTE, LONGEST) * 1000:.0f}ms"


def shortened_rules(text: str) -> str:
    """Return rules with shorter waits and windows; their thresholds stay."""
    groups = yaml.safe_load(text)
    for rule in (rule for group in groups["groups"] for rule in group["rules"]):
        rule["expr"] = WINDOW.sub(lambda found: shortened(found[0]), rule["expr"])
        if "for" in rule:
            rule["for"] = shortened(rule["for"])
    return yaml.safe_dump(groups)


def beside_its_files(binary: Path) -> list[str]:
    """Return a command prefix that shows an unpacked package its templates where an
    installed one has them.
    """
    share = binary.resolve().parent.parent / "share"
    script = f'mount --bind {share} /usr/share && exec "$@"'
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", *user, "--mount", "sh", "-ec", script, "sh"]


def shipped_options(name: str) -> str:
    """Return the options of a package's service, from its file in `default`."""
    line = (DEPLOY / "prometheus" / "default" / name).read_text()
    found = re.search(r'^ARGS="(.*)"$', line, re.MULTILINE)
    assert found
    return found[1]


class DebianService(Server):
    """A program of the monitoring, with the options of its shipped file."""

    stop_signal = signal.SIGTERM
    name: str
    ready = "/-/ready"

    def __init__(self) -> None:
        super().__init__()
        self.binary = Path(find_program(self.name, self.name))
        self.url = f"http://127.0.0.1:{self.port}"
        self.file = self.folder / "configuration.yml"

    def command(self) -> list[str]:
        options = re.sub(r":9\d\d\d\b", f":{self.port}", shipped_options(self.name))
        own = [*beside_its_files(self.binary), *dies_with_us("TERM"), str(self.binary)]
        return [*own, *options.split(), *self.arguments()]

    def arguments(self) -> list[str]:
        return []

    def answers(self) -> bool:
        try:
            return requests.get(self.url + self.ready, timeout=5).ok
        except requests.ConnectionError:
            return False


class NodeExporter(DebianService):
    """What shows the file that `deploy/server/measure` writes."""

    name = "prometheus-node-exporter"
    ready = "/metrics"

    def __init__(self) -> None:
        super().__init__()
        self.measured = self.folder / "measured"
        self.measured.mkdir()

    def command(self) -> list[str]:
        where = "/var/lib/password-reset-backup"
        return [word.replace(where, str(self.measured)) for word in super().command()]


class Alertmanager(DebianService):
    """Who writes to the operators, by a mail server that is not the site's."""

    name = "prometheus-alertmanager"

    def __init__(self, smarthost: str) -> None:
        super().__init__()
        answers = {
            "ALERTS_TO": "operators@site.test",
            "ALERTS_FROM": "alerts@site.test",
            "ALERTS_SMARTHOST": smarthost,
        }
        shipped = (DEPLOY / "prometheus" / "alertmanager.yml").open()
        with shipped:
            filled = subprocess.run(
                [DEPLOY / "prometheus" / "alertmanager"],
                stdin=shipped,
                env={"PATH": os.environ["PATH"]} | answers,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
        configuration = yaml.safe_load(filled)
        route = configuration["route"]
        for name in ("group_wait", "group_interval"):
            route[name] = shortened(route[name])
        self.file.write_text(yaml.safe_dump(configuration))

    def arguments(self) -> list[str]:
        return [f"--config.file={self.file}", f"--storage.path={self.folder}/data"]


class Prometheus(DebianService):
    """Who reads the site and its server, and judges by the rules."""

    name = "prometheus"

    def __init__(self, site: str, server: str, alertmanager: str) -> None:
        super().__init__()
        (self.folder / "rules.yml").write_text(shortened_rules(RULES.read_text()))
        token = self.folder / "metrics_token"
        token.write_text(METRICS_TOKEN)
        configuration = yaml.safe_load(self.installed())
        # While a server is away the site's page of metrics takes a second.
        configuration["global"] = {"scrape_interval": "2s", "evaluation_interval": "1s"}
        text = yaml.safe_dump(configuration)
        for shipped, here in {
            "127.0.0.1:8000": site,
            "127.0.0.1:9100": server,
            "127.0.0.1:9093": alertmanager,
            "/etc/prometheus/metrics_token": str(token),
        }.items():
            assert text.count(shipped) == 1, shipped
            text = text.replace(shipped, here)
        self.file.write_text(text)

    @staticmethod
    def installed() -> str:
        """Return the configuration as the installation of a server writes it."""
        found = re.search(
            r"^sed (.*?) \\\n +deploy/prometheus/prometheus.yml",
            STEP.read_text(),
            re.MULTILINE,
        )
        assert found
        command = ["sed", *shlex.split(found[1]), "deploy/prometheus/prometheus.yml"]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, check=True)
        return result.stdout.decode()

    def arguments(self) -> list[str]:
        return [
            f"--config.file={self.file}",
            f"--storage.tsdb.path={self.folder}/data",
            "--query.lookback-delta=10s",
        ]

    def ask(self, path: str, **parameters: str) -> Any:
        answer = requests.get(f"{self.url}/api/v1/{path}", parameters, timeout=10)
        answer.raise_for_status()
        return answer.json()["data"]

    def firing(self) -> set[str]:
        return {
            alert["labels"]["alertname"]
            for alert in self.ask("alerts")["alerts"]
            if alert["state"] == "firing"
        }

    def fired(self, seconds: float) -> set[str]:
        """Return the alerts that fired within the last seconds."""
        query = f'max_over_time(ALERTS{{alertstate="firing"}}[{seconds:.0f}s])'
        found = self.ask("query", query=query)["result"]
        return {series["metric"]["alertname"] for series in found}


class Watch:
    """A site, its server and who watches them."""

    def __init__(self) -> None:
        self.site = Stack()
        self.closing = ExitStack()
        self.closing.callback(self.site.close)
        self.operators = SmtpServer(free_port())
        self.closing.callback(self.operators.close)
        self.backups = self.site.folder / "backups"
        self.at_first: set[str] = set()
        self.later: set[str] = set()

    def start(self) -> None:
        self.site.start()
        self.operators.start()
        self.server = self._run(NodeExporter())
        self.alertmanager = self._run(Alertmanager(f"127.0.0.1:{self.operators.port}"))
        self.prometheus = self._run(
            Prometheus(
                *(
                    f"127.0.0.1:{each.port}"
                    for each in (self.site, self.server, self.alertmanager)
                )
            )
        )

    def _run(self, server: Any) -> Any:
        self.closing.callback(server.close)
        server.start()
        return server

    def close(self) -> None:
        self.closing.close()

    # The jobs of the timers.

    def back_up(self) -> Path:
        operator = {"DATABASE_BACKUP_URL": self.site.owner_url()}
        result = self.site.shell(f"deploy/backup {self.backups}", **operator)
        assert result.returncode == 0, result.stderr
        return Path(result.stdout.strip())

    def measure(self) -> None:
        command = [
            *[DEPLOY / "server" / "measure", "--name", "localhost"],
            *["--database-ca", self.site.database.ca],
            *["--file", self.server.measured / "password-reset.prom"],
            *["--backups", self.backups, "--port", str(self.site.https_port)],
        ]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    # What the operators see.

    def wait_for(self, *names: str, doing: Callable[[], object] = lambda: None) -> None:
        """Wait until these alerts fire, and repeat meanwhile what makes them."""

        def all_fire() -> bool:
            doing()
            time.sleep(0.2)
            return self.prometheus.firing() >= set(names)

        wait_until(
            all_fire, lambda: f"{set(names) - self.prometheus.firing()}", PATIENCE
        )

    def wait_for_silence(self) -> None:
        def silent() -> bool:
            time.sleep(0.2)
            return self.prometheus.firing() == set()

        wait_until(silent, lambda: f"{self.prometheus.firing()}", PATIENCE)

    @contextmanager
    def only(self, *names: str, beside: tuple[str, ...] = ()) -> Iterator[None]:
        """Hold that of all alerts these fire within the block and end with it; those
        beside may.
        """
        self.wait_for_silence()
        time.sleep(2)
        since = time.monotonic()
        yield
        self.wait_for_silence()
        fired = self.prometheus.fired(time.monotonic() - since)
        assert fired - set(beside) == set(names), fired

    def mails_about(self, alert: str) -> list[str]:
        """Return the subjects of what was mailed to the operators."""
        subjects = [str(mail.message["Subject"]) for mail in self.operators.deliveries]
        return [subject for subject in subjects if alert in subject]
