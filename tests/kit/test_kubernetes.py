"""The manifests, each judged by the program that reads it. There is no cluster here."""

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from tests import ROOT
from tests.kit.programs import missing
from tests.project.test_kubernetes import HERE, one
from tests.tools.servers import Server, dies_with_us

Program = Callable[[str, str], str]
#: What checkov asks for and the manifests leave to others, with the reason.
LEFT = {
    # Named by full version, as in the compose file: a digest is of your own registry.
    "CKV_K8S_43": None,
    # A tag of a release never changes; pods start while the registry is away.
    "CKV_K8S_15": None,
    # The worker's container has no port; its pod's metrics container has the probes.
    "CKV_K8S_8": "Deployment.password-reset.worker",
    "CKV_K8S_9": "Deployment.password-reset.worker",
}


@pytest.fixture(scope="module")
def checkov() -> str:
    own = ROOT / ".cache" / "checkov" / "bin" / "checkov"
    return str(own) if own.exists() else missing("python3-venv (for checkov)")


def test_checkov_finds_nothing_but_what_is_left_on_purpose(checkov: str) -> None:
    found = look(checkov, HERE)
    assert found["summary"]["passed"] > 500
    assert found["summary"]["parsing_errors"] == 0
    objections = [
        (each["check_id"], each["resource"])
        for each in found["results"]["failed_checks"]
        if each["check_id"] not in LEFT
        or LEFT[each["check_id"]] not in {None, each["resource"]}
    ]
    assert objections == []


def test_checkov_sees_a_container_that_may_do_more(
    checkov: str, tmp_path: Path
) -> None:
    web = (HERE / "web.yaml").read_text()
    (tmp_path / "web.yaml").write_text(
        web.replace("readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false")
    )
    failed = look(checkov, tmp_path)["results"]["failed_checks"]
    assert "CKV_K8S_22" in {each["check_id"] for each in failed}


def look(checkov: str, folder: Path) -> Any:
    """Return what checkov finds in a folder; its exit code says only that it has."""
    what = ["--framework", "kubernetes", "--skip-download", "--output", "json"]
    done = subprocess.run(
        [checkov, "--directory", str(folder), *what], capture_output=True, text=True
    )
    assert done.stdout.startswith("{"), done.stderr
    return json.loads(done.stdout)


class StaticFiles(Server):
    """nginx with the configuration of the pod, on a port and files of a test's own."""

    def __init__(self, program: str, files: Path) -> None:
        super().__init__()
        self.program = program
        text = one("ConfigMap", "static")["data"]["nginx.conf"]
        for theirs, ours in (
            ("listen 8080;", f"listen 127.0.0.1:{self.port};"),
            ("/tmp/", f"{self.folder}/"),
            ("/srv/password-reset/static/", f"{files}/"),
        ):
            assert theirs in text
            text = text.replace(theirs, ours)
        if os.geteuid() == 0:  # its processes could not read a test's files otherwise
            text = f"user root;\n{text}"
        self.configuration = self.folder / "nginx.conf"
        self.configuration.write_text(text)
        self.url = f"http://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        run = [*dies_with_us("TERM"), self.program, "-c", str(self.configuration)]
        return [*run, "-g", "daemon off;"]

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/live", timeout=2).status_code == 204
        except requests.RequestException:
            return False


@pytest.fixture
def static(program: Program, tmp_path: Path) -> Iterator[StaticFiles]:
    (tmp_path / "demo.0123456789ab.css").write_text("body {}")
    (tmp_path / "icon.svg").write_text("<svg/>")
    server = StaticFiles(program("nginx", "nginx"), tmp_path)
    server.start()
    yield server
    server.close()


def test_the_static_pod_serves_files_and_nothing_else(static: StaticFiles) -> None:
    kept = requests.get(f"{static.url}/static/demo.0123456789ab.css", timeout=5)
    assert kept.status_code == 200
    assert kept.headers["Content-Type"] == "text/css"
    assert "immutable" in kept.headers["Cache-Control"]
    assert kept.headers["X-Content-Type-Options"] == "nosniff"
    short = requests.get(f"{static.url}/static/icon.svg", timeout=5)
    assert short.headers["Cache-Control"] == "public, max-age=3600"
    for path in ("/", "/static/../etc/passwd", "/metrics", "/static/none.css"):
        assert requests.get(static.url + path, timeout=5).status_code == 404, path


def test_promtool_accepts_the_alerts(program: Program, tmp_path: Path) -> None:
    rules = yaml.safe_load((HERE / "monitoring" / "rules.yaml").read_text())
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump(rules["spec"]))
    check = [program("promtool", "prometheus"), "check", "rules", str(file)]
    done = subprocess.run(check, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 rules found" in done.stdout


def test_the_alerts_fire_and_stay_silent(program: Program, tmp_path: Path) -> None:
    rules = yaml.safe_load((HERE / "monitoring" / "rules.yaml").read_text())
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(rules["spec"]))
    series = 'kube_cronjob_status_last_successful_time{{namespace="password-reset", cronjob="{}"}}'

    def case(requests_at: str, purge_at: str, at: str, expected: dict[str, list[Any]]):
        return {
            "interval": "1m",
            "input_series": [
                {"series": series.format("requests"), "values": requests_at},
                {"series": series.format("purge"), "values": purge_at},
            ],
            "alert_rule_test": [
                {"eval_time": at, "alertname": name, "exp_alerts": alerts}
                for name, alerts in expected.items()
            ],
        }

    (tmp_path / "test.yml").write_text(
        yaml.safe_dump(
            {
                "rule_files": ["rules.yml"],
                "tests": [
                    case("0+60x60", "0x60", "40m", {"PasswordResetSweepStopped": []}),
                    case(
                        "0x60",
                        "0x60",
                        "20m",
                        {
                            "PasswordResetSweepStopped": [
                                {
                                    "exp_labels": {"severity": "critical"},
                                    "exp_annotations": {
                                        "summary": "The safety net of the queue last ran "
                                        "20m 0s ago",
                                        "action": "kubectl --namespace password-reset get "
                                        "jobs; read the log of the last one of requests.",
                                    },
                                }
                            ]
                        },
                    ),
                    case(
                        "0+60x1800",
                        "0x1800",
                        "28h",
                        {
                            "PasswordResetCronJobOverdue": [
                                {
                                    "exp_labels": {
                                        "severity": "warning",
                                        "cronjob": "purge",
                                    },
                                    "exp_annotations": {
                                        "summary": "The nightly job purge last succeeded "
                                        "1d 4h 0m 0s ago",
                                        "action": "kubectl --namespace password-reset get "
                                        "jobs; read the log of its last one.",
                                    },
                                }
                            ],
                            "PasswordResetCronJobsMissing": [],
                        },
                    ),
                ],
            }
        )
    )
    test = [
        program("promtool", "prometheus"),
        "test",
        "rules",
        str(tmp_path / "test.yml"),
    ]
    done = subprocess.run(test, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
