"""A browser that has logged in before is served whatever strangers do; its cookie is
good for nothing else.
"""

import re
from datetime import timedelta

import pytest
import time_machine
from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core import mail, signing
from django.test import Client
from django.utils import timezone

from password_reset import device
from password_reset.models import PasswordResetRequest
from tests.tools.factories import OLD_PASSWORD, UserFactory
from tests.tools.staff import committed
from tests.tools.walk import ask

ADA = "ada@example.com"
COOKIE = "password_reset_device"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def frozen_clock():
    with time_machine.travel("2026-11-22T10:00:00Z", tick=False) as clock:
        yield clock


@pytest.fixture(autouse=True)
def ada(db):
    return UserFactory(email=ADA)


def logged_in(email=ADA, **extra):
    """Return a browser in which somebody has logged in and out again."""
    browser = Client(**extra)
    data = {"username": email, "password": OLD_PASSWORD}
    assert browser.post("/login", data).status_code == 302
    browser.post("/logout")
    return browser


def besieged():
    """Use up what strangers may have sent to Ada this hour, from her network too."""
    for number in range(12):
        ask(Client(), ADA, REMOTE_ADDR=f"198.18.{number}.1")
    for number in range(4):
        ask(Client(), f"somebody{number}@example.com")
    mail.outbox.clear()


def asked(browser, email=ADA):
    with committed():
        return ask(browser, email).status_code


def cookie_of(browser):
    return browser.cookies[COOKIE]


class TestKnown:
    def test_it_is_served_while_strangers_ask_and_its_network_is_used_up(self):
        browser = logged_in()
        besieged()
        assert asked(Client()) == 429
        assert (asked(browser), len(mail.outbox)) == (302, 1)

    @pytest.mark.parametrize("spelling", ["ADA@Example.com", " ada@example.com"])
    def test_so_it_is_in_other_spellings(self, spelling):
        browser = logged_in()
        besieged()
        assert (asked(browser, spelling), len(mail.outbox)) == (302, 1)

    def test_it_has_three_emails_an_hour_and_then_what_everybody_has(self):
        browser = logged_in()
        besieged()
        assert [asked(browser) for _ in range(4)] == [302, 302, 302, 429]
        assert len(mail.outbox) == 3

    def test_under_a_former_secret_key_it_is_known_too(self, settings):
        browser = logged_in()
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another" * 8
        besieged()
        assert (asked(browser), len(mail.outbox)) == (302, 1)


class TestCookie:
    def test_it_is_closed_to_scripts_and_other_sites_and_open_on_https_only(
        self, settings
    ):
        settings.SESSION_COOKIE_SECURE = True
        cookie = cookie_of(logged_in())
        assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (
            True,
            "Lax",
            True,
        )
        assert cookie["max-age"] == 90 * 24 * 3600

    def test_it_names_nobody(self, ada):
        value = cookie_of(logged_in()).value
        assert "ada" not in value
        assert str(ada.pk) not in value.partition(":")[0] or len(str(ada.pk)) < 4
        assert re.fullmatch(r"[0-9a-f]{32}:\w+:[\w-]+", value)

    def test_each_log_in_brings_a_new_one(self, frozen_clock):
        browser = logged_in()
        before = cookie_of(browser).value
        frozen_clock.shift(60)
        browser.post("/login", {"username": ADA, "password": OLD_PASSWORD})
        assert cookie_of(browser).value != before

    def test_a_failed_log_in_brings_none(self):
        browser = Client()
        browser.post("/login", {"username": ADA, "password": "wrong"})
        assert COOKIE not in browser.cookies

    def test_no_page_of_the_flow_sets_one(self):
        browser = Client()
        ask(browser, ADA)
        assert COOKIE not in browser.cookies

    def test_it_ends(self, settings):
        settings.PASSWORD_RESET_DEVICE_COOKIE_AGE = timedelta(days=1)
        browser = logged_in()
        with time_machine.travel(timezone.now() + timedelta(days=1, seconds=1)):
            browser.cookies[COOKIE]["max-age"] = ""
            besieged()
            assert asked(browser) == 429


class TestForged:
    @pytest.mark.parametrize(
        "value",
        [
            "",
            "0",
            ":::",
            "a" * 5000,
            "\u00e9",
            "0" * 32 + ":1abcde:" + "x" * 43,
        ],
    )
    def test_one_of_own_make_opens_nothing(self, value):
        besieged()
        assert asked(Client(headers={"Cookie": f"{COOKIE}={value}"})) == 429

    def test_nor_does_a_digest_under_another_signature(self):
        forged = signing.TimestampSigner(salt="other").sign(device._digest(ADA))
        besieged()
        browser = Client()
        browser.cookies[COOKIE] = forged
        assert asked(browser) == 429

    def test_one_of_another_account_lets_no_email_through(self):
        UserFactory(email="eve@example.com")
        browser = logged_in("eve@example.com")
        besieged()
        assert (asked(browser), len(mail.outbox)) == (302, 0)
        assert PasswordResetRequest.objects.latest("pk").last_error == "mailbox_limit"

    def test_log_ins_do_not_multiply_what_an_account_may_ask(self):
        UserFactory(email="eve@example.com")
        browsers = [logged_in("eve@example.com") for _ in range(3)]
        besieged()
        seen = [
            asked(browsers[number % 3], f"a{number}@b.example") for number in range(6)
        ]
        assert seen == [302] * 3 + [429] * 3


class TestStolen:
    def thief(self):
        browser = Client(REMOTE_ADDR="203.0.113.66")
        browser.cookies[COOKIE] = cookie_of(logged_in()).value
        return browser

    def test_it_logs_nobody_in(self):
        assert self.thief().get("/account").status_code == 302

    def test_it_does_not_tell_whose_it_is(self):
        """The answers are the same for the address that it knows and any other."""
        seen = {}
        for number, email in enumerate((ADA, "nobody@example.com")):
            thief = self.thief()
            with time_machine.travel(timezone.now() + timedelta(hours=2 * number + 2)):
                seen[email] = [asked(thief, email) for _ in range(8)]
        assert seen[ADA] == seen["nobody@example.com"]

    def test_its_owner_falls_back_to_what_everybody_has(self):
        thief, owner = self.thief(), logged_in(REMOTE_ADDR="198.51.100.7")
        assert [asked(thief) for _ in range(3)] == [302] * 3
        mail.outbox.clear()
        assert (asked(owner), len(mail.outbox)) == (302, 1)


def test_nothing_is_looked_up_for_it(django_assert_num_queries):
    browser = logged_in()
    with django_assert_num_queries(0):
        request = browser.get("/forgot-password").wsgi_request
    assert request.password_reset_device


@pytest.mark.parametrize("place", [0, -1])
def test_it_works_at_any_place_of_the_order(settings, place):
    order = [one for one in django_settings.MIDDLEWARE if "DeviceCookie" not in one]
    order.insert(
        place % (len(order) + 1), "password_reset.device.DeviceCookieMiddleware"
    )
    settings.MIDDLEWARE = order
    assert COOKIE in logged_in().cookies


def test_without_the_middleware_it_is_not_read(settings):
    browser = logged_in()
    settings.MIDDLEWARE = [one for one in settings.MIDDLEWARE if "Device" not in one]
    besieged()
    browser.handler.load_middleware()
    assert asked(browser) == 429


def test_a_user_without_an_address_gets_none(settings, rf):
    device.remember(None, None, get_user_model()(email=""))
    request = rf.get("/")
    device.remember(None, request, get_user_model()(email=""))
    assert request._password_reset_logged_in == ""
