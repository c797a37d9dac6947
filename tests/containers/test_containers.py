"""The containers of the deployment kit on a real engine, in the order of a site's life:
released by the guide's commands, walked, restarted, renewed, restored.
"""

import json
import re
import shlex
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests import ROOT
from tests.containers.site import EXPECTED, Site, guide
from tests.kit.pieces import Imap
from tests.kit.test_document import blocks
from tests.kit.test_tools import end_to_end
from tests.tools.servers import wait_until

#: Commands of the site alone: no psql, no curl, not as the owner.
OF_THE_SITE = re.compile(r"(python (manage\.py|-m project\.env)( [^\n]*)?\n)+")
SWEEP = "password_reset_last_sweep_timestamp_seconds"


# The first release.


@pytest.mark.parametrize(
    "value", ["operators@yourapp.com", "you@example.com", "nobody"]
)
def test_the_examples_alert_addresses_end_alertmanager_with_a_word(
    site: Site, value: str
) -> None:
    once = "docker compose run --rm --no-deps -T alertmanager"
    result = site.type(f"cd deploy && ALERTS_TO={value} {once}", check=False)
    assert result.returncode == 1
    assert "ALERTS_TO" in result.stderr
    assert "must be" in result.stderr


def test_one_command_makes_a_site_that_passes_the_smoke_test(released: Site) -> None:
    assert "15 of 15 checks passed" in released.output
    assert (released.version(), released.remembered()) == ("v1.0.0", "v1.0.0")
    assert set(released.services()) == set(EXPECTED)


def test_the_same_release_again_changes_nothing(released: Site) -> None:
    before = {name: each["Id"] for name, each in released.services().items()}
    assert "v1.0.0 runs already" in released.release("v1.0.0").stdout
    released.compose("up", "--detach")
    assert {name: each["Id"] for name, each in released.services().items()} == before


@pytest.fixture
def imap() -> Iterator[Imap]:
    server = Imap()
    server.start()
    yield server
    server.close()


def test_the_end_to_end_run_passes(released: Site, imap: Imap) -> None:
    email = released.make_account("e2e@site.test")
    code, output = end_to_end(released, imap, email)  # type: ignore[arg-type]
    assert (code, "14 passed" in output) == (0, True), output


def test_the_end_to_end_run_of_the_limits_passes(released: Site, imap: Imap) -> None:
    code, output = end_to_end(released, imap, "nobody@site.test", "-m", "limits")  # type: ignore[arg-type]
    assert (code, "1 passed" in output) == (0, True), output
    released.forget_limits()


@pytest.mark.parametrize(
    "script", guide("Docker"), ids=lambda script: script.splitlines()[0][:60]
)
def test_what_the_guide_types_on_a_released_site_runs_as_it_stands(
    released: Site, script: str
) -> None:
    environment = released.deploy / ".env.production"
    kept = environment.read_text()
    released.type(f"cd deploy\n{script}")
    if environment.read_text() != kept:
        environment.write_text(kept)
        released.compose("restart", "web", "worker", "cron")
    released.seconds_until_well()


@pytest.mark.parametrize(
    "script",
    [
        block.script
        for block in blocks()
        if not block.needs and OF_THE_SITE.fullmatch(block.script)
    ],
    ids=lambda script: script.splitlines()[0][:60],
)
def test_what_the_guide_types_in_the_sites_shell_runs_as_it_stands(
    released: Site, script: str
) -> None:
    shell = ["exec", "-T", "worker", "deploy/run", "bash", "-ec"]
    released.compose(*shell, script)


# Who may do what.


@pytest.mark.parametrize("name", EXPECTED)
def test_no_container_has_a_privilege_that_it_does_not_need(
    released: Site, name: str
) -> None:
    """As the kernel sees its first process, and each below it."""
    found = released.services()[name]
    top = released.engine.docker("top", found["Id"], "-eo", "pid").split()[1:]
    # cron becomes the user of its jobs, and hands them their environment.
    allowed = {"CHOWN": 0, "SETGID": 6, "SETUID": 7} if name == "cron" else {}
    expected = sum(1 << bit for bit in allowed.values())
    for process in top:
        try:
            status = Path(f"/proc/{process}/status").read_text()
        except OSError:  # it has just ended
            continue
        fields = dict(line.split(":\t", 1) for line in status.splitlines())
        assert int(fields["CapBnd"], 16) == expected
        assert fields["NoNewPrivs"] == "1"
        assert fields["Seccomp"] == "2"
        if name != "cron":
            assert fields["Uid"].split()[0] != "0"
    assert found["HostConfig"]["Privileged"] is False
    assert found["HostConfig"]["ReadonlyRootfs"] is True
    assert not any("docker.sock" in str(mount) for mount in found["Mounts"])


