"""A host that overrides one template and sets a few variables has its own look
everywhere, mails included.
"""

import copy
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders
from django.core import mail

from tests.tools.factories import UserFactory
from tests.tools.walk import ask, mailed_token, spend

HOST = Path(__file__).parent / "branded"
STYLESHEET = "branded/brand.css"

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def branded(settings):
    templates = copy.deepcopy(settings.TEMPLATES)
    templates[0]["DIRS"] = [HOST / "templates"]
    settings.TEMPLATES = templates
    settings.STATICFILES_DIRS = [HOST / "static"]
    settings.PASSWORD_RESET_APP_NAME = "Plum & Co"
    settings.PASSWORD_RESET_BRAND_COLOR = "#4a0d2b"
    finders.get_finder.cache_clear()
    yield
    finders.get_finder.cache_clear()


def test_every_page_has_the_brand(client):
    token = mailed_token(client, UserFactory().email)
    pages = [
        client.get(path)
        for path in (
            "/forgot-password",
            "/forgot-password/done",
            "/reset-password/done",
        )
    ]
    pages += [
        client.get("/reset-password", {"token": wanted}) for wanted in (token, "0" * 64)
    ]
    for page in pages:
        text = page.content.decode()
        assert STYLESHEET in text
        assert "Plum &amp; Co" in text
        assert "Ask our help desk" in text


def test_the_brand_comes_after_the_look_that_it_changes(client):
    text = client.get("/forgot-password").content.decode()
    assert text.index("password_reset/password_reset.css") < text.index(STYLESHEET)


def test_six_variables_are_enough_and_all_of_them_exist():
    look = Path(finders.find("password_reset/password_reset.css")).read_text()
    brand = Path(finders.find(STYLESHEET)).read_text().partition("@media")[0]
    names = [
        line.split(":")[0].strip()
        for line in brand.splitlines()
        if line.startswith("  --")
    ]
    assert len(names) == 6
    assert all(f"{name}:" in look for name in names)


def test_both_mails_have_the_name_and_the_colour(client):
    spend(client, mailed_token(client, UserFactory().email))
    assert len(mail.outbox) == 2
    for message in mail.outbox:
        assert "Plum & Co" in message.subject
        assert "Plum & Co" in message.body
        html = message.alternatives[0].content
        assert "Plum &amp; Co" in html
        assert "background-color:#4a0d2b" in html


@pytest.mark.parametrize(
    ("colour", "words"), [("#4a0d2b", "#ffffff"), ("#ffe08a", "#000000")]
)
def test_the_words_on_the_button_are_readable(client, settings, colour, words):
    settings.PASSWORD_RESET_BRAND_COLOR = colour
    ask(client, UserFactory().email)
    assert (
        f"background-color:{colour};color:{words}"
        in mail.outbox[0].alternatives[0].content
    )
