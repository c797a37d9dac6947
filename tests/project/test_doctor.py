"""`manage.py doctor`, on the demo as it is deployed: well, and with one fault after the
other.
"""

import json
import secrets
import threading
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from django.core import signing
from django.db import connection
from django.test import Client
from django.utils import timezone

from password_reset.campaigns import ForcedPasswordReset, PasswordResetCampaign
from password_reset.doctor import examination, findings
from password_reset.doctor.upkeep import judge_clocks
from password_reset.doctor.web import SALT
from password_reset.models import PasswordResetRequest, PasswordResetToken
from tests.tools.certificates import Authority
from tests.tools.front import PROXY, Front
from tests.tools.servers import ask_redis, free_port

pytestmark = pytest.mark.django_db(transaction=True)

GOOD, WARNED, FAULTY = 0, 1, 2


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"), days=90)


class Site:
    """The demo's processes behind a proxy with TLS."""

    def __init__(self, processes, front, smtp_server, authority):
        self.processes, self.front = processes, front
        self.environment = {
            **smtp_server.environment,
            "DJANGO_SETTINGS_MODULE": "tests.doctor_settings",
            "ENVIRONMENT": "production",
            "API_URL": front.url,
            "WEB_URL": front.url,
            "DATABASE_SSL": "false",
            "SESSION_SECRET": secrets.token_hex(32),
            "METRICS_TOKEN": secrets.token_hex(16),
            "SMTP_FROM": "noreply@site.test",
            "SUPPORT_EMAIL": "help@site.test",
            "TRUSTED_PROXIES": PROXY,
            "SSL_CERT_FILE": str(authority.path),
        }

    def serve(self, **environment):
        site = self.processes.gunicorn(workers=1, **self.environment | environment)
        self.front.site = urlsplit(site.url).port
        return self

    def work(self, **environment):
        self.worker = self.processes.db_worker(**self.environment | environment)
        return self

    def examine(self, *options, **environment):
        """Return the exit code and what is not well, by check."""
        process = self.processes.manage(
            "doctor", "--json", "--wait=8", *options, **self.environment | environment
        )
        code = process.wait(90)
        self.found = json.loads(process.log[process.log.index("[") :])
        bad = [one for one in self.found if one["level"] in {"warning", "fault"}]
        return code, {one["check"]: one for one in bad}


@pytest.fixture
def site(processes, smtp_server, authority):
    front = Front(authority.issue("127.0.0.1"))
    yield Site(processes, front, smtp_server, authority)
    front.close()


@pytest.fixture
def deployed(site):
    """The whole of it, running."""
    return site.serve().work()


def rows():
    return PasswordResetRequest.objects.count()


def names(found):
    return {one["check"] for one in found}


def test_as_it_is_deployed_all_is_well(deployed, smtp_server):
    code, bad = deployed.examine()
    assert (bad, code) == ({}, GOOD)
    good = {one["check"] for one in deployed.found if one["level"] == "good"}
    assert good >= {
        "settings",
        "database",
        "index",
        "cache",
        "eviction",
        "web",
        "link",
        "https",
        "headers",
        "cookies",
        "proxies",
        "time zone",
        "cron",
        "queue",
        "campaigns",
        "worker",
        "clocks",
        "mail",
    }
    assert (rows(), smtp_server.deliveries) == (0, [])


def test_a_test_email_leaves_for_whoever_is_named(deployed, smtp_server):
    code, _bad = deployed.examine("--to=postmaster@site.test")
    (delivery,) = smtp_server.deliveries
    assert (code, list(delivery.recipients)) == (GOOD, ["postmaster@site.test"])


def test_for_people_each_thing_is_one_line(deployed):
    process = deployed.processes.manage("doctor", **deployed.environment)
    assert process.wait(90) == GOOD
    lines = [line for line in process.log.splitlines() if line[:3] in {"ok ", "not"}]
    assert len(lines) >= 17


def is_named(bad, check, words, remedy, level="fault"):
    one = bad[check]
    assert words in one["text"]
    assert remedy in one["remedy"]
    assert one["level"] == level


