"""Each alert, fired by what it is for: servers that stop, mail that is refused, jobs
that do not run, certificates that end. Prometheus reads the whole site as an installed
one does; only minutes are seconds (`tests/kit/monitoring.py`).
"""

import base64
import json
import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
import time_machine
import yaml

from tests.kit.monitoring import RULES, Watch
from tests.kit.visitor import Visitor
from tests.tools.servers import wait_until
from tests.tools.webmail import AmazonSes

#: Where a disk of the server is filled.
OUTAGES = Path(__file__).parent.parent / "server" / "test_outages.py"

pytestmark = pytest.mark.alerts

#: What the fixture `watch` has seen of a site on which no job ever ran, and of one on
#: which the jobs have stopped.
BEFORE_THE_FIRST_NIGHT = {
    "PasswordResetPurgeNeverRan",
    "PasswordResetSweepNeverRan",
    "PasswordResetBackupMissing",
    "PasswordResetCertificateUnknown",
}
AFTER_THE_LAST_NIGHT = {"PasswordResetPurgeNotRun", "PasswordResetSweepStopped"}
LINK = f"/reset-password?token={'0' * 64}"
WEBHOOK = "mail:a-long-and-random-secret"


@pytest.fixture(scope="module")
def watch() -> Iterator[Watch]:
    """The site under watch, on which jobs never ran, then long ago, then just now."""
    watch = Watch()
    try:
        watch.start()
        watch.wait_for(*BEFORE_THE_FIRST_NIGHT)
        watch.at_first = watch.prometheus.firing()
        watch.back_up()
        watch.measure()
        manage_at(watch, time.time() - 27 * 3600, "purge_reset_tokens")
        manage_at(watch, time.time() - 20 * 60, "process_reset_requests")
        watch.wait_for(*AFTER_THE_LAST_NIGHT)
        watch.later = watch.prometheus.firing()
        watch.site.manage("purge_reset_tokens")
        watch.site.manage("process_reset_requests")
        watch.wait_for_silence()
        yield watch
    finally:
        watch.close()


def manage_at(watch: Watch, moment: float, *command: str) -> None:
    """Run a command as if it had run at another time."""
    code = (
        "import sys, time_machine; from django.core.management import execute_from_command_line as run\n"
        f"with time_machine.travel({moment}): run(['manage.py', *{list(command)}])"
    )
    packages = Path(time_machine.__file__).parent.parent
    script = f"DJANGO_SETTINGS_MODULE=project.settings python -c {shlex.quote(code)}"
    result = watch.site.shell(script, PYTHONPATH=str(packages))
    assert result.returncode == 0, result.stderr


@pytest.fixture(autouse=True)
def whole_again(request: pytest.FixtureRequest) -> Iterator[None]:
    """Start again what a test has stopped, as systemd would, and let mails pass."""
    yield
    if "watch" in request.fixturenames:
        watch: Watch = request.getfixturevalue("watch")
        watch.site.mail.replies.clear()
        for server in (*watch.site.running, watch.server):
            server.start()
        watch.site.wait_until_ready()


@pytest.fixture
def email(watch: Watch) -> str:
    """The address of an account that no other test uses."""
    return watch.site.accounts.pop()


def ask(watch: Watch, email: str) -> int:
    """Ask for a link as somebody who never asked before."""
    watch.site.forget_limits()
    return watch.site.visitor().ask_for_link(email).status_code


@contextmanager
def stopped(*servers: object) -> Iterator[None]:
    for server in servers:
        server.stop()
    try:
        yield
    finally:
        for server in servers:
            server.start()


@contextmanager
def other_environment(watch: Watch, **values: str) -> Iterator[None]:
    """Restart the site with other values of its environment, and back again."""
    site = watch.site
    before = site.environment_file.read_text()
    lines = [f"{name}={shlex.quote(value)}" for name, value in values.items()]
    try:
        site.environment_file.write_text("\n".join([before, *lines, ""]))
        restart(watch)
        yield
    finally:
        site.environment_file.write_text(before)
        restart(watch)