def test_a_container_cannot_write_its_own_code(released: Site) -> None:
    for name in ("web", "worker", "cron", "backup", "measure"):
        touch = ["exec", "-T", name, "sh", "-c", "touch deploy/mine || echo refused"]
        assert "refused" in released.compose(*touch)


def secrets_of(site: Site) -> dict[str, str]:
    """Return what nobody may read who may read images and `docker inspect`."""
    files = [path for path in (site.deploy / "secrets").iterdir() if path.is_file()]
    public = ("fullchain.pem", "database.pem", "database-ca.pem", ".gitignore")
    found = {
        path.name: path.read_text().strip()
        for path in files
        if path.name not in public and path.stat().st_size
    }
    lines = (site.deploy / ".env.production").read_text()
    for name in ("SESSION_SECRET", "SMTP_PASSWORD"):
        line = re.search(rf"(?m)^{name}=(.*)$", lines)
        assert line
        found[name] = shlex.split(line[1])[0]
    return found


def test_secrets_are_not_in_what_docker_shows_of_containers(released: Site) -> None:
    shown = json.dumps(released.services())
    assert [
        name for name, value in secrets_of(released).items() if value in shown
    ] == []


def test_secrets_and_the_package_index_are_in_no_layer(
    released: Site, tmp_path: Path
) -> None:
    """Neither in the history of an image nor in a file of any of its layers."""
    words = {name: value.encode() for name, value in secrets_of(released).items()}
    words["the index"] = b"pip_authority\n"
    for kind in ("web", "cron", "tools"):
        image = f"yourapp/{kind}:v1.0.0"
        history = released.engine.docker("history", "--no-trunc", image).encode()
        archive = tmp_path / f"{kind}.tar"
        released.engine.docker("save", "--output", archive, image)
        found = [name for name, word in words.items() if word in history]
        with tarfile.open(archive) as layers:
            for member in filter(tarfile.TarInfo.isfile, layers):
                content = layers.extractfile(member)
                assert content
                text = content.read()
                found += [name for name, word in words.items() if word in text]
        assert found == []


def test_images_have_nothing_that_installs_or_compiles(released: Site) -> None:
    look = "for tool in pip gcc cc make git curl; do command -v $tool; done; true"
    assert released.compose("exec", "-T", "web", "sh", "-c", look) == ""


# Restarts.


def swept_since(site: Site, moment: float) -> None:
    """Wait until cron's job of each minute has run after a moment."""
    wait_until(
        lambda: site.metric(SWEEP) > moment,
        lambda: site.compose("logs", "--tail", "30", "cron"),
        100,
    )


@pytest.mark.parametrize("name", EXPECTED)
def test_after_the_restart_of_a_service_all_is_well(released: Site, name: str) -> None:
    email = released.make_account(f"after-{name}@site.test")
    released.forget_limits()
    container = released.services()[name]["Id"]
    released.engine.docker("restart", container)
    waited = released.seconds_until_well()
    print(f"{name}: well {waited:.1f} s after its restart")
    assert released.services()[name]["RestartCount"] == 0
    assert released.ask_for_link(email).startswith(released.url)
    if name in {"cron", "redis", "db"}:
        swept_since(released, time.time())


def test_after_a_kill_of_cron_its_jobs_run_again(released: Site) -> None:
    """The engine starts it again on the file system that the first run has left."""
    found = released.services()["cron"]
    subprocess.run(["kill", "-9", str(found["State"]["Pid"])], check=True)
    released.seconds_until_well()
    swept_since(released, time.time())


def test_after_a_restart_of_the_engine_all_is_well(released: Site) -> None:
    email = released.make_account("after-the-engine@site.test")
    released.forget_limits()
    started = time.monotonic()
    released.engine.restart()
    released.seconds_until_well()
    print(f"engine: well {time.monotonic() - started:.1f} s after its restart began")
    assert released.ask_for_link(email).startswith(released.url)
    swept_since(released, time.time())


# The network.


