"""Promises whose first test calls our own functions, kept here by the site as it runs:
HTTP, mailbox and database, with processes that end and start again.
"""

import os
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import psycopg
import pytest
import redis
import requests
from django.contrib.auth import authenticate, get_user_model
from django.db import transaction
from django.utils import timezone
from rest_framework.authtoken.models import Token
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken
from rest_framework_simplejwt.tokens import RefreshToken

from password_reset.models import PasswordResetToken
from tests.flow.test_race import CHANGES
from tests.tools.factories import NEW_PASSWORD, OLD_PASSWORD, UserFactory
from tests.tools.people import Person
from tests.tools.processes import database_url
from tests.tools.servers import wait_until
from tests.tools.threads import at_once
from tests.tools.walk import token_in
from tests.tools.webmail import AmazonSes, SendGrid

pytestmark = pytest.mark.django_db(transaction=True)

#: Many visitors, each of a network of their own, behind one proxy.
PROXIED = {"TRUSTED_PROXIES": "127.0.0.1"}
SECRETS = [letter * 8 + "0123456789" * 4 for letter in "abc"]


def post(site, endpoint, visitor=1, **body):
    return requests.post(
        f"{site.url}/api/auth/{endpoint}",
        json=body,
        headers={"X-Forwarded-For": f"203.0.{visitor // 250}.{visitor % 250 + 1}"},
        timeout=60,
    )


def spend(site, raw, password=NEW_PASSWORD, visitor=1):
    return post(site, "reset-password", visitor, token=raw, password=password)


class Mailbox:
    """The test's mail server, and the cron job that sends what waits."""

    def __init__(self, smtp_server, processes):
        self.server, self.processes = smtp_server, processes
        self.environment = smtp_server.environment | PROXIED

    def link_for(self, site, email, **environment):
        """Ask for a link and return the token of the mail."""
        return self.links_for(site, [email], **environment)[0]

    def links_for(self, site, emails, **environment):
        """Ask for links, each as another visitor; return the tokens in that order."""
        for visitor, email in enumerate(emails):
            answer = post(site, "request-password-reset", visitor, email=email)
            assert answer.status_code == 202
        self.send(**environment)
        mails = self.server.wait_for(len(emails), 60)
        texts = {mail.recipients[0]: mail.text for mail in mails}
        return [token_in(texts[email]) for email in emails]

    def send(self, **environment):
        command = self.processes.manage(
            "process_reset_requests", **(self.environment | environment)
        )
        assert command.wait(60) == 0, command.log


@pytest.fixture
def mailbox(smtp_server, processes):
    return Mailbox(smtp_server, processes)


def serve(processes, mailbox, **environment):
    return processes.gunicorn(
        workers=2,
        options=("--threads", "8"),
        **mailbox.environment | environment,
    )


def test_a_spent_link_stays_dead_after_purge_flush_and_restart(
    processes, mailbox, user
):
    site = serve(processes, mailbox)
    raw = mailbox.link_for(site, user.email)
    assert spend(site, raw).status_code == 200
    assert spend(site, raw, "a-third-pass-phrase").status_code == 410
    site.stop()
    assert processes.manage("purge_reset_tokens").wait(60) == 0
    redis.Redis.from_url(os.environ["REDIS_URL"]).flushdb()
    again = serve(processes, mailbox)
    assert spend(again, raw, "a-third-pass-phrase").status_code == 404
    assert Person(again.url).log_in(user.email, NEW_PASSWORD)


SQLITE_SITE = """
from project.models import User
User.objects.create_user("ada@example.com", "only-the-old-one-knows")
"""


@pytest.mark.parametrize("database", ["the test's own", "SQLite"])
def test_of_fifty_visitors_with_one_link_one_sets_their_password(
    processes, mailbox, tmp_path, database
):
    if database == "SQLite":
        mailbox.environment["DATABASE_URL"] = f"sqlite:///{tmp_path}/site.sqlite3"
        for command in (["migrate", "--verbosity", "0"], ["shell", "-c", SQLITE_SITE]):
            made = processes.manage(*command, **mailbox.environment)
            assert made.wait(120) == 0, made.log
    else:
        UserFactory(email="ada@example.com")
    site = serve(processes, mailbox)
    raw = mailbox.link_for(site, "ada@example.com")
    passwords = [f"pass-phrase-number-{number}" for number in range(50)]
    answers = at_once(
        [partial(spend, site, raw, word, n) for n, word in enumerate(passwords)]
    )
    statuses = [answer.status_code for answer in answers]
    assert statuses.count(200) == 1
    # Attempts with one link are counted, from wherever they come.
    assert set(statuses) <= {200, 410, 429}
    winner = passwords[statuses.index(200)]
    assert Person(site.url).log_in("ada@example.com", winner)