def test_a_certificate_that_ends_soon_is_named(processes, smtp_server, tmp_path):
    authority = Authority(tmp_path, days=3)
    front = Front(authority.issue("127.0.0.1"))
    site = Site(processes, front, smtp_server, authority).serve().work()
    code, bad = site.examine()
    front.close()
    assert (code, set(bad)) == (WARNED, {"https"})
    is_named(bad, "https", "The certificate ends", "Renew it", "warning")


@pytest.mark.urls("password_reset.api_urls")
def test_of_a_site_with_its_own_pages_the_rest_is_examined(settings, smtp_server):
    page = f"http://127.0.0.1:{free_port()}/reset#t={{token}}"
    settings.PASSWORD_RESET_LINK_TEMPLATE = page
    found = list(
        examination.examine(findings.Patient(settings.PASSWORD_RESET_BASE_URL))
    )
    assert dict(found)["web"].level is findings.Level.NOTE
    assert not {"headers", "cookies", "proxies"} & {name for name, _one in found}
    assert dict(found)["worker"].level is findings.Level.GOOD


class TestFaults:
    """One by one, each with its remedy; the row of the examination never stays."""

    @pytest.fixture(autouse=True)
    def nothing_stays(self, transactional_db):
        yield
        left = PasswordResetRequest.objects.filter(email__endswith="doctor.invalid")
        assert not left.exists()

    def test_no_worker_runs(self, site):
        code, bad = site.serve().examine()
        assert (code, set(bad)) == (FAULTY, {"worker"})
        is_named(bad, "worker", "No worker", "Start the worker")

    def test_no_mail_server_answers(self, deployed):
        code, bad = deployed.examine(SMTP_PORT=str(free_port()))
        assert (code, set(bad)) == (FAULTY, {"mail"})
        is_named(bad, "mail", "ConnectionRefusedError", "Start the mail server")

    def test_the_mail_server_refuses_the_sender_s_mail(self, deployed, smtp_server):
        smtp_server.replies["noreply@site.test"] = "554 5.7.1 relay denied"
        code, bad = deployed.examine()
        assert (code, set(bad)) == (FAULTY, {"mail"})
        is_named(bad, "mail", "SMTPRecipientsRefused 554 5.7.1", "Let the mail server")

    def test_redis_is_down(self, deployed):
        code, bad = deployed.examine(REDIS_URL=f"redis://127.0.0.1:{free_port()}")
        assert (code, set(bad)) == (FAULTY, {"cache"})
        is_named(bad, "cache", "nobody may ask", "Start what CACHES")

    def test_redis_throws_counters_away(self, deployed, own_redis):
        ask_redis(own_redis.url, "CONFIG SET maxmemory 100mb")
        ask_redis(own_redis.url, "CONFIG SET maxmemory-policy allkeys-lru")
        code, bad = deployed.examine(REDIS_URL=own_redis.url)
        assert (code, set(bad)) == (FAULTY, {"eviction"})
        is_named(bad, "eviction", "allkeys-lru", "noeviction")

    def test_a_migration_is_missing(self, deployed):
        name = "0013_admin_filters"
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM django_migrations WHERE name = %s", [name])
        try:
            code, bad = deployed.examine()
        finally:
            with connection.cursor() as cursor:
                cursor.execute(
                    "INSERT INTO django_migrations (app, name, applied)"
                    " VALUES ('password_reset', %s, now())",
                    [name],
                )
        assert (code, set(bad)) == (FAULTY, {"database"})
        is_named(bad, "database", name, "manage.py migrate")

    def test_the_index_is_missing(self, deployed):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT indexname, indexdef FROM pg_indexes"
                " WHERE tablename = 'users' AND indexdef ILIKE '%upper(%'"
            )
            ((index, definition),) = cursor.fetchall()
            cursor.execute(f"DROP INDEX {index}")
            try:
                code, bad = deployed.examine()
            finally:
                cursor.execute(definition)
        assert (code, set(bad)) == (WARNED, {"index"})
        is_named(bad, "index", "no index", "CREATE INDEX", "warning")

    def test_the_database_is_down(self, deployed):
        url = f"postgres://nobody@127.0.0.1:{free_port()}/nothing"
        code, bad = deployed.examine(DATABASE_URL=url)
        assert (code, set(bad)) == (FAULTY, {"database"})
        is_named(bad, "database", "cannot be used", "Start it")

    def test_the_site_does_not_answer(self, deployed):
        url = f"https://127.0.0.1:{free_port()}"
        code, bad = deployed.examine(WEB_URL=url, API_URL=url)
        assert (code, set(bad)) == (FAULTY, {"web", "link"})
        is_named(bad, "link", "No link opens", "Start what answers")

    def test_the_certificate_is_of_nobody_who_is_trusted(self, deployed, tmp_path):
        stranger = str(Authority(tmp_path).path)
        code, bad = deployed.examine(SSL_CERT_FILE=stranger)
        assert (code, set(bad)) == (FAULTY, {"web", "link"})
        is_named(bad, "web", "its certificate is refused", "Start the web processes")

    def test_the_web_process_has_another_secret(self, site):
        site.serve(SESSION_SECRET=secrets.token_hex(32)).work()
        code, bad = site.examine()
        assert (code, set(bad)) == (FAULTY, {"web"})
        is_named(bad, "web", "another SECRET_KEY", "compare")

    def test_the_proxy_is_not_named(self, site):
        """Its address alone is seen, so HTTPS is not believed either."""
        site.environment["TRUSTED_PROXIES"] = "10.9.9.9"
        code, bad = site.serve().work().examine()
        assert (code, set(bad)) == (FAULTY, {"proxies"})
        is_named(bad, "proxies", "all of them share", f"Add {PROXY}")

    def test_the_proxy_believes_whoever_names_an_address(self, deployed):
        deployed.front.believes = True
        code, bad = deployed.examine()
        assert (code, set(bad)) == (FAULTY, {"proxies"})
        is_named(bad, "proxies", "believes whoever", "write X-Forwarded-For anew")

    @pytest.mark.parametrize(
        ("header", "level", "code"),
        [
            ("Referrer-Policy", "fault", FAULTY),
            ("Strict-Transport-Security", "warning", WARNED),
        ],
    )
    def test_the_proxy_takes_a_header_away(self, deployed, header, level, code):
        deployed.front.removes = {header}
        found, bad = deployed.examine()
        assert (found, set(bad)) == (code, {"headers"})
        is_named(bad, "headers", header, "Let no proxy remove", level)

    def test_the_proxy_hides_that_visitors_come_encrypted(self, deployed):
        deployed.front.extra = {"X-Forwarded-Proto": "http"}
        code, bad = deployed.examine()
        assert code == FAULTY
        assert "it redirects to https" in bad["web"]["text"]

    def test_emails_wait(self, site):
        hour = timezone.now() - timedelta(hours=1)
        PasswordResetRequest.objects.create(email="a@site.test", created_at=hour)
        code, bad = site.serve().examine()
        assert (code, set(bad)) == (FAULTY, {"queue", "worker"})
        is_named(bad, "queue", "1 emails are due, the oldest since 60", "more of them")

    def test_nobody_sends_the_emails_of_a_campaign(self, site, user):
        hour = timezone.now() - timedelta(hours=1)
        began = {"created_at": hour, "completed_at": hour, "next_slot_at": hour}
        campaign = PasswordResetCampaign.objects.create(
            kind="forced", selection="all", **began
        )
        ForcedPasswordReset.objects.create(
            campaign=campaign, user=user, email="a@site.test", forced_at=hour
        )
        code, bad = site.serve().examine()
        assert (code, set(bad)) == (FAULTY, {"campaigns", "worker"})
        is_named(bad, "campaigns", "no worker has sent one for 60", "Start the worker")

    def test_an_email_of_a_campaign_that_is_tried_again_is_no_fault(
        self, deployed, user
    ):
        now = timezone.now()
        hour = now - timedelta(hours=1)
        began = {"created_at": hour, "completed_at": hour, "next_slot_at": hour}
        campaign = PasswordResetCampaign.objects.create(
            kind="forced", selection="all", **began
        )
        ForcedPasswordReset.objects.create(
            campaign=campaign,
            user=user,
            email="a@site.test",
            forced_at=hour,
            attempts=3,
            next_attempt_at=now + timedelta(minutes=10),
        )
        assert deployed.examine() == (0, {})

    def test_a_campaign_has_left_somebody_out(self, deployed):
        campaign = PasswordResetCampaign.objects.create(
            kind="forced",
            selection="all",
            created_at=timezone.now() - timedelta(hours=2),
        )
        code, bad = deployed.examine()
        assert (code, set(bad)) == (WARNED, {"campaigns"})
        resume = f"force_password_reset --resume {campaign.pk}"
        is_named(bad, "campaigns", "not dealt with", resume, "warning")

    def test_nobody_purges(self, deployed, user):
        old = timezone.now() - timedelta(days=3)
        PasswordResetToken.objects.create(
            user=user, token_hash="a" * 64, created_at=old, expires_at=old
        )
        code, bad = deployed.examine()
        assert (code, set(bad)) == (FAULTY, {"cron"})
        is_named(bad, "cron", "clean-up has not run", "purge_reset_tokens each night")

    def test_nobody_tries_again(self, site):
        late = timezone.now() - timedelta(minutes=4)
        PasswordResetRequest.objects.create(
            email="a@site.test", attempts=1, next_attempt_at=late, last_error="x"
        )
        code, bad = site.serve().examine()
        assert (code, set(bad)) == (FAULTY, {"cron", "worker"})
        is_named(bad, "cron", "tried again", "process_reset_requests each minute")

    def test_the_flow_is_switched_off(self, site):
        site.environment["FEATURE_PASSWORD_RESET"] = "false"
        code, bad = site.serve().examine()
        assert code == FAULTY
        is_named(bad, "web", "switched off", "PASSWORD_RESET_ENABLED", "warning")
        assert "503" in bad["link"]["text"]


