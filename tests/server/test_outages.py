"""What breaks on a server, for real, and how the site gets over it: killed processes, a
full disk, a certificate that has ended, databases that restart in the middle of a
release.

On the machine of test_install, after all that was done there.
"""

import re
import shlex
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.server.site import CLUSTER, POSTGRESQL, Site
from tests.server.test_install import load, prometheus
from tests.tools.servers import wait_until

MACHINE = "install"


def waits_for(condition: Callable[[], bool], seconds: float, what: str = "") -> float:
    """Wait for something and return how many seconds that took."""
    started = time.monotonic()
    wait_until(condition, lambda: f"not within {seconds} s: {what}", seconds)
    return time.monotonic() - started


# Visitors who ask for a link, each from a network of their own.


#: No status, but a connection that ends.
CUT = 0


class Visitors:
    """Ask the site behind nginx, as nginx would; remember who was told "accepted"."""

    def __init__(self, site: Site, name: str) -> None:
        self.site, self.name = site, name
        self.number = 0
        self.accepted: list[str] = []

    def ask(self) -> requests.Response:
        self.number += 1
        n = self.number
        email = f"{self.name}-{n}@site.test"
        headers = {
            "Host": "localhost",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-For": f"45.{n // 200}.{n % 200}.7",
        }
        url = "http://127.0.0.1:8000/api/auth/request-password-reset"
        answer = requests.post(url, headers=headers, timeout=30, json={"email": email})
        if answer.status_code == 202:
            self.accepted.append(email)
        return answer

    def status(self) -> int:
        """Ask; return ``CUT`` where the process that took the connection was killed:
        nginx shows its own page for that.
        """
        try:
            return self.ask().status_code
        except requests.ConnectionError:
            return CUT

    def unsettled(self) -> int:
        """Return how many of the accepted requests no worker has settled, or are lost."""
        settled = self.site.sql(
            "SELECT count(*) FROM password_reset_requests WHERE processed_at IS NOT NULL"
            f" AND failed_at IS NULL AND email LIKE '{self.name}-%'"
        )
        return len(self.accepted) - int(settled or 0)

    def mailed(self, emails: list[str]) -> set[str]:
        sent = {to for mail in self.site.mail.deliveries for to in mail.recipients}
        return sent & set(emails)


@pytest.fixture
def visitors(installed: Site) -> Visitors:
    """Visitors; the first sixty have accounts."""
    installed.forget_limits()
    installed.mail.deliveries.clear()
    visitors = Visitors(installed, f"visitor-{uuid4().hex[:6]}")
    code = (
        "from project.models import User\n"
        f"User.objects.bulk_create(User(email=f'{visitors.name}-{{n}}@site.test', "
        "password='md5$x$' + '0' * 32) for n in range(1, 61))"
    )
    command = ["python", "manage.py", "shell", "-v0", "-c", code]
    installed.type(f"deploy/as_owner {shlex.join(command)}")
    return visitors


def assert_nothing_accepted_is_lost(visitors: Visitors, seconds: float = 120) -> float:
    started = time.monotonic()
    with suppress(TimeoutError):
        waits_for(lambda: not visitors.unsettled(), 15)
    if visitors.unsettled():
        visitors.site.five_minutes_pass()
    waits_for(lambda: not visitors.unsettled(), seconds, "all requests settled")
    took = time.monotonic() - started
    known = visitors.accepted[:60]
    known = [email for email in known if int(email.split("-")[2].split("@")[0]) <= 60]
    waits_for(lambda: visitors.mailed(known) == set(known), 30, "all emails")
    return took


# Killed.

KILLED = (
    "password-reset-web",
    "password-reset-worker",
    POSTGRESQL,
    "redis-server",
    "nginx",
    "prometheus",
)


def main_process(site: Site, unit: str) -> int:
    return int(site.run(f"systemctl show --value -p MainPID {unit}").stdout)


@pytest.mark.parametrize("unit", KILLED)
def test_what_is_killed_comes_back_by_itself_and_nothing_accepted_is_lost(
    installed: Site, visitors: Visitors, unit: str
) -> None:
    before = main_process(installed, unit)
    for _visitor in range(3):
        assert visitors.ask().status_code == 202
    installed.run(f"kill -KILL {before}")
    answers = {visitors.status() for _visitor in range(3)}
    assert answers <= {202, 503, CUT if unit == "password-reset-web" else 503}
    took = waits_for(
        lambda: main_process(installed, unit) not in {0, before}, 60, f"{unit} again"
    )
    took += installed.seconds_until_healthy(60)
    print(f"{unit} killed: healthy after {took:.1f} s")
    assert took < 30
    assert waits_for(lambda: visitors.ask().status_code == 202, 30) < 10
    assert_nothing_accepted_is_lost(visitors)


def test_a_killed_site_comes_back_and_newcomers_wait_for_it(installed: Site) -> None:
    with load(installed) as visitors:
        time.sleep(2)
        installed.run("systemctl kill --signal=KILL password-reset-web")
        time.sleep(10)
    print(f"killed: {visitors.answers}, slowest {visitors.slowest():.2f} s")
    assert installed.seconds_until_healthy() < 30
    # What it was answering at that moment: no more than its threads.
    assert visitors.failed <= 48


# Alerts, without the minutes that they wait, to the mailbox of the operators.


@pytest.fixture(scope="module")
def impatient(installed: Site) -> Iterator[Site]:
    rules, manager = "/etc/prometheus/rules.yml", "/etc/prometheus/alertmanager.yml"
    reload = "systemctl reload prometheus prometheus-alertmanager"
    installed.run(f"""set -e
        cp -a {rules} {rules}.kept; cp -a {manager} {manager}.kept
        sed -i -E 's/for: [0-9]+[mh]$/for: 0s/' {rules}
        sed -i -e /group_interval/d -e 's/group_wait: .*/group_wait: 1s\\n  group_interval: 1s/' {manager}
        {reload}""")
    yield installed
    installed.run(f"mv {rules}.kept {rules}; mv {manager}.kept {manager}; {reload}")


def firing(site: Site) -> set[str]:
    alerts = prometheus(site, "alerts")["alerts"]
    return {a["labels"]["alertname"] for a in alerts if a["state"] == "firing"}


def told(site: Site, alert: str) -> bool:
    """Return whether the operators have an email about it."""
    return any(
        "operators@site.test" in mail.recipients
        and re.match(rf"\[FIRING:\d+\] {alert}\b", mail.message["Subject"])
        for mail in site.mail.deliveries
    )


def assert_told(site: Site, alert: str) -> None:
    waits_for(lambda: alert in firing(site), 120, f"{alert} fires")
    waits_for(lambda: told(site, alert), 60, f"an email about {alert}")


# A full disk.


@contextmanager
def small_disk(site: Site, folder: str, room: int, *units: str) -> Iterator[str]:
    """A file system under a folder that has so many megabytes of room, and its content."""
    used = int(site.run(f"du --summarize --block-size=1M {folder}").stdout.split()[0])
    place = f"/srv/small-{uuid4().hex[:6]}"
    stop, start = (
        f"systemctl {verb} {' '.join(units)}" if units else "true"
        for verb in ("stop", "start")
    )
    site.run(f"""set -e
        mkdir {place}; mount -t tmpfs -o size={used + room}m small {place}
        {stop}; cp -a {folder}/. {place}; mount --bind {place} {folder}; {start}""")
    try:
        yield place
    finally:
        site.run(f"""set -e
            rm -f {place}/filler; {stop}; umount --lazy {folder}
            find {folder} -mindepth 1 -delete; cp -a {place}/. {folder}
            umount --lazy {place}; rmdir {place}; systemctl reset-failed; {start}""")


def fill(site: Site, place: str) -> None:
    site.run(f"cat /dev/zero > {place}/filler 2> /dev/null; true")


def free(site: Site, place: str) -> None:
    site.run(f"rm {place}/filler")


@pytest.fixture
def small_database(impatient: Site) -> Iterator[str]:
    with small_disk(
        impatient, f"/var/lib/postgresql/{CLUSTER}", 40, POSTGRESQL
    ) as place:
        impatient.seconds_until_healthy(60)
        yield place


def test_a_database_without_room_refuses_with_a_word_and_loses_nothing(
    impatient: Site, visitors: Visitors, small_database: str
) -> None:
    fill(impatient, small_database)
    answers = [visitors.ask()]
    while answers[-1].status_code == 202 and len(answers) < 1000:
        answers.append(visitors.ask())
    refused = answers[-1]
    print(f"full: {len(visitors.accepted)} accepted, then {refused.status_code}")
    assert {answer.status_code for answer in answers} <= {202, 503}
    assert refused.status_code == 503
    assert refused.json()["code"] == "unavailable"
    assert int(refused.headers["Retry-After"]) > 0
    assert max(answer.elapsed for answer in answers) < timedelta(seconds=3)
    # What only reads goes on, and the page says what is wrong.
    assert impatient.ask("/forgot-password").status_code == 200
    assert impatient.ask("/health/live").status_code == 200
    print(f"/health: {impatient.ask('/health').text}")
    assert impatient.health() in {200, 503}
    assert_told(impatient, "PasswordResetDiskFills")
    # (It may have been told before: a killed database is one, too.)
    waits_for(lambda: "PasswordResetDatabaseErrors" in firing(impatient), 120, "fires")
    free(impatient, small_database)
    again = waits_for(lambda: visitors.ask().status_code == 202, 30, "accepted again")
    settled = assert_nothing_accepted_is_lost(visitors)
    print(f"room: accepted after {again:.1f} s, all settled {settled:.1f} s later")
    waits_for(
        lambda: "PasswordResetDiskFills" not in firing(impatient), 120, "resolved"
    )


def test_a_database_that_a_full_disk_has_stopped_starts_once_there_is_room(
    impatient: Site, visitors: Visitors, small_database: str
) -> None:
    for _visitor in range(5):
        assert visitors.ask().status_code == 202
    # A first session of a database writes a file by itself.
    impatient.sql("SELECT 1")
    fill(impatient, small_database)
    change = "SELECT pg_logical_emit_message(false, '', ''); SELECT pg_switch_wal()"
    script = (
        f"for n in $(seq 12); do psql -Xqd yourapp_db -c {shlex.quote(change)}; done"
    )
    impatient.run(script, user="postgres", check=False)
    waits_for(lambda: impatient.health() == 503, 60, "PostgreSQL stops")
    answers = [visitors.ask() for _visitor in range(5)]
    assert {answer.status_code for answer in answers} == {503}
    assert max(answer.elapsed for answer in answers) < timedelta(seconds=2.5)
    page = impatient.ask(f"/reset-password?token={'ab' * 32}")
    assert (page.status_code, "<html" in page.text) == (503, True)
    assert int(page.headers["Retry-After"]) > 0
    assert impatient.ask("/health/live").status_code == 200
    time.sleep(20)  # longer than systemd would try by itself
    free(impatient, small_database)
    took = impatient.seconds_until_healthy(60)
    print(f"stopped by a full disk: healthy {took:.1f} s after there was room")
    assert took < 15
    assert_nothing_accepted_is_lost(visitors)


@pytest.fixture
def small_logs(impatient: Site) -> Iterator[tuple[str, str]]:
    site = ("password-reset-web", "password-reset-worker")
    metrics = "/var/lib/password-reset"
    with (
        small_disk(impatient, metrics, 1, *site) as counters,
        small_disk(impatient, "/var/log/nginx", 1, "nginx") as logs,
    ):
        yield counters, logs


def test_without_room_for_counters_and_logs_the_site_serves_and_sends(
    impatient: Site, visitors: Visitors, small_logs: tuple[str, str]
) -> None:
    services = "password-reset-web password-reset-worker"
    impatient.run(f"systemctl stop {services}; rm -f {small_logs[0]}/metrics/*.db")
    for place in small_logs:
        fill(impatient, place)
    impatient.run(f"systemctl start {services}")
    impatient.seconds_until_healthy(60)
    for _visitor in range(5):
        assert visitors.ask().status_code == 202
    assert_nothing_accepted_is_lost(visitors)
    with load(impatient) as crowd:
        time.sleep(5)
    assert crowd.failed == 0, crowd.answers
    token = "$(. /etc/password-reset/env; echo $METRICS_TOKEN)"
    page = f'curl -fsS -H "Authorization: Bearer {token}" http://127.0.0.1:8000/metrics'
    impatient.run(page)
    assert_told(impatient, "PasswordResetDiskFills")
    for place in small_logs:
        free(impatient, place)
    impatient.run(f"systemctl restart {services}")
    impatient.seconds_until_healthy(60)
    visitors.ask()
    assert "password_reset_requests_total" in impatient.run(page).stdout
    impatient.ask("/forgot-password")
    assert (
        "forgot-password" in impatient.run("tail -n 5 /var/log/nginx/access.log").stdout
    )


def test_a_backup_without_room_leaves_none_that_is_half(installed: Site) -> None:
    folder = "/var/backups/password-reset"
    with small_disk(installed, folder, 1) as place:
        before = installed.run(f"ls {folder}").stdout
        fill(installed, place)
        failed = installed.run(
            "systemctl start password-reset-backup.service", check=False
        )
        assert failed.returncode != 0
        after = installed.run(f"rm {place}/filler; ls {folder}").stdout
        assert after == before
    installed.run("systemctl start password-reset-backup.service")


# A certificate.


def certificate(folder: Path, ends: datetime) -> None:
    """Write a certificate of localhost that ends at a moment, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder(
            name, name, key.public_key(), x509.random_serial_number()
        )
        .not_valid_before(ends - timedelta(days=90))
        .not_valid_after(ends)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    (folder / "site.pem").write_bytes(made.public_bytes(encoding))
    private = key.private_bytes(
        encoding,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "site.key").write_bytes(private)


@pytest.fixture(params=[-2, 5], ids=["ended", "ends soon"])
def days_left(
    impatient: Site, request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[int]:
    """nginx serves a certificate that ends in so many days."""
    take = "systemctl reload nginx; sleep 2; systemctl start password-reset-measure"
    certificate(tmp_path, datetime.now(UTC) + timedelta(days=request.param))
    impatient.run("cp -a /etc/tls /etc/tls.kept")
    for name in ("site.pem", "site.key"):
        impatient.machine.write(
            f"/etc/tls/{name}", (tmp_path / name).read_text(), 0o600
        )
    impatient.mail.deliveries.clear()
    impatient.run(take)
    yield request.param
    impatient.run(f"cp -a /etc/tls.kept/. /etc/tls; rm -r /etc/tls.kept; {take}")
    alert = "PasswordResetCertificateEnds"
    waits_for(lambda: alert not in firing(impatient), 120, "resolved")


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
def test_the_end_of_a_certificate_is_measured_and_told_while_nginx_serves(
    impatient: Site, days_left: int
) -> None:
    """As nginx serves it, not as it lies on the disk."""
    lines = impatient.machine.read("/var/lib/password-reset-backup/password-reset.prom")
    found = re.search(r'timestamp_seconds{certificate="site"} (\d+)', lines)
    assert found
    assert abs(int(found[1]) - time.time() - days_left * 86_400) < 300
    url = f"{impatient.url}/forgot-password"
    assert requests.get(url, verify=False, timeout=30).status_code == 200
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(url, verify=str(impatient.nginx.ca), timeout=30)
    assert_told(impatient, "PasswordResetCertificateEnds")


# In the middle of a release.


@pytest.mark.parametrize(
    ("unit", "moment"),
    [
        (POSTGRESQL, "Migrating"),
        ("redis-server", "Starting"),
    ],
    ids=lambda value: value.partition("@")[0],
)
def test_a_server_that_restarts_in_a_release_leaves_one_version_that_works(
    installed: Site, visitors: Visitors, unit: str, moment: str
) -> None:
    before = installed.version()
    version = f"v2-{moment.partition(' ')[0].lower()}"
    sources = installed.other_sources(version)
    log = f"/opt/release-{version}.log"
    ended: list[int] = []

    def release() -> None:
        script = f"TRIES=5 PAUSE=2 deploy/release {version} {sources} > {log} 2>&1"
        ended.append(installed.type(script, check=False).returncode)

    def reaches(moment: str) -> None:
        seen = f"grep -q '^== {moment}' {log}"
        waits_for(lambda: installed.run(seen, check=False).returncode == 0, 300, moment)

    releasing = threading.Thread(target=release)
    releasing.start()
    reaches("Checking")
    with load(installed) as crowd:
        reaches(moment)
        installed.run(f"systemctl restart {unit}")
        for _visitor in range(10):
            visitors.ask()
        releasing.join()
    output = installed.machine.read(log)
    print(f"{unit} at {moment}: {crowd.answers}, {output.splitlines()[-1]}")
    assert installed.version() == (version if ended == [0] else before), output
    # Everybody got an answer, and while a server was away one that says so.
    assert {what for what in crowd.answers if what >= "5"} <= {"503"}, crowd.answers
    assert installed.seconds_until_healthy() < 10
    installed.type(f"deploy/release {version} {sources}")
    assert installed.version() == version
    assert_nothing_accepted_is_lost(visitors)