PROVIDERS = {
    "sendgrid": (
        SendGrid,
        lambda server: {
            "SENDGRID_API_KEY": server.key,
            "SENDGRID_API_URL": f"{server.url}/v3/",
        },
    ),
    "ses": (
        AmazonSes,
        lambda server: {
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": server.key,
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_ENDPOINT_URL": server.url,
        },
    ),
}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_provider_is_asked_by_the_running_site_to_track_nothing(
    processes, mailbox, user, provider
):
    kind, variables = PROVIDERS[provider]
    server = kind()
    mailbox.environment |= {"EMAIL_PROVIDER": provider} | variables(server)
    site = serve(processes, mailbox)
    assert post(site, "request-password-reset", email=user.email).status_code == 202
    mailbox.send()
    server.close()
    [call], [mail] = server.calls, server.mails
    assert "ConfigurationSetName" not in call
    switches = call.get("tracking_settings", {})
    assert not any(switch["enable"] for switch in switches.values())
    assert len(switches) == (4 if provider == "sendgrid" else 0)
    assert (
        spend(site, token_in(mail.get_body(["plain"]).get_content())).status_code == 200
    )


@pytest.mark.parametrize(
    "engine", ["db", "cache", "cached_db", "file", "signed_cookies"]
)
def test_a_reset_ends_sessions_and_api_tokens_on_the_running_site(
    processes, mailbox, tmp_path, user, engine
):
    site = serve(
        processes,
        mailbox,
        SESSION_ENGINE=f"django.contrib.sessions.backends.{engine}",
        SESSION_FILE_PATH=str(tmp_path),
    )
    other = UserFactory()
    theirs, elsewhere, third = (Person(site.url) for _ in range(3))
    assert theirs.log_in(user.email, OLD_PASSWORD)
    assert elsewhere.log_in(user.email, OLD_PASSWORD)
    assert third.log_in(other.email, OLD_PASSWORD)
    Token.objects.create(user=user)
    RefreshToken.for_user(user)
    answer = spend(site, mailbox.link_for(site, user.email))
    # Both tokens, and both sessions where the engine stores any.
    ended = 2 if engine == "signed_cookies" else 4
    assert (answer.status_code, answer.json()["sessions_deleted"]) == (200, ended)
    assert not theirs.is_logged_in
    assert not elsewhere.is_logged_in
    assert third.is_logged_in
    assert not Token.objects.filter(user=user).exists()
    assert BlacklistedToken.objects.filter(token__user=user).count() == 1
    assert theirs.log_in(user.email, NEW_PASSWORD)


def test_a_link_outlives_a_change_of_the_key_and_not_the_old_keys_end(
    processes, mailbox
):
    old, new, newer = SECRETS
    site = serve(processes, mailbox, SESSION_SECRET=old)
    users = UserFactory.create_batch(2)
    emails = [user.email for user in users]
    links = mailbox.links_for(site, emails, SESSION_SECRET=old)
    site.stop()
    changed = serve(
        processes, mailbox, SESSION_SECRET=new, SESSION_SECRET_FALLBACKS=old
    )
    assert spend(changed, links[0]).status_code == 200
    changed.stop()
    ended = serve(
        processes, mailbox, SESSION_SECRET=newer, SESSION_SECRET_FALLBACKS=new
    )
    assert spend(ended, links[1]).status_code == 410
    assert Person(ended.url).log_in(users[1].email, OLD_PASSWORD)


def test_an_account_that_changes_between_form_and_commit_is_left_as_changed(
    processes, mailbox
):
    site = serve(processes, mailbox)
    users = UserFactory.create_batch(len(CHANGES))
    links = mailbox.links_for(site, [user.email for user in users])
    for user, raw, change in zip(users, links, CHANGES.values(), strict=True):
        rows = get_user_model()._base_manager.filter(pk=user.pk)
        with ThreadPoolExecutor(1) as thread:
            with transaction.atomic():
                change(rows)
                answer = thread.submit(spend, site, raw, visitor=user.pk % 200)
                wait_until(somebody_waits_for_a_lock, lambda: site.log)
                changed = list(rows.values())
            assert answer.result().status_code in {404, 410}
        assert list(rows.values()) == changed


def somebody_waits_for_a_lock():
    # On a connection of its own: in a transaction the answer would stay the first one.
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' "
        "AND datname = current_database()"
    )
    with psycopg.connect(database_url()) as session:
        return session.execute(query).fetchone()[0] > 0


def test_a_purge_beside_traffic_takes_no_live_link(processes, mailbox):
    site = serve(processes, mailbox)
    users = UserFactory.create_batch(12)
    links = mailbox.links_for(site, [user.email for user in users])
    # Old by their making, not by their end: it is the end that counts.
    PasswordResetToken.objects.update(created_at=timezone.now() - timedelta(days=400))
    dead = UserFactory()
    PasswordResetToken.objects.bulk_create(
        PasswordResetToken(
            user=dead,
            email=dead.email,
            token_hash=f"{number:064x}",
            expires_at=timezone.now(),
        )
        for number in range(5000)
    )
    left = PasswordResetToken.objects.filter(user=dead)
    purges = [processes.manage("purge_reset_tokens") for _ in range(2)]
    wait_until(lambda: left.count() < 5000, lambda: purges[0].log + purges[1].log)
    answers = at_once(
        [partial(spend, site, raw, visitor=n) for n, raw in enumerate(links)]
    )
    assert {answer.status_code for answer in answers} == {200}
    assert [purge.wait(60) for purge in purges] == [0, 0]
    assert not left.exists()
    assert all(authenticate(username=u.email, password=NEW_PASSWORD) for u in users)
    assert not re.search("deadlock", site.log + purges[0].log + purges[1].log)
