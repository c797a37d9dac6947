"""One command makes a site of an empty Debian; what it leaves is looked at from outside
and from inside. The tests are in the order of a server's life.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests import ROOT
from tests.kit.pieces import Imap
from tests.kit.test_document import blocks
from tests.kit.test_tools import end_to_end
from tests.server.load import Load
from tests.server.machine import Failed
from tests.server.site import POSTGRESQL, SOURCES, Site

MACHINE = "install"
SERVICES = (
    f"password-reset-web password-reset-worker nginx {POSTGRESQL} redis-server "
    "prometheus prometheus-alertmanager prometheus-node-exporter"
)
PLACES = ("/etc", "/srv", "/usr")


@pytest.fixture
def imap() -> Iterator[Imap]:
    server = Imap()
    server.start()
    yield server
    server.close()


def load(site: Site) -> Load:
    return Load("localhost", site.nginx.ca, rate=50)


def started(site: Site) -> str:
    return site.run(
        f"systemctl show --value -p Id -p ActiveEnterTimestampMonotonic {SERVICES}"
    ).stdout


# The first and the second run.


def test_a_dry_run_says_what_it_would_do_and_does_nothing(site: Site) -> None:
    before = site.machine.snapshot("/etc", "/srv")
    output = site.install("--dry-run", "v1.0.0")
    assert "apt-get install" in output
    assert "deploy/release" in output
    assert site.answers["SMTP_FROM"] not in output
    assert site.machine.snapshot("/etc", "/srv") == before


def test_what_is_not_known_is_named_where_nobody_can_be_asked(site: Site) -> None:
    result = site.type("DOMAIN=site.test deploy/install v1.0.0", check=False)
    assert result.returncode == 1
    for name in ("SMTP_HOST", "ALERTS_TO", "ALERTS_SMARTHOST"):
        assert name in result.stderr
    assert site.run("test -e /etc/password-reset", check=False).returncode == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DOMAIN", "yourapp.com"),
        ("SMTP_PASSWORD", "your-password"),
        ("ALERTS_TO", "operators@yourapp.com"),
        ("ALERTS_SMARTHOST", "relay.example.com:587"),
    ],
)
def test_the_examples_values_are_refused(site: Site, name: str, value: str) -> None:
    with pytest.raises(Failed, match=f"{name} is the example's"):
        site.install("v1.0.0", **{name: value})


def test_one_command_makes_a_site_that_passes_the_smoke_test(installed: Site) -> None:
    assert "15 of 15 checks passed" in installed.output
    assert installed.version() == "v1.0.0"
    assert installed.health() == 200


def test_the_end_to_end_run_passes(installed: Site, imap: Imap) -> None:
    email = installed.make_account("e2e@site.test")
    code, output = end_to_end(installed, imap, email)  # type: ignore[arg-type]
    assert (code, "14 passed" in output) == (0, True), output


def test_the_end_to_end_run_of_the_limits_passes(installed: Site, imap: Imap) -> None:
    code, output = end_to_end(installed, imap, "nobody@site.test", "-m", "limits")  # type: ignore[arg-type]
    assert (code, "1 passed" in output) == (0, True), output
    installed.forget_limits()


def test_a_second_run_changes_nothing(installed: Site) -> None:
    before, services = installed.machine.snapshot(*PLACES), started(installed)
    output = installed.run(f"cd {SOURCES} && deploy/install v1.0.0").stdout
    after = installed.machine.snapshot(*PLACES)
    changed = {path for path in before | after if before.get(path) != after.get(path)}
    assert (changed, "changed" in output) == (set(), False)
    assert started(installed) == services


# What runs beside the site.


@pytest.fixture
def in_a_credential(installed: Site) -> Iterator[str]:
    """The secret as a systemd credential instead of a line of the environment."""
    secret = "it-lies-encrypted-on-the-disk-0123456789"
    folder = "/etc/systemd/system/password-reset-.service.d"
    restart = "systemctl daemon-reload; systemctl restart password-reset-web"
    shipped = next(b.script for b in blocks() if "systemd-creds encrypt" in b.script)
    installed.run("cp -a /etc/password-reset/env /etc/password-reset/env.kept")
    installed.run(
        f"sed -i s/^SESSION_SECRET=.*/SESSION_SECRET={secret}/ /etc/password-reset/env"
    )
    installed.type(f"set -e\n{shipped}")
    yield secret
    installed.run(
        f"rm {folder}/secrets.conf; mv /etc/password-reset/env.kept /etc/password-reset/env; {restart}"
    )


def test_systemd_credentials_reach_the_services_and_both_shells(
    installed: Site, in_a_credential: str
) -> None:
    assert in_a_credential not in installed.machine.read("/etc/password-reset/env")
    code = "from django.conf import settings; print(settings.SECRET_KEY)"
    for opened in ("deploy/run", "deploy/as_owner"):
        shell = installed.type(f'{opened} python manage.py shell -v0 -c "{code}"')
        assert in_a_credential in shell.stdout
    assert installed.health() == 200
    for user in ("www-data", "password-reset-backup"):
        mine = "cat /run/credentials/password-reset-web.service/session_secret"
        assert installed.run(mine, user=user, check=False).returncode != 0


@pytest.mark.parametrize("job", ["requests", "purge", "backup", "measure"])
def test_what_a_timer_starts_ends_well(installed: Site, job: str) -> None:
    installed.run(f"systemctl start password-reset-{job}.service")
    timer = installed.run(f"systemctl is-active password-reset-{job}.timer").stdout
    assert timer.strip() == "active"


def test_cron_instead_of_timers_runs_the_jobs_and_is_quiet(installed: Site) -> None:
    installed.run("""
        systemctl stop 'password-reset-*.timer'
        install -m 0644 /srv/password-reset/current/deploy/cron/password-reset /etc/cron.d/password-reset
        systemctl restart cron""")
    seen = "journalctl -u cron --since -90s | grep 'process_reset_requests' | grep CMD"
    assert installed.run(f"sleep 65; {seen}").stdout
    assert "mail" not in installed.run("journalctl -u cron --since -90s").stdout.lower()
    jobs = "password-reset-{requests,purge,backup,measure}.timer"
    installed.run(f"rm /etc/cron.d/password-reset; systemctl start {jobs}")


def prometheus(site: Site, path: str) -> Any:
    answer = site.run(f"curl -fsS 'http://127.0.0.1:9090/api/v1/{path}'").stdout
    return json.loads(answer)["data"]


def test_prometheus_reaches_everything_and_nothing_is_wrong(installed: Site) -> None:
    installed.run("systemctl start password-reset-measure.service; sleep 35")
    targets = prometheus(installed, "targets")["activeTargets"]
    assert {(t["labels"]["job"], t["health"]) for t in targets} == {
        ("password-reset", "up"),
        ("server", "up"),
    }
    firing = [
        a for a in prometheus(installed, "alerts")["alerts"] if a["state"] == "firing"
    ]
    assert firing == []
    managers = prometheus(installed, "alertmanagers")["activeAlertmanagers"]
    assert len(managers) == 1


@pytest.mark.parametrize(
    "metric",
    [
        "password_reset_last_backup_timestamp_seconds",
        "password_reset_certificate_expiry_timestamp_seconds",
        "password_reset_last_sweep_timestamp_seconds",
        "password_reset_cache_up",
    ],
)
def test_prometheus_has_what_the_alerts_ask_for(installed: Site, metric: str) -> None:
    assert prometheus(installed, f"query?query={metric}")["result"]


def test_a_machine_of_workers_shows_its_metrics_and_no_page(installed: Site) -> None:
    installed.run("systemctl start password-reset-metrics")
    shown = installed.run(
        """. /etc/password-reset/env
        curl -fsS -H "Authorization: Bearer $METRICS_TOKEN" http://127.0.0.1:8001/metrics
        curl -s -o /dev/null -w '%{http_code}' http://127.0.0.1:8001/forgot-password
        systemctl stop password-reset-metrics"""
    ).stdout
    assert 'password_reset_duration_seconds_count{step="mail"}' in shown
    assert shown.endswith("404")


# Reboot.


def test_after_a_reboot_all_is_back_within_a_minute(installed: Site) -> None:
    booted = installed.machine.reboot()
    waited = installed.seconds_until_healthy()
    print(f"reboot: {booted:.1f} s, healthy {waited:.1f} s later")
    assert booted + waited < 60
    states = installed.run(f"systemctl is-active {SERVICES}").stdout.split()
    assert set(states) == {"active"}
    assert installed.run("systemctl --failed --no-legend").stdout == ""
    installed.watch()


# Releases, rollbacks and what goes wrong in them.


def test_a_release_refuses_nobody(installed: Site) -> None:
    sources = installed.other_sources("v1.1.0")
    installed.forget_limits()
    with load(installed) as visitors:
        installed.type(f"deploy/release v1.1.0 {sources}")
    print(f"release: {visitors.answers}, slowest {visitors.slowest():.2f} s")
    assert installed.version() == "v1.1.0"
    assert visitors.total > 200
    assert visitors.failed == 0, visitors.answers


def test_a_rollback_refuses_nobody_and_remembers(installed: Site) -> None:
    installed.forget_limits()
    with load(installed) as visitors:
        installed.type("deploy/rollback")
    print(f"rollback: {visitors.answers}, slowest {visitors.slowest():.2f} s")
    assert visitors.failed == 0, visitors.answers
    assert installed.version() == "v1.0.0"
    assert installed.run("readlink /srv/password-reset/previous").stdout.endswith(
        "v1.1.0\n"
    )


def test_a_release_that_does_not_load_is_never_started(installed: Site) -> None:
    change = ("project/urls.py", "urlpatterns = [", "urlpatterns = [missing,")
    sources = installed.other_sources("broken", change)
    with load(installed) as visitors:
        result = installed.type(f"deploy/release v1.2.0 {sources}", check=False)
    assert result.returncode == 1
    assert "v1.0.0 runs on" in result.stderr
    assert (installed.version(), visitors.failed) == ("v1.0.0", 0)


def test_a_release_whose_pages_fail_is_never_started(installed: Site) -> None:
    change = (
        "password_reset/templates/password_reset/base.html",
        "<html",
        "{% url 'nowhere' %}<html",
    )
    sources = installed.other_sources("broken", change)
    result = installed.type(f"deploy/release v1.3.0 {sources}", check=False)
    assert result.returncode == 1
    assert installed.version() == "v1.0.0"


def test_a_release_that_fails_the_smoke_test_is_taken_back(installed: Site) -> None:
    weaker = (
        "project/settings.py",
        "SECURE_HSTS_SECONDS = 365 * 24",
        "SECURE_HSTS_SECONDS = 1 * 24",
    )
    sources = installed.other_sources("broken", weaker)
    installed.forget_limits()
    with load(installed) as visitors:
        result = installed.type(f"deploy/release v1.4.0 {sources}", check=False)
    assert result.returncode == 1
    assert "v1.0.0 runs again" in result.stderr
    assert (installed.version(), visitors.failed) == ("v1.0.0", 0)
    beside = installed.run("systemctl list-units --no-legend 'password-reset-web@*'")
    assert beside.stdout == ""


MIGRATION = """
from django.db import migrations

