"""A site keeps the templates of its old flow: docs/customising.md has the recipe."""

import copy
import re
from pathlib import Path

import pytest
from django.core import mail

from tests.tools.factories import NEW_PASSWORD
from tests.tools.walk import ask, look, mailed_token, spend

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.urls("tests.flow.registration.urls"),
]

HOST = Path(__file__).parent / "registration"


@pytest.fixture(autouse=True)
def old_shop(settings):
    templates = copy.deepcopy(settings.TEMPLATES)
    templates[0]["DIRS"] = [HOST / "templates"]
    settings.TEMPLATES = templates
    settings.PASSWORD_RESET_MAIL_CONTEXT = lambda user, *, brand, **_: {
        "site_name": brand.name
    }


def test_its_pages_lead_from_the_form_to_the_new_password(client, ada):
    form = client.get("/forgot-password").content.decode()
    assert "<title>Password reset</title>" in form
    done = client.post("/forgot-password", {"email": ada.email}, follow=True)
    assert "Instructions are on their way" in done.content.decode()
    (link,) = re.findall(r"(/reset-password\?token=\w{64})", mail.outbox[0].body)
    page = client.get(link).content.decode()
    assert "Enter a new password" in page
    raw = re.search(r'name="token" value="(\w+)"', page)[1]
    # As its form is sent, to the address that it has.
    fields = dict.fromkeys(("new_password1", "new_password2"), NEW_PASSWORD)
    saved = client.post(link, {"token": raw, **fields}, follow=True)
    assert "Done" in saved.content.decode()
    assert 'href="/login"' in saved.content.decode()
    ada.refresh_from_db()
    assert ada.check_password(NEW_PASSWORD)


def test_its_email_is_sent_with_our_link(client, ada, settings):
    ask(client, ada.email)
    (message,) = mail.outbox
    name = settings.PASSWORD_RESET_APP_NAME
    assert message.subject == f"Password reset on {name}"
    assert f"Your username, in case you’ve forgotten: {ada.email}" in message.body


def test_a_refused_password_is_explained_by_its_form(client, ada):
    refused = spend(client, mailed_token(client, ada.email), "123")
    assert "errorlist" in refused.content.decode()


def test_a_dead_link_has_a_page_of_ours_in_its_layout(client):
    dead = look(client, "0" * 64)
    assert dead.status_code == 404
    text = dead.content.decode()
    assert "Our old shop" in text
    assert "<h2>This link is too old, or damaged</h2>" in text