def restart(watch: Watch) -> None:
    with stopped(watch.site.worker, watch.site.web):
        pass
    watch.site.wait_until_ready()


def send_what_waits(watch: Watch) -> None:
    """As the timer does each minute, and without the pause after a failure."""
    rows(watch, "next_attempt_at = now()")
    # It exits with 1, which cron mails, where something has waited for long.
    result = watch.site.shell("python manage.py process_reset_requests")
    assert "processed" in result.stdout, result.stderr


def rows(watch: Watch, change: str, whose: str = "true") -> None:
    """Change the requests that wait: all of them, or those of one address."""
    query = f"UPDATE password_reset_requests SET {change} WHERE processed_at IS NULL AND failed_at IS NULL AND {whose}"
    assert watch.site.rows(f"{query} RETURNING id")


def make_older(watch: Watch, email: str, **by: str) -> None:
    """Let the request of an address wait for longer than it has."""
    changes = [f"{name} = now() {interval}" for name, interval in by.items()]
    rows(watch, ", ".join(changes), f"email = '{email}'")


def test_every_alert_has_its_cause() -> None:
    text = Path(__file__).read_text()
    groups = yaml.safe_load(RULES.read_text())["groups"]
    alerts = [rule["alert"] for group in groups for rule in group["rules"]]
    text += OUTAGES.read_text()
    assert [alert for alert in alerts if f'"{alert}"' not in text] == []


def test_a_site_whose_jobs_never_ran(watch: Watch) -> None:
    assert watch.at_first == BEFORE_THE_FIRST_NIGHT


def test_a_site_whose_jobs_have_stopped(watch: Watch) -> None:
    assert watch.later == AFTER_THE_LAST_NIGHT


def test_redis_is_away_and_visitors_are_refused(watch: Watch) -> None:
    alerts = ("PasswordResetRedisDown", "PasswordReset5xx")
    with watch.only(*alerts), stopped(watch.site.redis):
        watch.wait_for("PasswordResetRedisDown")  # nobody has visited yet
        visitor = watch.site.visitor()
        watch.wait_for(
            "PasswordReset5xx",
            doing=lambda: visitor.ask_for_link("nobody@example.org"),
        )


def test_postgresql_is_away_and_visitors_are_refused(watch: Watch) -> None:
    alerts = (
        "PasswordResetDatabaseDown",
        "PasswordResetDatabaseErrors",
        "PasswordReset5xx",
    )
    with watch.only(*alerts):
        with stopped(watch.site.database):
            watch.wait_for("PasswordResetDatabaseDown")  # nobody has visited yet
            visitor = watch.site.visitor()
            watch.wait_for(*alerts, doing=lambda: visitor.get(LINK))
        # It has ended without its database; systemd starts it again.
        watch.site.worker.start()


def test_the_operators_are_written_to_when_it_begins_and_when_it_ends(
    watch: Watch,
) -> None:
    alert = "PasswordResetRedisDown"
    begun, ended = f"[FIRING:1] {alert} (critical)", f"[RESOLVED] {alert} (critical)"
    before = watch.mails_about(alert).count(begun)
    with watch.only(alert), stopped(watch.site.redis):
        wait_until(
            lambda: watch.mails_about(alert).count(begun) > before,
            watch.alertmanager.log,
        )
        watch.wait_for(alert)
    wait_until(
        lambda: watch.mails_about(alert).count(ended) > before, watch.alertmanager.log
    )
    mail = watch.operators.deliveries[-1]
    assert mail.recipients == ("operators@site.test",)
    assert "redis-cli ping and info memory" in mail.html


def test_the_mail_server_refuses_for_the_moment(watch: Watch) -> None:
    people = iter(watch.site.accounts[:10] * 30)
    with watch.only("PasswordResetEmailFailures", "PasswordResetMailsFail"):
        watch.site.mail.replies["*"] = "451 4.3.0 Try again later"
        try:
            watch.wait_for(
                "PasswordResetEmailFailures",
                "PasswordResetMailsFail",
                doing=lambda: ask(watch, next(people)),
            )
        finally:
            watch.site.mail.replies.clear()
        send_what_waits(watch)


