"""A link of Django's own flow, mailed before this one came, is answered calmly."""

import io
import logging

import pytest
from django.contrib.auth.tokens import default_token_generator
from django.test import Client
from django.urls import NoReverseMatch, clear_url_caches, include, path, reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from password_reset.redaction import redact
from tests.flow.test_pages import ASSET, HEADERS, INLINE
from tests.tools.factories import NEW_PASSWORD, UserFactory

pytestmark = pytest.mark.django_db

PATTERNS = [
    path("", include("password_reset.urls")),
    path("accounts/", include("password_reset.legacy_urls")),
]


@pytest.fixture(autouse=True)
def host(settings):
    """A host that includes the legacy links where Django's own flow was."""
    settings.ROOT_URLCONF = type("urls", (), {"urlpatterns": PATTERNS})
    clear_url_caches()
    yield settings
    clear_url_caches()


@pytest.fixture
def user():
    return UserFactory(email="ada@example.com")


@pytest.fixture
def token(user):
    return default_token_generator.make_token(user)


@pytest.fixture
def link(user, token):
    """The path of a link that Django's flow has mailed and would still accept."""
    return f"/accounts/reset/{urlsafe_base64_encode(force_bytes(user.pk))}/{token}/"


def test_a_mailed_link_leads_to_a_form_for_a_new_one(client, link):
    page = client.get(link, headers={"Accept-Language": "en"})
    assert page.status_code == 410
    assert "links from before it have stopped working" in page.text
    assert 'action="/forgot-password"' in page.text


def test_the_old_form_s_own_address_is_answered_too(client):
    assert client.get("/accounts/reset/MQ/set-password/").status_code == 410


def test_an_old_form_that_stayed_open_changes_nothing(client, user):
    password = user.password
    page = client.post(
        "/accounts/reset/MQ/set-password/",
        {"new_password1": NEW_PASSWORD, "new_password2": NEW_PASSWORD},
    )
    user.refresh_from_db()
    assert (page.status_code, user.password) == (410, password)


def test_nothing_is_looked_up(client, link, django_assert_num_queries):
    with django_assert_num_queries(0):
        client.get(link)


def test_the_page_carries_what_every_page_of_the_flow_does(client, link):
    page = client.get(link)
    assert {name: page[name] for name in HEADERS} == HEADERS
    assert "form-action 'self'" in page["Content-Security-Policy"]
    assert all(target.startswith("/") for target in ASSET.findall(page.text))
    assert not INLINE.search(page.text)


def test_the_page_does_not_hold_the_token_and_takes_it_out_of_the_address_bar(
    client, link, token
):
    page = client.get(link).text
    assert token not in page
    assert 'hide-token.js" data-instead="/forgot-password">' in page


def test_the_log_of_a_host_without_our_filter_has_no_token(client, link, token):
    lines = io.StringIO()
    handler = logging.StreamHandler(lines)
    logger = logging.getLogger("django.request")
    logger.addHandler(handler)  # asked before the filters of this site's own handlers
    client.get(link)
    logger.removeHandler(handler)
    assert "Gone: /accounts/reset/" in lines.getvalue()
    assert token not in lines.getvalue()


def test_a_link_in_a_log_of_another_s_loses_its_token(link, token):
    line = redact(f'"GET {link} HTTP/1.1" 410 "https://www.example.com{link}"')
    assert line.count(f"/{token[:6]}.../") == 2
    assert token not in line


def test_it_is_open_where_everything_asks_for_a_log_in(client, host, link):
    host.MIDDLEWARE = [
        *host.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    assert client.get(link).status_code == 410


def test_a_post_without_a_cookie_is_refused_on_a_calm_page(link):
    page = Client(enforce_csrf_checks=True).post(link)
    assert page.status_code == 403
    assert page["Cache-Control"] == "no-store"


def test_nobody_can_build_such_a_link_by_the_old_name(link):
    with pytest.raises(NoReverseMatch):
        reverse("password_reset_confirm", kwargs={"uidb64": "MQ", "token": "a-b"})
    assert reverse("password_reset_confirm") == "/reset-password"