@pytest.fixture
def visitor(released: Site) -> Iterator[str]:
    """A machine beside this one: a network namespace with addresses of its own."""
    name = f"visitor-{released.https_port}"
    inside = ["ip", "netns", "exec", name]
    steps = [
        ["ip", "netns", "add", name],
        ["ip", "link", "add", "here0", "type", "veth", "peer", "there0"],
        ["ip", "link", "set", "there0", "netns", name],
        ["ip", "address", "add", "10.77.0.1/24", "dev", "here0"],
        ["ip", "address", "add", "fd77::1/64", "dev", "here0", "nodad"],
        ["ip", "link", "set", "here0", "up"],
        [*inside, "ip", "address", "add", "10.77.0.2/24", "dev", "there0"],
        [*inside, "ip", "address", "add", "fd77::2/64", "dev", "there0", "nodad"],
        [*inside, "ip", "link", "set", "there0", "up"],
        [*inside, "ip", "link", "set", "lo", "up"],
    ]
    try:
        for step in steps:
            subprocess.run(step, check=True)
        yield name
    finally:
        subprocess.run(["ip", "link", "delete", "here0"], check=False)
        subprocess.run(["ip", "netns", "delete", name], check=False)


def call(visitor: str, site: Site, address: str) -> subprocess.CompletedProcess[str]:
    """Ask for a link from the other machine, by one of this one's addresses."""
    command = ["curl", "--silent", "--show-error", "--max-time", "20"]
    command += ["--connect-to", f"localhost:{site.https_port}:{address}:"]
    command += ["--cacert", str(site.nginx.ca), "--json", '{"email": "a@site.test"}']
    url = f"{site.url}/api/auth/request-password-reset"
    return subprocess.run(
        ["ip", "netns", "exec", visitor, *command, url],
        capture_output=True,
        text=True,
    )


def test_the_site_sees_the_visitors_own_address(released: Site, visitor: str) -> None:
    released.forget_limits()
    result = call(visitor, released, "10.77.0.1")
    assert result.returncode == 0, result.stderr
    log = released.compose("logs", "--no-log-prefix", "--since", "60s", "web")
    lines = [line for line in log.splitlines() if "Password reset requested" in line]
    line = lines[-1][lines[-1].index("{") :]
    assert json.loads(line)["ip"] == "10.77.0.2"


def test_nothing_is_published_over_ipv6(released: Site, visitor: str) -> None:
    """Docker's proxy would hide who calls, and all visitors would share one limit."""
    assert call(visitor, released, "[fd77::1]").returncode != 0
    port = released.https_port
    assert f":{port}" not in subprocess.run(
        ["ss", "-Hltn6"], capture_output=True, text=True
    ).stdout.replace(f"127.0.0.1:{port}", "")


@pytest.mark.parametrize("name", ["PROMETHEUS", "ALERTMANAGER", "GRAFANA"])
def test_the_monitoring_is_for_this_machine_alone(
    released: Site, visitor: str, name: str
) -> None:
    port = released.ports[f"{name}_PORT"]
    listening = subprocess.run(["ss", "-Hltn"], capture_output=True, text=True).stdout
    places = {line.split()[3] for line in listening.splitlines()}
    assert {place for place in places if place.endswith(f":{port}")} == {
        f"127.0.0.1:{port}"
    }
    ask = ["curl", "--silent", "--max-time", "3", f"http://10.77.0.1:{port}/"]
    reached = subprocess.run(["ip", "netns", "exec", visitor, *ask])
    assert reached.returncode != 0


# The monitoring.


def ask_prometheus(site: Site, path: str) -> Any:
    url = f"http://127.0.0.1:{site.ports['PROMETHEUS_PORT']}/api/v1/{path}"
    return requests.get(url, timeout=10).json()["data"]


def test_prometheus_reaches_the_site_and_alertmanager(released: Site) -> None:
    def up() -> bool:
        targets = ask_prometheus(released, "targets")["activeTargets"]
        health = {target["labels"]["job"]: target["health"] for target in targets}
        return health == {"password-reset": "up", "server": "up"}

    wait_until(up, lambda: str(ask_prometheus(released, "targets")), 60)
    managers = ask_prometheus(released, "alertmanagers")["activeAlertmanagers"]
    assert len(managers) == 1


@pytest.mark.parametrize(
    "metric",
    [
        "password_reset_last_backup_timestamp_seconds",
        'password_reset_certificate_expiry_timestamp_seconds{certificate="site"}',
        'password_reset_certificate_expiry_timestamp_seconds{certificate="database"}',
        "password_reset_last_sweep_timestamp_seconds",
        "password_reset_cache_up",
        "node_filesystem_avail_bytes",
    ],
)
def test_prometheus_has_what_the_alerts_ask_for(released: Site, metric: str) -> None:
    if not backups(released):
        back_up(released)
    wait_until(
        lambda: ask_prometheus(released, f"query?query={metric}")["result"],
        lambda: released.compose("logs", "--tail", "20", "measure"),
        100,
    )


