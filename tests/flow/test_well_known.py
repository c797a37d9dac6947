"""Password managers find the page where a password is changed."""

import pytest
from django.core.checks import run_checks
from django.urls import NoReverseMatch, clear_url_caches, include, path, reverse_lazy

from tests.flow.test_pages import HEADERS

pytestmark = pytest.mark.django_db

WELL_KNOWN = "/.well-known/change-password"
TARGETS = {
    None: "/forgot-password",
    "login": "/login",
    "/settings/password": "/settings/password",
    "https://id.example.com/password": "https://id.example.com/password",
}


@pytest.mark.parametrize(("target", "location"), TARGETS.items())
def test_it_leads_to_the_host_s_page_or_to_ours(client, settings, target, location):
    settings.PASSWORD_RESET_CHANGE_PASSWORD_URL = target
    response = client.get(WELL_KNOWN)
    assert (response.status_code, response["Location"]) == (302, location)


def test_a_lazy_address_is_one(client, settings):
    settings.PASSWORD_RESET_CHANGE_PASSWORD_URL = reverse_lazy("account")
    assert client.get(WELL_KNOWN)["Location"] == "/account"


def test_the_answer_has_the_headers_of_the_flow(client):
    response = client.get(WELL_KNOWN)
    assert {name: response[name] for name in HEADERS} == HEADERS


def test_it_is_open_where_everything_asks_for_a_log_in(client, settings):
    settings.MIDDLEWARE = [
        *settings.MIDDLEWARE,
        "django.contrib.auth.middleware.LoginRequiredMiddleware",
    ]
    assert client.get(WELL_KNOWN)["Location"] == "/forgot-password"


def test_a_host_s_page_stays_open_while_the_flow_is_switched_off(client, settings):
    settings.PASSWORD_RESET_ENABLED = False
    settings.PASSWORD_RESET_CHANGE_PASSWORD_URL = "/settings/password"
    assert client.get(WELL_KNOWN)["Location"] == "/settings/password"


@pytest.mark.parametrize("target", ["", 5, ["login"], "no_such_name"])
def test_the_check_names_an_address_that_is_none(settings, target):
    settings.PASSWORD_RESET_CHANGE_PASSWORD_URL = target
    (error,) = [one for one in run_checks() if one.id == "password_reset.E002"]
    assert "PASSWORD_RESET_CHANGE_PASSWORD_URL" in error.msg


def test_without_any_page_it_says_what_is_missing(client, settings):
    settings.ROOT_URLCONF = type(
        "urls",
        (),
        {"urlpatterns": [path("", include("password_reset.well_known_urls"))]},
    )
    clear_url_caches()
    with pytest.raises(NoReverseMatch, match="password reset"):
        client.get(WELL_KNOWN)
    clear_url_caches()
