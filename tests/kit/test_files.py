"""The shipped files, each judged by the program that reads it."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
import yaml

from project.env import BY_NAME
from tests import ROOT
from tests.kit.monitoring import RULES, beside_its_files, shipped_options
from tests.kit.pieces import DEPLOY, Nginx
from tests.kit.release import instructions
from tests.tools.servers import free_port, wait_until

Program = Callable[[str, str], str]
BIN = Path(sys.executable).parent
RULE_TESTS = DEPLOY / "prometheus" / "tests" / "rules.test.yml"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "password-reset.json"
CONTAINER = ROOT / "examples" / "docker"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
ALERTS = [
    rule
    for group in yaml.safe_load(RULES.read_text())["groups"]
    for rule in group["rules"]
]
GUIDE = {
    "HighPasswordResetRateLimit": "rate(password_reset_rate_limit_total[5m]) > 10",
    "PasswordResetEmailFailures": "rate(password_reset_email_failures_total[5m]) > 0.1",
    "PasswordResetDatabaseErrors": "rate(password_reset_database_errors_total[5m]) > 0",
}


def run(*command: str | Path, **options: Any) -> str:
    """Run a command that must end well and return all it says."""
    words = list(map(str, command))
    result = subprocess.run(words, capture_output=True, text=True, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.fixture
def nginx(tmp_path: Path) -> Any:
    server = Nginx(tmp_path, "127.0.0.1:8000", free_port())
    yield server
    server.close()


def test_nginx_finds_nothing_to_say(nginx: Nginx) -> None:
    said = run(nginx.binary, "-t", "-c", nginx.configuration).splitlines()
    assert [
        line
        for line in said
        if not line.endswith(("syntax is ok", "test is successful"))
    ] == []


CALLERS = [
    ({"2001:db8::1", "2001:db8::2:0:0:1", "2001:db8:0:0:ffff:2:3:4"}, True),
    ({"2001:db8:1:2::1", "2001:db8:1:2:3:4:5:6"}, True),
    ({"2001:db8:1::5", "2001:db8:1:0:1:2:3:4"}, True),
    ({"2001::1", "2001:0:0:0:1:2:3:4"}, True),
    ({"2001:db8:1:2::1", "2001:db8:1:3::1", "2001:db8:1::1", "2001:db8::1"}, False),
    ({"::ffff:192.0.2.1", "::ffff:192.0.2.2", "192.0.2.1", "::1"}, False),
]


@pytest.mark.parametrize(("addresses", "same"), CALLERS)
def test_nginx_counts_a_household_as_one_caller(
    nginx: Nginx, tmp_path: Path, addresses: set[str], same: bool
) -> None:
    template = (DEPLOY / "nginx" / "password-reset.conf.template").read_text()
    rule = re.search(r"map \$remote_addr \$caller \{.*?\n\}", template, re.DOTALL)
    port = free_port()
    configuration = tmp_path / "callers.conf"
    configuration.write_text(f"""
        daemon off; pid {tmp_path}/pid; error_log stderr; events {{}}
        http {{
            access_log off; set_real_ip_from 127.0.0.1; real_ip_header X-Caller;
            {rule[0] if rule else ""}
            server {{
                listen 127.0.0.1:{port};
                location / {{ add_header X-Counted "$caller"; return 204; }}
            }}
        }}""")
    server = subprocess.Popen([nginx.binary, "-c", configuration])
    try:
        url = f"http://127.0.0.1:{port}/"
        wait_until(lambda: reachable(url), lambda: "nginx does not answer")
        counted = {
            requests.get(url, headers={"X-Caller": each}, timeout=5).raw.headers[
                "X-Counted"
            ]
            for each in addresses
        }
    finally:
        server.terminate()
        server.wait(10)
    assert len(counted) == (1 if same else len(addresses))


def reachable(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.ConnectionError:
        return False


def test_gixy_finds_no_weakness(nginx: Nginx) -> None:
    assert "No issues found" in run(BIN / "gixy", nginx.configuration)


@pytest.fixture
def units(tmp_path: Path) -> list[Path]:
    """The units as shipped, but for the folder of the release, which must exist to be
    verified.
    """
    programs = tmp_path / "release" / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "gunicorn"):
        (programs / name).symlink_to("/bin/true")
    (tmp_path / "release" / "deploy").symlink_to(DEPLOY)
    for source in (DEPLOY / "systemd").rglob("*.*"):
        if source.is_file():
            copy = tmp_path / source.relative_to(DEPLOY)
            copy.parent.mkdir(parents=True, exist_ok=True)
            text = source.read_text().replace(
                "/srv/password-reset/current", f"{tmp_path}/release"
            )
            copy.write_text(text)
    return sorted(path for path in (tmp_path / "systemd").iterdir() if path.is_file())


def test_systemd_finds_nothing_to_say(program: Program, units: list[Path]) -> None:
    assert len(units) == 13
    verified = [unit for unit in units if "@" not in unit.name]
    assert run(program("systemd-analyze", "systemd"), "verify", *verified) == ""


def test_the_services_are_locked_in(program: Program, units: list[Path]) -> None:
    analyze = program("systemd-analyze", "systemd")
    services = [unit for unit in units if unit.suffix == ".service"]
    assert len(services) == 8
    for service in services:
        run(analyze, "security", "--offline=yes", "--threshold=20", service)


@pytest.mark.parametrize(
    "path",
    [DEPLOY / "compose.yaml", CONTAINER / "compose.yml"],
    ids=lambda path: path.name,
)
def test_compose_follows_its_schema(path: Path) -> None:
    schema = ["--builtin-schema", "vendor.compose-spec"]
    run(BIN / "check-jsonschema", *schema, path)


def test_compose_mounts_only_what_the_kit_has() -> None:
    mounts = [
        mount
        for service in COMPOSE["services"].values()
        for mount in service.get("volumes", [])
    ]
    sources = [mount.partition(":")[0] for mount in mounts]
    files = [source for source in sources if source.startswith("./")]
    own = [source for source in sources if source.startswith("${")]
    assert set(own) == {"${BACKUPS"}
    assert files
    assert [source for source in files if not (DEPLOY / source).exists()] == []
    assert {source for source in sources if source not in files + own} <= set(
        COMPOSE["volumes"]
    )


def test_compose_builds_stages_that_exist() -> None:
    built = [
        service["build"]
        for service in COMPOSE["services"].values()
        if "build" in service
    ]
    assert {build["target"] for build in built} == {"web", "cron", "tools"}
    for build in built:
        assert list(instructions(build["target"]))


def test_compose_sets_only_variables_that_the_site_reads() -> None:
    names = [
        name.removesuffix("_FILE") for name in COMPOSE["services"]["web"]["environment"]
    ]
    assert set(names) <= set(BY_NAME)


def test_compose_trusts_nginx_and_nobody_else() -> None:
    """By a socket, in a volume that only those two have; nginx cannot change it."""
    services = COMPOSE["services"]
    assert services["web"]["environment"]["TRUSTED_PROXIES"] == "unix"
    volumes = {
        name: next(
            (v for v in service.get("volumes", []) if v.startswith("sockets:")), ""
        )
        for name, service in services.items()
    }
    folder = "sockets:/run/password-reset"
    assert {name: volume for name, volume in volumes.items() if volume} == {
        "nginx": f"{folder}:ro",
        "web": folder,
        "web-beside": folder,
    }
    upstream = services["nginx"]["environment"]["UPSTREAM"]
    for name, socket_name in (("web", "web.sock"), ("web-beside", "beside.sock")):
        address = f"unix:/run/password-reset/{socket_name}"
        assert address in services[name]["command"]
        assert address in upstream


def test_no_container_has_a_secret_among_its_variables() -> None:
    """`docker inspect` shows them; a file it does not."""
    secret = re.compile(r"(PASSWORD|SECRET|TOKEN|KEY|_URL)(?!.*_FILE$)")
    for service in COMPOSE["services"].values():
        assert "env_file" not in service
        names = [
            name
            for name, value in service.get("environment", {}).items()
            if not str(value).startswith("/run/secrets/")
        ]
        assert [name for name in names if secret.search(name)] in ([], ["REDIS_URL"])


def test_ports_are_published_over_ipv4_alone() -> None:
    """Over IPv6 the engine's proxy would hide who calls."""
    for service in COMPOSE["services"].values():
        for port in service.get("ports", []):
            assert re.match(r"(0\.0\.0\.0|127\.0\.0\.1):", port)


