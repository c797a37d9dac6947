"""Settings are typed, read on access, and say what they expected."""

from datetime import timedelta
from ipaddress import ip_network

import pytest
from django.core.exceptions import ImproperlyConfigured

from password_reset.conf import conf

DEFAULTS = {
    "link_template": None,
    "enabled": True,
    "token_lifetime": timedelta(hours=1),
    "request_rate_per_ip": ("3/h",),
    "request_rate_per_email": ("3/h", "10/d"),
    "confirm_rate_per_ip": ("5/m",),
    "trusted_proxies": (),
    "token_retention": timedelta(0),
    "request_retention": timedelta(days=30),
    "task_backend": "default",
    "revokers": (),
    "login_field": None,
    "time_zone_of": None,
    "change_password_url": None,
    "support_url": None,
    "challenge": None,
    "second_factor": None,
    "second_factor_rate": ("5/h", "10/d"),
    "support_email": None,
}


@pytest.fixture
def bare(settings):
    """A host that sets nothing of ours."""
    for name in [
        name for name in dir(settings._wrapped) if name.startswith("PASSWORD_RESET_")
    ]:
        if name != "PASSWORD_RESET_TIMEOUT":
            delattr(settings, name)
    return settings


@pytest.mark.parametrize(("name", "value"), DEFAULTS.items())
def test_a_default_is_the_contract_s(bare, name, value):
    assert getattr(conf, name) == value


def test_development_has_a_base_url_and_production_has_to_name_one(bare):
    bare.DEBUG = True
    assert conf.base_url == "http://127.0.0.1:8000"
    bare.DEBUG = False
    with pytest.raises(ImproperlyConfigured, match="PASSWORD_RESET_BASE_URL"):
        conf.base_url  # noqa: B018


def test_the_site_is_called_by_its_host_unless_it_has_a_name(bare):
    bare.PASSWORD_RESET_BASE_URL = "https://www.example.com/shop/"
    assert (conf.base_url, conf.app_name) == (
        "https://www.example.com/shop",
        "www.example.com",
    )


def test_the_sender_is_the_site_s_unless_another_is_named(bare):
    bare.DEFAULT_FROM_EMAIL = "site@example.com"
    assert conf.from_email == "site@example.com"
    bare.PASSWORD_RESET_FROM_EMAIL = "reset@example.com"
    assert conf.from_email == "reset@example.com"


def test_proxies_are_networks_and_the_unix_socket(bare):
    bare.PASSWORD_RESET_TRUSTED_PROXIES = ["10.0.0.0/8", "::1", "unix"]
    assert conf.trusted_proxies == (ip_network("10.0.0.0/8"), ip_network("::1"), "unix")


def test_a_limit_of_none_is_no_limit(bare):
    bare.PASSWORD_RESET_REQUEST_RATE_PER_IP = None
    assert conf.request_rate_per_ip == ()


@pytest.mark.parametrize(
    "value",
    ["", "3", "3/w", "0/h", "three/h", "3/h,10/d", "-1/h", 3, ["3/h"], "99999999/h"],
)
def test_a_limit_in_another_notation_is_refused_by_name(bare, value):
    bare.PASSWORD_RESET_CONFIRM_RATE_PER_IP = value
    with pytest.raises(
        ImproperlyConfigured, match="PASSWORD_RESET_CONFIRM_RATE_PER_IP"
    ):
        conf.confirm_rate_per_ip  # noqa: B018


@pytest.mark.parametrize(
    "value",
    ["ftp://example.com", "example.com", "https://", "https://a.example/?x=1", 5],
)
def test_a_base_url_of_another_shape_is_refused(bare, value):
    bare.PASSWORD_RESET_BASE_URL = value
    with pytest.raises(ImproperlyConfigured, match="PASSWORD_RESET_BASE_URL"):
        conf.base_url  # noqa: B018


@pytest.mark.parametrize(
    "value",
    [
        "https://a.example/",
        "https://a.example/{token}/{token}",
        "https://a.example/{token}{user}",
    ],
)
def test_a_link_template_takes_the_token_once_and_nothing_else(bare, value):
    bare.PASSWORD_RESET_LINK_TEMPLATE = value
    with pytest.raises(ImproperlyConfigured, match="PASSWORD_RESET_LINK_TEMPLATE"):
        conf.link_template  # noqa: B018
