"""The emails of development: readable on the console, kept, and shown at /mails."""

import io
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.core.mail import EmailMultiAlternatives
from django.db import connection

from project import sent_mails
from project.console_mail import EmailBackend
from tests import ROOT
from tests.project.test_env import COMPLETE
from tests.tools.factories import NEW_PASSWORD, OLD_PASSWORD
from tests.tools.people import Person
from tests.tools.processes import Processes

LINK = f"http://127.0.0.1:8000/reset-password?token={'ab12' * 16}"


@pytest.fixture
def folder(settings, tmp_path):
    settings.SENT_MAILS = tmp_path / "mails"
    return settings.SENT_MAILS


def send(subject="Your link", text=f"Grüße!\n\n{LINK}\n") -> str:
    """Send an email and return what the console shows."""
    message = EmailMultiAlternatives(subject, text, "me@example.com", ["a@example.com"])
    message.attach_alternative(f'<a href="{LINK}">Reset</a>', "text/html")
    console = io.StringIO()
    EmailBackend(stream=console).send_messages([message])
    return console.getvalue()


def test_the_console_shows_the_text_and_nothing_else(folder):
    rule = "-" * 79
    assert send() == (
        f"{rule}\nFrom: me@example.com\nTo: a@example.com\nSubject: Your link\n\n"
        f"Grüße!\n\n{LINK}\n{rule}\n"
    )


def test_the_page_shows_what_was_sent_newest_first(folder, client):
    send("First")
    send("Second")
    page = client.get("/mails").text
    assert page.index("Second") < page.index("First")
    assert f'<a href="{LINK}"' in page


def test_both_bodies_are_shown_as_they_were_sent(folder, client):
    send()
    [mail] = sent_mails.newest_first()
    text = client.get(f"/mails/{mail.name}.text")
    html = client.get(f"/mails/{mail.name}.html")
    assert (text.text.split(), text["Content-Type"]) == (
        ["Grüße!", LINK],
        "text/plain; charset=utf-8",
    )
    assert f'href="{LINK}"' in html.text
    assert html["Content-Security-Policy"].startswith("default-src 'none'")


@pytest.mark.parametrize(
    "path",
    ["/mails/nobody.html", "/mails/..%2F..%2Fmanage.html", "/mails/{name}.eml"],
)
def test_anything_else_is_not_found(folder, client, path):
    send()
    [mail] = sent_mails.newest_first()
    assert client.get(path.format(name=mail.name)).status_code == 404


def test_without_an_email_the_page_says_so(folder, client):
    assert "None yet." in client.get("/mails").text


def test_the_newest_fifty_are_kept(folder):
    for number in range(sent_mails.LIMIT + 2):
        send(f"Number {number}")
    kept = [mail.subject for mail in sent_mails.newest_first()]
    assert (len(kept), kept[0], kept[-1]) == (50, "Number 51", "Number 2")
    assert len(list(folder.iterdir())) == 50


def test_nobody_else_may_read_the_folder(folder):
    send()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_where_strangers_reach_the_site_there_is_no_such_page():
    script = (
        "import django; django.setup();"
        "from django.urls import resolve, Resolver404\n"
        "for path in ('/mails', '/mails/1-a.html', '/mails/samples'):\n"
        "    try: print(resolve(path))\n"
        "    except Resolver404: print('none')"
    )
    environment = COMPLETE | {"DJANGO_SETTINGS_MODULE": "project.settings"}
    found = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert found.stdout.split() == ["none"] * 3, found.stderr


@pytest.mark.django_db
def test_the_home_page_says_where_emails_appear_and_how_often_one_may_ask(client):
    page = client.get("/").text
    assert 'href="/mails"' in page
    assert "20 times an hour" in page


@pytest.mark.sqlite
@pytest.mark.django_db(transaction=True)
def test_a_newcomer_resets_by_the_link_on_the_console(
    processes: Processes, user, tmp_path: Path
) -> None:
    there = {"EMAIL_PROVIDER": "console", "SENT_MAILS": str(tmp_path / "mails")}
    site = processes.runserver(**there)
    queued = connection.vendor == "postgresql"
    sender = processes.db_worker(**there) if queued else site
    person = Person(site.url)
    person.submit("/forgot-password", email=user.email)
    sender.wait_for_log("Who asked:")
    [link] = re.findall(r"^http.+token=.+$", sender.log, re.MULTILINE)
    assert f'<a href="{link}"' in person.open("/mails").text
    page, raw = f"/reset-password?{urlsplit(link).query}", link[-64:]
    person.submit(
        page, token=raw, new_password1=NEW_PASSWORD, new_password2=NEW_PASSWORD
    )
    assert Person(site.url).log_in(user.email, NEW_PASSWORD)
    assert not Person(site.url).log_in(user.email, OLD_PASSWORD)