def test_an_alert_is_mailed_by_the_relay(released: Site) -> None:
    """By STARTTLS, with the certificate verified, and the relay's password."""
    alert = {"labels": {"alertname": "PasswordResetTried", "severity": "critical"}}
    url = f"http://127.0.0.1:{released.ports['ALERTMANAGER_PORT']}/api/v2/alerts"
    requests.post(url, json=[alert], timeout=10).raise_for_status()
    wait_until(
        lambda: bool(released.mails_to("operators@site.test")),
        lambda: released.compose("logs", "--tail", "20", "alertmanager"),
        90,
    )
    mail = released.mails_to("operators@site.test")[-1]
    assert "PasswordResetTried" in str(mail.message["Subject"])
    assert mail.sender == "alerts@site.test"


# Releases, rollbacks and what goes wrong in them.


def test_a_release_refuses_nobody_and_is_remembered(released: Site) -> None:
    new = "static/project/new.css"
    sources = released.other_sources("v1.1.0", (new, "", "p { margin: 0 }"))
    with released.load() as visitors:
        output = released.release("v1.1.0", str(sources)).stdout
    print(f"release: {visitors.answers}, slowest {visitors.slowest():.2f} s")
    assert "15 of 15 checks passed" in output
    assert (released.version(), released.remembered()) == ("v1.1.0", "v1.1.0")
    assert visitors.total > 200
    assert visitors.failed == 0, visitors.answers
    assert released.ask(f"/{new}").text == "p { margin: 0 }"


def test_the_next_plain_up_starts_nothing_else(released: Site) -> None:
    before = {name: each["Id"] for name, each in released.services().items()}
    released.compose("up", "--detach")
    assert released.version() == "v1.1.0"
    assert {name: each["Id"] for name, each in released.services().items()} == before


def test_after_down_and_up_the_released_version_is_there(released: Site) -> None:
    released.compose("down")
    released.compose("up", "--detach")
    released.seconds_until_well()
    assert released.version() == "v1.1.0"


def test_a_rollback_refuses_nobody_and_is_remembered(released: Site) -> None:
    released.forget_limits()
    with released.load() as visitors:
        released.type("deploy/rollback --compose")
    print(f"rollback: {visitors.answers}, slowest {visitors.slowest():.2f} s")
    assert visitors.failed == 0, visitors.answers
    assert (released.version(), released.remembered()) == ("v1.0.0", "v1.0.0")
    assert "PREVIOUS=v1.1.0" in (released.deploy / ".env").read_text()