class Migration(migrations.Migration):
    dependencies = [("project", "LAST")]
    operations = [
        migrations.RunSQL("ALTER TABLE users ADD COLUMN a_new_one integer", "ALTER TABLE users DROP COLUMN a_new_one")
    ]
"""


def test_a_migration_waits_for_no_lock_longer_than_visitors_may(
    installed: Site,
) -> None:
    last = max(path.stem for path in (ROOT / "project/migrations").glob("0*.py"))
    migration = MIGRATION.replace("LAST", last)
    sources = installed.other_sources(
        "migrating", ("project/migrations/0099_wait.py", "", migration)
    )
    held = 'psql -Xd yourapp_db -c "BEGIN; LOCK users IN ACCESS SHARE MODE; SELECT pg_sleep(600)"'
    installed.run(f"systemd-run --unit=holder --uid=postgres {held}")
    result = installed.type(
        f"TRIES=2 PAUSE=1 deploy/release v1.5.0 {sources}", check=False
    )
    assert result.returncode == 1
    assert "lock timeout" in result.stderr
    assert "v1.0.0 runs on" in result.stderr
    installed.run("systemctl stop holder")
    assert installed.health() == 200


def test_a_release_while_the_flow_is_switched_off_is_no_fault(installed: Site) -> None:
    flag = "sed -i s/^FEATURE_PASSWORD_RESET=.*/FEATURE_PASSWORD_RESET={}/ /etc/password-reset/env"
    installed.run(flag.format("false"))
    try:
        output = installed.type("deploy/rollback v1.1.0").stdout
    finally:
        installed.run(flag.format("true"))
        installed.run("systemctl restart password-reset-web password-reset-worker")
    assert "7 of 7 checks passed" in output
    assert installed.version() == "v1.1.0"


# Backup and restore.


def test_a_backup_is_restored_on_trial_and_leaves_no_trace(installed: Site) -> None:
    installed.make_account("kept@site.test")
    installed.run("systemctl start password-reset-backup.service")
    output = installed.type("deploy/restore --verify").stdout
    assert re.search(r"[1-9]\d* accounts", output)
    left = installed.sql(
        "SELECT count(*) FROM pg_database WHERE datname LIKE '%verify%'"
    )
    assert left == "0"


def test_a_backup_that_is_damaged_is_not_verified(installed: Site) -> None:
    installed.run(
        "head -c 20000 $(ls /var/backups/password-reset/*.dump | tail -1) > /tmp/short.dump"
    )
    assert installed.type(
        "deploy/restore --verify /tmp/short.dump", check=False
    ).returncode


def test_a_restored_site_works_with_its_own_role(installed: Site) -> None:
    installed.make_account("early@site.test")
    installed.run("systemctl start password-reset-backup.service")
    newest = "ls /var/backups/password-reset/*.dump | tail -1"
    dump = installed.run(newest).stdout.strip()
    installed.make_account("late@site.test")
    installed.type(f"deploy/restore --replace {dump}")
    installed.seconds_until_healthy()
    assert (
        installed.sql("SELECT count(*) FROM users WHERE email = 'late@site.test'")
        == "0"
    )
    early = "SELECT count(*) FROM users WHERE email = 'early@site.test'"
    assert installed.sql(early) == "1"
    installed.forget_limits()
    installed.type(
        "deploy/smoke_test https://localhost --connect 127.0.0.1 --ca /etc/tls/ca.pem"
    )