def test_strangers_reach_nginx_alone() -> None:
    published = {
        name: [
            port
            for port in service.get("ports", [])
            if not port.startswith("127.0.0.1:")
        ]
        for name, service in COMPOSE["services"].items()
    }
    assert {name for name, ports in published.items() if ports} == {"nginx"}


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_every_container_is_locked_in(name: str) -> None:
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["ulimits"] == {"core": 0}
    assert service.get("cap_add", []) == (
        ["CHOWN", "SETGID", "SETUID"] if name == "cron" else []
    )


def test_every_image_is_named_by_its_full_version() -> None:
    dockerfile = (DEPLOY / "Dockerfile").read_text()
    images = re.findall(r"^ARG \w+=(\S+)$", dockerfile, re.MULTILINE)
    images += [service["image"] for service in COMPOSE["services"].values()]
    others = [image for image in images if "${RELEASE" not in image]
    assert len(others) == 11
    full = r"[\w/-]+:(postgres:)?v?\d+\.\d+(\.\d+)?(-[\w-]+)?(@sha256:[0-9a-f]{64})?"
    assert [image for image in others if not re.fullmatch(full, image)] == []
    short = [image for image in others if not re.search(r":v?\d+\.\d+\.\d+", image)]
    assert set(short) == {
        "postgres:17.6-bookworm"
    }  # PostgreSQL's versions have two parts