BROKEN = {
    "does not load": ("project/urls.py", "urlpatterns = [", "urlpatterns = [missing,"),
    "shows no page": (
        "password_reset/templates/password_reset/base.html",
        "<html",
        "{% url 'nowhere' %}<html",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_release_that_does_not_answer_is_never_started(
    released: Site, how: str
) -> None:
    sources = released.other_sources("broken", BROKEN[how])
    before = released.services()["web"]["Id"]
    result = released.release("v1.2.0", str(sources), check=False)
    assert result.returncode == 1
    assert "v1.0.0 runs on" in result.stderr
    assert released.services()["web"]["Id"] == before
    assert released.remembered() == "v1.0.0"


def test_a_release_that_fails_the_smoke_test_is_taken_back(released: Site) -> None:
    change = "SECURE_HSTS_SECONDS = {} * 24"
    weaker = ("project/settings.py", change.format(365), change.format(1))
    sources = released.other_sources("weaker", weaker)
    released.forget_limits()
    with released.load() as visitors:
        result = released.release("v1.4.0", str(sources), check=False)
    print(f"taken back: {visitors.answers}, slowest {visitors.slowest():.2f} s")
    assert result.returncode == 1
    assert "v1.0.0 runs again" in result.stderr
    assert (released.version(), released.remembered()) == ("v1.0.0", "v1.0.0")
    assert visitors.failed == 0, visitors.answers
    assert "web-beside" not in released.services()
    released.compose("up", "--detach")
    assert released.version() == "v1.0.0"


MIGRATION = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("project", "LAST")]
    operations = [
        migrations.RunSQL("ALTER TABLE users ADD COLUMN a_new_one integer", "ALTER TABLE users DROP COLUMN a_new_one")
    ]
"""


def test_a_migration_waits_for_no_lock_longer_than_visitors_may(
    released: Site,
) -> None:
    last = max(path.stem for path in (ROOT / "project/migrations").glob("0*.py"))
    migration = MIGRATION.replace("LAST", last)
    sources = released.other_sources(
        "migrating", ("project/migrations/0099_wait.py", "", migration)
    )
    held = "BEGIN; LOCK users IN ACCESS SHARE MODE; SELECT pg_sleep(600)"
    psql = ["psql", "--username", "postgres", "-Xd", "yourapp_db", "-c", held]
    released.compose("exec", "--detach", "db", *psql)
    try:
        result = released.type(
            f"TRIES=2 PAUSE=1 deploy/release --compose v1.5.0 {sources}", check=False
        )
    finally:
        released.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)'"
        )
    assert result.returncode == 1
    assert "lock timeout" in result.stderr
    assert "v1.0.0 runs on" in result.stderr
    assert released.health() == 200


# Backup and restore.


def backups(site: Site) -> list[Path]:
    return sorted((site.deploy / "backups").glob("*.dump"))


def back_up(site: Site) -> Path:
    command = ["deploy/backup", "/var/backups/password-reset", "14"]
    time.sleep(1)  # a name has whole seconds
    site.compose("exec", "-T", "backup", *command)
    return backups(site)[-1]


def test_a_backup_is_restored_on_trial_and_leaves_no_trace(released: Site) -> None:
    released.make_account("kept@site.test")
    back_up(released)
    output = released.type("deploy/restore --compose --verify").stdout
    assert re.search(r"[1-9]\d* accounts", output)
    named = "SELECT count(*) FROM pg_database WHERE datname LIKE '%verify%'"
    roles = "SELECT count(*) FROM pg_roles WHERE rolname LIKE '%verify%'"
    assert (released.sql(named), released.sql(roles)) == ("0", "0")


def test_a_backup_that_fails_says_so_and_leaves_nothing(released: Site) -> None:
    before = set((released.deploy / "backups").iterdir())
    wrong = "postgresql://yourapp_backup:wrong@db:5432/yourapp_db"
    command = f"DATABASE_BACKUP_URL_FILE= DATABASE_BACKUP_URL={wrong} deploy/backup /var/backups/password-reset"
    once = ["run", "--rm", "--no-deps", "-T", "backup", "sh", "-c", command]
    result = released.type(
        "cd deploy && " + shlex.join(["docker", "compose", *once]), check=False
    )
    assert result.returncode == 1
    assert "password authentication failed" in result.stderr
    assert set((released.deploy / "backups").iterdir()) == before


def test_a_folder_that_the_backup_may_not_write_is_said(released: Site) -> None:
    once = "docker compose run --rm --no-deps -T backup deploy/backup /srv/elsewhere"
    result = released.type(f"cd deploy && {once}", check=False)
    assert result.returncode != 0
    assert "Read-only file system" in result.stderr


def test_the_nightly_backup_comes_at_its_time(released: Site) -> None:
    before = backups(released)
    soon = time.strftime("%H:%M", time.gmtime(time.time() + 60))
    nightly = ["deploy/containers/nightly", soon, "deploy/backup"]
    folder = "/var/backups/password-reset"
    name = released.compose(
        *["run", "--detach", "--no-deps", "backup", *nightly, folder]
    ).strip()
    try:
        wait_until(lambda: backups(released) > before, lambda: "no backup", 90)
    finally:
        released.engine.docker("rm", "--force", name)


def test_a_damaged_backup_is_not_restored(released: Site, tmp_path: Path) -> None:
    short = tmp_path / "short.dump"
    short.write_bytes(back_up(released).read_bytes()[:20_000])
    for how in ("--verify", "--replace"):
        result = released.type(f"deploy/restore --compose {how} {short}", check=False)
        assert result.returncode != 0
    assert (
        released.sql("SELECT count(*) FROM users WHERE email = 'kept@site.test'") == "1"
    )
    released.seconds_until_well()


def test_a_restored_site_works_with_its_own_role(released: Site) -> None:
    early = released.make_account("early@site.test")
    released.forget_limits()
    old = released.ask_for_link(early)
    dump = back_up(released)
    released.make_account("late@site.test")
    released.type(f"deploy/restore --compose --replace {dump}")
    released.seconds_until_well()
    known = "SELECT count(*) FROM users WHERE email = '{}'"
    assert released.sql(known.format("late@site.test")) == "0"
    assert released.sql(known.format(early)) == "1"
    released.forget_limits()
    assert released.ask(old.removeprefix(released.url)).status_code == 410
    assert released.ask_for_link(early) != old
    assert (
        "15 of 15"
        in released.type(
            f". deploy/.env; deploy/smoke_test {released.url} $SMOKE_OPTIONS"
        ).stdout
    )