@pytest.mark.parametrize(
    ("skew", "level", "words"),
    [
        (0.4, "GOOD", "agree"),
        (-4.0, "GOOD", "agree"),
        (7.0, "WARNING", "7 s ahead of"),
        (-90.0, "FAULT", "90 s behind"),
    ],
)
def test_clocks_are_judged_by_what_their_difference_does(skew, level, words):
    (found,) = judge_clocks({"the database": skew})
    assert found.level.name == level
    assert words in found.text
    assert level == "GOOD" or "NTP" in found.remedy


def test_what_hangs_is_a_fault_and_ends(monkeypatch):
    held = threading.Event()
    monkeypatch.setattr(examination, "LONGEST", 0.2)
    (found,) = examination._bounded(
        lambda patient: held.wait(30) and [], findings.Patient("", wait=0.1)
    )
    held.set()
    assert (found.level.name, found.text) == ("FAULT", "It does not end.")


def test_what_breaks_is_a_fault_and_no_traceback():
    def breaks(patient):
        raise OSError("disk on fire")

    (found,) = examination._bounded(breaks, findings.Patient(""))
    assert "OSError: disk on fire" in found.text


@pytest.mark.parametrize("question", ["", "x", "eyJ3YWtlIjoxfQ:1tQ:x", "\u2603"])
def test_the_page_that_the_doctor_asks_is_there_for_nobody_else(question):
    assert Client().get("/forgot-password/doctor", {"q": question}).status_code == 404


def test_a_question_is_answered_for_five_minutes():
    question = signing.dumps({"wake": None}, salt=SALT)
    with time_machine.travel(timezone.now() + timedelta(minutes=6)):
        late = Client().get("/forgot-password/doctor", {"q": question})
    assert late.status_code == 404
    response = Client().get("/forgot-password/doctor", {"q": question})
    assert response.json()["address"] == "127.0.0.1"
