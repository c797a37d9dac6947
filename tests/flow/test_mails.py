"""The two mails as people get them: the same words twice, safe to open, readable in
every mail program.
"""

import re
from html import unescape

import pytest
from django.conf import settings
from django.core import mail

from tests.tools.factories import UserFactory
from tests.tools.walk import ask, code_in, mailed_token, spend, token_in

LANGUAGES = [code for code, _ in settings.LANGUAGES]
#: Set differently in the two: labels stand before a colon or in a column of their own.
SET_APART = re.compile(r"[\s:：\u2068\u2069]+")

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def user():
    return UserFactory(email="ada@example.com", first_name="Ada", language="")


def both_mails(client, user):
    spend(client, mailed_token(client, user.email))
    assert len(mail.outbox) == 2
    return mail.outbox


def html_of(message):
    return message.alternatives[0].content


def seen(html):
    """What a reader of the HTML mail sees, without its head, its preheader and its
    conditional comments.
    """
    body = re.sub(
        r"<head>.*?</head>|<!--.*?-->|<div style=\"display:none.*?</div>",
        "",
        html,
        flags=re.DOTALL,
    )
    return SET_APART.sub("", unescape(re.sub(r"<[^>]+>", "", body)))


@pytest.mark.parametrize("code", LANGUAGES)
def test_both_parts_say_the_same(client, user, code):
    user.language = code
    user.save()
    for message in both_mails(client, user):
        lines = [
            SET_APART.sub("", line)
            for line in message.body.splitlines()
            if line != "-- "
        ]
        assert [line for line in lines if line not in seen(html_of(message))] == []


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_mail_is_small_and_needs_nothing_from_elsewhere(client, user, code):
    user.language = code
    user.save()
    for message in both_mails(client, user):
        assert len(message.message().as_bytes()) < 102 * 1024
        assert not re.search(
            r"<(img|link|script|iframe)|url\(|@import|@font-face", html_of(message)
        )


def test_the_link_is_there_twice_and_in_full(client, user):
    ask(client, user.email)
    message = mail.outbox[0]
    link = f"{settings.PASSWORD_RESET_BASE_URL}/reset-password?token={token_in(message.body)}"
    assert message.body.count(link) == 1
    assert html_of(message).count(f'href="{link}"') == 2
    assert f">{link}</a>" in html_of(message)


def test_a_name_is_greeted_and_cannot_bring_markup(client, user):
    user.first_name = "<b>Ada</b> O'Neil"
    user.save()
    ask(client, user.email)
    assert "<b>" not in html_of(mail.outbox[0])


def test_a_mail_in_arabic_runs_from_right_to_left(client, user):
    user.language = "ar"
    user.save()
    for message in both_mails(client, user):
        assert '<html lang="ar" dir="rtl"' in html_of(message)
        assert "\u2068ada@example.com\u2069" in message.body
        assert '<p dir="ltr"' not in html_of(message)  # would stand at the left edge
    code = code_in(mail.outbox[0].body)
    assert f'<span dir="ltr">{code}</span>' in html_of(mail.outbox[0])


def test_the_second_mail_counts_what_was_ended(client, user):
    client.force_login(user)
    body = both_mails(client, user)[1].body
    assert "at least 1 session." in body


@pytest.mark.parametrize(
    ("code", "label"),
    [("en", "IP address:"), ("fr", "Adresse IP\u00a0:"), ("es", "Dirección IP:")],
)
def test_a_label_is_written_as_its_language_does(client, user, code, label):
    user.language = code
    user.save()
    for message in both_mails(client, user):
        assert f"\n{label} " in message.body
        assert f">{label.rstrip(':').strip()}</td>" in html_of(message)


def test_parts_of_the_text_stand_apart(client, user, settings):
    settings.PASSWORD_RESET_SUPPORT_EMAIL = "help@example.com"
    ask(client, user.email)
    assert "\n\nDo you need help?\nhelp@example.com\n\nWho asked:\n" in (
        mail.outbox[0].body
    )