def test_no_service_leaves_its_memory_on_the_disk_and_visitors_come_first() -> None:
    units = DEPLOY / "systemd"
    common = (units / "password-reset-.service.d" / "common.conf").read_text()
    assert re.search(r"^LimitCORE=0$", common, re.MULTILINE)
    for name in ("worker", "requests"):
        unit = (units / f"password-reset-{name}.service").read_text()
        assert re.search(r"^Nice=10\nCPUWeight=20$", unit, re.MULTILINE)


@pytest.mark.parametrize("name", ["prometheus", "prometheus-alertmanager"])
def test_the_monitoring_listens_on_this_machine_only(
    program: Program, tmp_path: Path, name: str
) -> None:
    port = free_port()
    options = re.sub(r":90\d\d\b", f":{port}", shipped_options(name)).split()
    where = "--storage.tsdb.path" if name == "prometheus" else "--storage.path"
    file = tmp_path / "configuration.yml"
    file.write_text(
        "" if name == "prometheus" else "route: {receiver: x}\nreceivers: [{name: x}]"
    )
    binary = Path(program(name, name))
    process = subprocess.Popen(
        [
            *beside_its_files(binary),
            *[binary, f"--config.file={file}", f"{where}={tmp_path}", *options],
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(
            lambda: listening_at(process.pid) != [], lambda: "it does not listen"
        )
        time.sleep(0.5)
        assert listening_at(process.pid) == [f"127.0.0.1:{port}"]
    finally:
        process.kill()
        process.wait()


def listening_at(pid: int) -> list[str]:
    """Return the addresses at which a process accepts connections."""
    links = [str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir()]
    rows = [
        row.split()
        for name in ("tcp", "tcp6")
        for row in Path(f"/proc/net/{name}").read_text().splitlines()[1:]
    ]
    found = [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in links]
    return [readable(address) for address in found]


def readable(address: str) -> str:
    host, port = address.split(":")
    number = socket.inet_ntoa(bytes.fromhex(host)[::-1]) if len(host) == 8 else host
    return f"{number}:{int(port, 16)}"


@pytest.mark.parametrize("folder", [DEPLOY, CONTAINER], ids=lambda path: path.name)
def test_hadolint_finds_nothing_to_say(folder: Path) -> None:
    assert run(BIN / "hadolint", folder / "Dockerfile") == ""


def test_the_example_in_a_container_starts_what_its_procfile_does() -> None:
    image = (CONTAINER / "Dockerfile").read_text()
    [line] = re.findall(r"^CMD (.*)$", image, re.MULTILINE)
    services = yaml.safe_load((CONTAINER / "compose.yml").read_text())["services"]
    web, worker = (CONTAINER / "Procfile").read_text().splitlines()
    assert json.loads(line)[3:] == web.split()[4:]
    assert services["worker"]["command"] == worker.split()[1:]


def test_the_image_runs_as_nobody_in_particular_and_tells_its_health() -> None:
    web = dict(instructions("web"))
    assert web["USER"] == "10001:10001"
    assert "/health/live" in web["HEALTHCHECK"]


def test_the_image_keeps_nothing_that_installs() -> None:
    steps = [rest for name, rest in instructions("web") if name == "RUN"]
    assert "pip uninstall" in steps[0]
    assert not re.search(r"apt|gcc|build-essential|pip install", " ".join(steps))


@pytest.mark.parametrize(
    "script",
    [
        "backup",
        "make_certificates",
        "prometheus/alertmanager",
        "server/put",
        "cron/job",
        "cron/container",
        "containers/nightly",
        "containers/run",
        "postgresql/first_start",
    ],
)
def test_the_shell_can_read(script: str) -> None:
    run("sh", "-n", DEPLOY / script)


@pytest.mark.parametrize(
    "script",
    [
        "as_owner",
        "containers/switch.sh",
        "install",
        "release",
        "restore",
        "rollback",
        "run",
        "server/switch.sh",
    ],
)
def test_bash_can_read(script: str) -> None:
    run("bash", "-n", DEPLOY / script)


@pytest.mark.parametrize(
    "step", sorted((DEPLOY / "server" / "steps").iterdir()), ids=lambda step: step.name
)
def test_bash_can_read_the_step(step: Path) -> None:
    run("bash", "-n", step)


OPERATORS = {
    "ALERTS_TO": "operators@site.test",
    "ALERTS_FROM": "alerts@site.test",
    "ALERTS_SMARTHOST": "relay.site.test:587",
    "ALERTS_USER": "relay",
    "ALERTS_PASSWORD": "the relays # own",
}


def alertmanager(**answers: str) -> subprocess.CompletedProcess[str]:
    folder = DEPLOY / "prometheus"
    return subprocess.run(
        [folder / "alertmanager"],
        input=(folder / "alertmanager.yml").read_text(),
        env={"PATH": os.environ["PATH"]} | OPERATORS | answers,
        capture_output=True,
        text=True,
    )


def test_amtool_accepts_the_configuration_with_answers(
    program: Program, tmp_path: Path
) -> None:
    file = tmp_path / "alertmanager.yml"
    file.write_text(alertmanager().stdout)
    amtool = program("amtool", "prometheus-alertmanager")
    assert "SUCCESS" in run(amtool, "check-config", file)
    receiver = yaml.safe_load(file.read_text())["receivers"][0]["email_configs"][0]
    assert receiver == {
        "to": "operators@site.test",
        "from": "alerts@site.test",
        "smarthost": "relay.site.test:587",
        "auth_username": "relay",
        "auth_password": "the relays # own",
        "require_tls": True,
        "send_resolved": True,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALERTS_TO", "operators@yourapp.com"),
        ("ALERTS_FROM", "alerts@example.org"),
        ("ALERTS_SMARTHOST", "mail:1025"),
        ("ALERTS_TO", "nobody"),
        ("ALERTS_SMARTHOST", "relay.site.test"),
    ],
)
def test_alerts_to_nobody_are_refused(name: str, value: str) -> None:
    result = alertmanager(**{name: value})
    assert (result.returncode, result.stdout) == (1, "")


def test_promtool_accepts_the_rules_and_their_tests_pass(program: Program) -> None:
    promtool = program("promtool", "prometheus")
    assert f"SUCCESS: {len(ALERTS)} rules found" in run(
        promtool, "check", "rules", RULES
    )
    assert "SUCCESS" in run(promtool, "test", "rules", RULE_TESTS)


def test_promtool_accepts_the_configuration(program: Program) -> None:
    configuration = DEPLOY / "prometheus" / "prometheus.yml"
    run(
        program("promtool", "prometheus"),
        "check",
        "config",
        "--syntax-only",
        configuration,
    )


def test_amtool_accepts_the_configuration(program: Program) -> None:
    amtool = program("amtool", "prometheus-alertmanager")
    assert "SUCCESS" in run(
        amtool, "check-config", DEPLOY / "prometheus" / "alertmanager.yml"
    )


@pytest.mark.parametrize("alert", [rule["alert"] for rule in ALERTS])
def test_each_alert_is_shown_to_fire_and_to_be_silent(alert: str) -> None:
    cases = [
        case
        for test in yaml.safe_load(RULE_TESTS.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == alert
    ]
    assert {bool(case["exp_alerts"]) for case in cases} == {True, False}


@pytest.mark.parametrize(("alert", "expression"), GUIDE.items())
def test_the_guides_alerts_keep_their_expressions(alert: str, expression: str) -> None:
    assert [rule["expr"] for rule in ALERTS if rule["alert"] == alert] == [expression]


def expressions() -> list[str]:
    """Return every expression of alerts and dashboard, Grafana's variables filled in."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    targets = [target["expr"] for panel in panels for target in panel["targets"]]
    filled = [re.sub(r"\$__(range|rate_interval)", "1h", target) for target in targets]
    return [rule["expr"] for rule in ALERTS] + filled


def test_every_expression_of_the_dashboard_can_be_read(
    program: Program, tmp_path: Path
) -> None:
    rules = [
        {"record": f"panel_{n}", "expr": text} for n, text in enumerate(expressions())
    ]
    file = tmp_path / "rules.yml"
    file.write_text(json.dumps({"groups": [{"name": "all", "rules": rules}]}))
    run(program("promtool", "prometheus"), "check", "rules", file)


def test_every_expression_names_only_metrics_that_the_site_shows(stack: Any) -> None:
    visitor = stack.visitor()
    for number in range(4):
        visitor.ask_for_link(f"nobody-{number}@example.org")
    stack.manage("process_reset_requests")
    stack.manage("purge_reset_tokens")
    shown = {sample.partition("{")[0] for sample in stack.metrics()} | {"up"}
    measured = (DEPLOY / "server" / "measure").read_text()
    shown |= set(re.findall(r'"(password_reset_\w+)"', measured))
    wanted = set(
        re.findall(r"\b(?:password_reset|django)_[a-z_0-9]+\b", " ".join(expressions()))
    )
    assert wanted
    assert wanted <= shown


def test_the_dashboard_answers_the_monthly_questions() -> None:
    titles = {panel["title"] for panel in json.loads(DASHBOARD.read_text())["panels"]}
    assert titles >= {
        "Requests",
        "Passwords reset",
        "Links that came too late",
        "From request to reset",
    }


def test_the_dashboard_asks_the_provisioned_source() -> None:
    folder = DEPLOY / "grafana" / "provisioning" / "datasources"
    source = yaml.safe_load((folder / "prometheus.yml").read_text())["datasources"][0]
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert {panel["datasource"]["uid"] for panel in panels} == {source["uid"]}


def test_git_ignores_every_secret_of_the_kit() -> None:
    files = [secret["file"] for secret in COMPOSE["secrets"].values()]
    secrets = [file for file in files if not file.startswith("${")]
    for name in [".env", ".env.production", "backups/a.dump", *secrets]:
        run("git", "check-ignore", "--quiet", DEPLOY / name, cwd=ROOT)
