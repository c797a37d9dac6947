"""Where people find help: on pages where somebody may be stuck, and in both emails."""

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from password_reset.models import PasswordResetToken
from tests.tools.factories import UserFactory
from tests.tools.walk import ask, look, mailed_token, spend

pytestmark = pytest.mark.django_db(transaction=True)

ADDRESS, PAGE = "help@shop.example", "https://shop.example/help?from=reset&x=1"
ESCAPED = PAGE.replace("&", "&amp;")


@pytest.fixture(autouse=True)
def _contact(settings):
    settings.PASSWORD_RESET_SUPPORT_EMAIL = ADDRESS
    settings.PASSWORD_RESET_SUPPORT_URL = PAGE


def done(client, settings):
    return client.get("/forgot-password/done")


def unknown(client, settings):
    return look(client, "0" * 64)


def used(client, settings):
    token = mailed_token(client, UserFactory().email)
    PasswordResetToken.objects.all().void()
    return look(client, token)


def expired(client, settings):
    token = mailed_token(client, UserFactory().email)
    PasswordResetToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    return look(client, token)


def too_many(client, settings):
    settings.PASSWORD_RESET_REQUEST_RATE_PER_IP = "1/h"
    ask(client, "ada@example.com")
    return ask(client, "ada@example.com")


def switched_off(client, settings):
    settings.PASSWORD_RESET_ENABLED = False
    return client.get("/forgot-password")


STUCK = [done, unknown, used, expired, too_many, switched_off]


@pytest.mark.parametrize("stuck", STUCK)
def test_a_page_names_both(client, settings, stuck):
    html = stuck(client, settings).content.decode()
    assert f'href="mailto:{ADDRESS}"' in html
    assert f'href="{ESCAPED}"' in html


@pytest.mark.parametrize("stuck", STUCK)
def test_a_page_says_nothing_where_nothing_is_set(client, settings, stuck):
    settings.PASSWORD_RESET_SUPPORT_EMAIL = settings.PASSWORD_RESET_SUPPORT_URL = None
    html = stuck(client, settings).content.decode()
    assert "mailto:" not in html
    assert "Do you need help?" not in html


@pytest.fixture
def mails(client, user):
    spend(client, mailed_token(client, user.email))
    return mail.outbox


@pytest.mark.parametrize("number", [0, 1], ids=["link", "notice"])
def test_a_mail_names_both_in_text_and_html(mails, number):
    """NIST SP 800-63B-4, 4.6: whom to contact, should it not have been you."""
    html = mails[number].alternatives[0].content
    assert {ADDRESS, PAGE} <= set(mails[number].body.splitlines())
    assert f'href="mailto:{ADDRESS}"' in html
    assert f'href="{ESCAPED}"' in html


@pytest.mark.parametrize(("name", "other"), [("EMAIL", "https://"), ("URL", "mailto:")])
def test_one_of_them_is_enough(client, settings, name, other):
    other_name = {"EMAIL": "URL", "URL": "EMAIL"}[name]
    setattr(settings, f"PASSWORD_RESET_SUPPORT_{other_name}", None)
    html = done(client, settings).content.decode()
    assert "Do you need help?" in html
    assert other not in html