def test_the_first_email_that_is_given_up_counts(watch: Watch, email: str) -> None:
    # One failure within seconds is more than one in ten seconds, the guide's limit.
    beside = ("PasswordResetEmailFailures",)
    with watch.only("PasswordResetMailsGivenUp", beside=beside):
        watch.site.mail.replies[email] = "550 5.1.1 No such user"
        ask(watch, email)
        watch.wait_for("PasswordResetMailsGivenUp")


def test_no_worker_runs(watch: Watch, email: str) -> None:
    alerts = ("PasswordResetBacklogOld", "PasswordResetWorkerSilent")
    with watch.only(*alerts), stopped(watch.site.worker):
        ask(watch, email)
        make_older(watch, email, created_at="- interval '200 seconds'")
        watch.wait_for("PasswordResetBacklogOld")
        assert watch.prometheus.firing() == {"PasswordResetBacklogOld"}
        make_older(watch, email, created_at="- interval '400 seconds'")
        watch.wait_for("PasswordResetWorkerSilent")


def test_an_email_that_waits_for_its_next_attempt_is_no_backlog(
    watch: Watch, email: str
) -> None:
    """A mailbox may be full for hours, on a site that has nothing else to send."""
    beside = ("PasswordResetEmailFailures",)
    with watch.only(beside=beside):
        watch.site.mail.replies[email] = "452 4.2.2 Mailbox full"
        ask(watch, email)
        failed = f"SELECT 1 FROM password_reset_requests WHERE email = '{email}' AND last_error <> '' AND processed_at IS NULL"
        wait_until(lambda: watch.site.rows(failed) != [], watch.site.worker.full_log)
        ages = {
            "created_at": "- interval '3 hours'",
            "next_attempt_at": "+ interval '1 hour'",
        }
        make_older(watch, email, **ages)
        time.sleep(15)
        watch.site.mail.replies.clear()
        send_what_waits(watch)


def test_a_flood_of_requests(watch: Watch) -> None:
    """From many addresses: after a burst of twenty nginx refuses one by itself."""
    alerts = ("HighPasswordResetRateLimit", "PasswordResetUnusualRate")
    with watch.only(*alerts), ThreadPoolExecutor(4) as threads:

        def wave() -> None:
            visitors = [watch.site.visitor() for _ in range(4)]
            list(threads.map(flood, visitors))

        watch.wait_for(*alerts, doing=wave)


def flood(visitor: Visitor) -> None:
    for number in range(20):
        body = {"email": f"nobody-{number}@example.org"}
        visitor.post_json("/api/auth/request-password-reset", body)


def test_the_flow_is_switched_off(watch: Watch, email: str) -> None:
    """Its 503 are no fault of the site, nor are emails that wait."""
    with watch.only(beside=("PasswordResetSiteDown",)):
        watch.site.worker.stop()
        ask(watch, email)
        with other_environment(watch, FEATURE_PASSWORD_RESET="false"):
            make_older(watch, email, created_at="- interval '400 seconds'")
            look, until = watch.site.visitor(), time.monotonic() + 15
            while time.monotonic() < until:
                assert look.get("/forgot-password").status_code == 503
                time.sleep(0.2)
        send_what_waits(watch)


def test_the_site_is_down(watch: Watch) -> None:
    with watch.only("PasswordResetSiteDown"), stopped(watch.site.web):
        watch.wait_for("PasswordResetSiteDown")
        time.sleep(5)


def test_the_server_is_down(watch: Watch) -> None:
    with watch.only("PasswordResetServerDown"), stopped(watch.server):
        watch.wait_for("PasswordResetServerDown")
        time.sleep(5)


def test_the_newest_backup_is_of_the_night_before(watch: Watch) -> None:
    with watch.only("PasswordResetBackupOld"):
        yesterday = time.time() - 27 * 3600
        for dump in watch.backups.iterdir():
            os.utime(dump, (yesterday, yesterday))
        watch.measure()
        watch.wait_for("PasswordResetBackupOld")
        watch.back_up()
        watch.measure()


def test_the_certificate_ends_in_ten_days(watch: Watch) -> None:
    with watch.only("PasswordResetCertificateEnds"):
        with other_certificate(watch, days=10):
            watch.wait_for("PasswordResetCertificateEnds", doing=watch.measure)
        watch.wait_for(doing=watch.measure)


def test_nginx_shows_no_certificate(watch: Watch) -> None:
    with watch.only("PasswordResetCertificateUnknown"):
        with stopped(watch.site.nginx):
            watch.measure()
            watch.wait_for("PasswordResetCertificateUnknown")
        watch.measure()


@contextmanager
def other_certificate(watch: Watch, days: int) -> Iterator[None]:
    """Let nginx show a certificate that ends soon, then the one from before."""
    nginx = watch.site.nginx
    files = [nginx.folder / "site.pem", nginx.folder / "site.key"]
    kept = [file.read_bytes() for file in files]
    certificate, key = files
    subprocess.run(
        f"openssl req -x509 -newkey rsa:2048 -noenc -subj /CN=localhost -days {days} "
        f"-out {certificate} -keyout {key}",
        shell=True,
        check=True,
        stderr=subprocess.DEVNULL,
    )
    with stopped(nginx):
        pass
    try:
        yield
    finally:
        for file, content in zip(files, kept, strict=True):
            file.write_bytes(content)
        with stopped(nginx):
            pass


@pytest.fixture
def amazon(watch: Watch) -> Iterator[AmazonSes]:
    """The site, sending through Amazon SES."""
    provider = AmazonSes()
    watch.wait_for_silence()
    values = {
        "EMAIL_PROVIDER": "ses",
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": provider.key,
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_ENDPOINT_URL": provider.url,
        "ANYMAIL_WEBHOOK_SECRET": WEBHOOK,
    }
    try:
        with other_environment(watch, **values):
            yield provider
    finally:
        provider.close()


def test_emails_come_back_and_readers_complain(watch: Watch, amazon: AmazonSes) -> None:
    for number in range(12):
        ask(watch, f"person-{number}@example.org")
    query = "SELECT message_id, email FROM password_reset_deliveries WHERE message_id LIKE 'ses-%'"
    wait_until(lambda: len(watch.site.rows(query)) == 12, watch.site.worker.full_log)
    alerts = ("PasswordResetEmailsBounce", "PasswordResetComplaints")
    with watch.only(*alerts):
        sent = watch.site.rows(query)
        why = {"bounceType": "Permanent", "bounceSubType": "General"}
        for message_id, person in sent:
            who = {"bouncedRecipients": [{"emailAddress": person, "status": "5.1.1"}]}
            report(watch, message_id, person, "bounce", {**why, **who})
        for message_id, person in sent[:5]:
            who = {"complainedRecipients": [{"emailAddress": person}]}
            report(watch, message_id, person, "complaint", who)
        watch.wait_for(*alerts)


def report(
    watch: Watch,
    message_id: object,
    person: object,
    kind: str,
    event: dict[str, object],
) -> None:
    """Post what Amazon's topic posts of an email."""
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    mail = {"messageId": message_id, "destination": [person], "timestamp": now}
    message = {
        "eventType": kind.capitalize(),
        "mail": mail,
        kind: {**event, "timestamp": now},
    }
    identity = f"{kind}-{message_id}"
    body = {
        "Type": "Notification",
        "MessageId": identity,
        "TopicArn": "arn:aws:sns:eu-central-1:123456789012:mail",
        "Message": json.dumps(message),
        "Timestamp": now,
    }
    secret = base64.b64encode(WEBHOOK.encode()).decode()
    answer = watch.site.visitor().session.post(
        f"{watch.site.url}/anymail/amazon_ses/tracking/",
        data=json.dumps(body),
        headers={
            "Authorization": f"Basic {secret}",
            "X-Amz-Sns-Message-Type": "Notification",
            "X-Amz-Sns-Message-Id": identity,
            "Content-Type": "text/plain; charset=UTF-8",
        },
        verify=str(watch.site.nginx.ca),
        timeout=20,
    )
    assert answer.status_code == 200, answer.text
