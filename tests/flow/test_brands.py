"""Three brands and two languages in one process: each has its own emails, links, look
and rows, and a real walk over HTTP and SMTP.
"""

import re

import pytest
from django.core import mail
from django.core.management import CommandError, call_command
from django.urls import reverse

from password_reset import brands as brands_module
from password_reset import services
from password_reset.models import (
    PasswordResetNotice,
    PasswordResetRequest,
    PasswordResetToken,
)
from tests.brands import FIG, GARDEN, PLUM
from tests.tools.factories import NEW_PASSWORD, UserFactory
from tests.tools.people import Person
from tests.tools.staff import NOTICES, REQUESTS, TOKENS
from tests.tools.walk import ask, call, look, mailed_token, spend, token_in

pytestmark = pytest.mark.django_db(transaction=True)

VISITOR = {"ip_address": None, "user_agent": "", "language": "en"}
STYLE = re.compile(r'href="(/forgot-password/brand\.css\?\w+)"')


class TestEmails:
    @pytest.mark.parametrize(
        ("host", "name", "sender"),
        [
            (GARDEN, "The Garden", f"post@{GARDEN}"),
            (PLUM, "Plum & Co", f"Plum <post@{PLUM}>"),
            (FIG, "Feige", f"post@{FIG}"),
        ],
    )
    def test_all_of_a_flow_are_of_the_brand_that_was_asked(
        self, browser_at, ada, host, name, sender
    ):
        browser = browser_at(host)
        spend(browser, mailed_token(browser, ada.email))
        assert len(mail.outbox) == 2
        others = {GARDEN, PLUM, FIG} - {host}
        for message in mail.outbox:
            assert message.from_email == sender
            assert name in message.subject
            assert f"http://{host}/" in message.body
            written = message.message().as_string()
            # The default brand's contact is the one that Feige has, too.
            assert not any(f"http://{other}" in written for other in others)
            assert message.extra_headers["Message-ID"].endswith(f"@{host}>")

    def test_an_invitation_speaks_for_the_brand_that_invites(self, browser_at, plum):
        eve = UserFactory(email="eve@example.com", password=None)
        services.send_invitation(eve, brand="plum")
        services.process_due(linger=2)
        [message] = mail.outbox
        assert f"http://{PLUM}/reset-password" in message.body
        raw = token_in(message.body)
        assert look(browser_at(GARDEN), raw).status_code == 404
        assert look(plum, raw).status_code == 200

    def test_so_does_a_forced_reset(self, plum, ada):
        call_command("force_password_reset", ada.email, brand="plum", no_input=True)
        services.process_due(linger=2)
        assert f"http://{PLUM}/reset-password" in mail.outbox[0].body

    def test_a_command_knows_the_brands_that_there_are(self, plum, ada):
        with pytest.raises(CommandError, match="'pear' is no brand"):
            call_command("invite_users", ada.email, "--brand", "pear")

    def test_it_has_the_colour_and_the_templates_of_the_brand(self, plum, ada):
        ask(plum, ada.email)
        html = mail.outbox[0].alternatives[0].content
        assert "background-color:#4a0d2b" in html
        assert "Plum &amp; Co Ltd., 1 Orchard Lane" in html

    def test_one_part_of_it_can_be_another_template(self, fig, ada):
        ask(fig, ada.email)
        assert mail.outbox[0].subject == "Ihr Link von Feige"

    @pytest.mark.parametrize(
        ("host", "contact"),
        [(PLUM, f"https://{PLUM}/help"), (FIG, f"help@{GARDEN}")],
    )
    def test_a_contact_that_a_brand_has_not_is_the_default_one(
        self, browser_at, ada, host, contact
    ):
        ask(browser_at(host), ada.email)
        assert contact in mail.outbox[0].body

    def test_a_contact_of_none_is_none(self, plum, ada):
        ask(plum, ada.email)
        assert f"help@{GARDEN}" not in mail.outbox[0].body

    def test_who_has_no_password_is_led_to_the_log_in_of_the_brand(self, plum):
        user = UserFactory(email="sso@example.com", password=None)
        ask(plum, user.email)
        assert f"http://{PLUM}/plum/log-in" in mail.outbox[0].body

    def test_a_single_page_client_of_its_own(self, three_brands, plum, fig, ada):
        plums = three_brands.PASSWORD_RESET_BRANDS["plum"]
        template = f"https://app.{PLUM}/#{{token}}"
        three_brands.PASSWORD_RESET_BRANDS = {
            **three_brands.PASSWORD_RESET_BRANDS,
            "plum": {**plums, "LINK_TEMPLATE": template},
        }
        ask(plum, ada.email)
        ask(fig, ada.email)
        assert f"https://app.{PLUM}/#" in mail.outbox[0].body
        assert f"http://{FIG}/reset-password?token=" in mail.outbox[1].body


class TestRows:
    def test_the_key_is_on_each_of_them(self, plum, ada):
        spend(plum, mailed_token(plum, ada.email))
        for model in (PasswordResetRequest, PasswordResetToken, PasswordResetNotice):
            assert model.objects.get().brand == "plum"

    def test_the_api_is_of_the_host_that_was_asked(self, fig, ada):
        call(fig, "request-password-reset", {"email": ada.email})
        assert PasswordResetRequest.objects.get().brand == "fig"
        assert f"http://{FIG}/" in mail.outbox[0].body

    def test_one_batch_holds_several_brands(self, three_brands, user):
        three_brands.PASSWORD_RESET_TASK_BACKEND = None
        for key in ("", "plum", "fig"):
            services.request_reset(user.email, brand=key, **VISITOR)
        assert services.process_due() == 3
        links = {re.search(r"http://([^/]+)/reset", one.body)[1] for one in mail.outbox}
        assert links == {GARDEN, PLUM, FIG}

    def test_a_brand_that_has_left_the_settings_is_the_default_one(
        self, three_brands, user, garden, caplog, monkeypatch
    ):
        monkeypatch.setattr(brands_module, "_named", set())  # as in a new process
        three_brands.PASSWORD_RESET_TASK_BACKEND = None
        services.request_reset(user.email, brand="plum", **VISITOR)
        brands = three_brands.PASSWORD_RESET_BRANDS
        three_brands.PASSWORD_RESET_BRANDS = {"fig": brands["fig"]}
        services.process_due()
        assert f"http://{GARDEN}/" in mail.outbox[0].body
        assert (
            caplog.text.count("The brand 'plum' is not in PASSWORD_RESET_BRANDS") == 1
        )
        assert look(garden, token_in(mail.outbox[0].body)).status_code == 200

    def test_a_link_of_a_brand_that_has_left_opens_at_the_default_one(
        self, three_brands, plum, garden, fig, ada
    ):
        raw = mailed_token(plum, ada.email)
        brands = three_brands.PASSWORD_RESET_BRANDS
        three_brands.PASSWORD_RESET_BRANDS = {"fig": brands["fig"]}
        assert look(fig, raw).status_code == 404
        assert look(garden, raw).status_code == 200

    def test_a_key_that_nobody_has_is_of_the_default_one(self, three_brands):
        row = services.request_reset("a@example.com", brand="apple", **VISITOR)
        assert row.brand == ""

    def test_the_log_says_which(self, plum, garden, ada, caplog):
        caplog.set_level("INFO", "password_reset")
        ask(plum, ada.email)
        ask(garden, ada.email)
        asked = [one for one in caplog.records if one.msg == "Password reset requested"]
        assert [getattr(one, "brand", None) for one in asked] == ["plum", None]


class TestPages:
    PATHS = ("/forgot-password", "/forgot-password/done", "/reset-password/done")

    @pytest.mark.parametrize("path", PATHS)
    def test_each_has_the_name_and_the_templates_of_its_brand(self, plum, path):
        text = plum.get(path).content.decode()
        assert "Plum &amp; Co</title>" in text
        assert "Plums are in season." in text
        assert "The Garden" not in text

    @pytest.mark.parametrize("path", PATHS)
    def test_no_other_brand_has_them(self, fig, path):
        text = fig.get(path).content.decode()
        assert "Feige</title>" in text
        assert "Plums" not in text

    def test_nor_has_a_brand_that_was_asked_before(self, plum, garden):
        plum.get("/forgot-password")
        text = garden.get("/forgot-password").content.decode()
        assert "The Garden</title>" in text
        assert "Plums" not in text

    def test_that_of_a_bad_body_is_of_the_brand_too(self, plum):
        refused = plum.post("/forgot-password", {"email": "a" * 20_000})
        assert refused.status_code == 413
        assert "Plums are in season." in refused.content.decode()

    def test_that_of_a_bad_body_before_any_middleware(self, plum):
        length = {"CONTENT_TYPE": "text/plain; charset=punycode"}
        refused = plum.generic("POST", "/forgot-password", b"x", **length)
        assert "Plums are in season." in refused.content.decode()

    def test_so_is_that_of_a_flow_that_is_switched_off(self, three_brands, plum):
        three_brands.PASSWORD_RESET_ENABLED = False
        off = plum.get("/forgot-password")
        assert off.status_code == 503
        assert "Plums are in season." in off.content.decode()

    def test_a_log_in_elsewhere_leads_back_to_the_brand(self, three_brands, plum):
        brands = three_brands.PASSWORD_RESET_BRANDS
        elsewhere = {**brands["plum"], "LOGIN_URL": "https://login.example/"}
        three_brands.PASSWORD_RESET_BRANDS = {**brands, "plum": elsewhere}
        page = plum.get("/forgot-password", {"next": "/orders"}).content.decode()
        assert f"https://login.example/?next=http%3A//{PLUM}/orders" in page

    def test_the_last_one_leads_to_the_log_in_of_the_brand(self, plum):
        assert (
            'href="/plum/log-in"' in plum.get("/reset-password/done").content.decode()
        )


class TestColours:
    def test_they_are_a_style_sheet_of_the_same_site(self, plum):
        page = plum.get("/forgot-password")
        address = STYLE.search(page.content.decode())[1]
        style = plum.get(address)
        assert style["Content-Type"] == "text/css; charset=utf-8"
        assert "--pr-brand: #4a0d2b;" in style.content.decode()
        assert "unsafe" not in page["Content-Security-Policy"]
        assert "<style" not in page.content.decode()

    def test_it_comes_before_the_site_s_own_and_after_the_flow_s(self, plum):
        text = plum.get("/forgot-password").content.decode()
        own = text.index("project/demo.css")
        assert text.index("password_reset.css") < text.index("brand.css") < own

    def test_dark_pages_have_the_colour_that_the_brand_names(self, fig):
        light, dark = fig.get("/forgot-password/brand.css").content.decode().split("@")
        assert "--pr-brand: #1b5e20;" in light
        assert "--pr-brand: #a5d6a7;" in dark

    def test_or_a_shade_of_the_other_that_can_be_read(self, plum):
        dark = plum.get("/forgot-password/brand.css").content.decode().split("@")[1]
        shade = re.search(r"--pr-brand: (#\w{6})", dark)[1]
        assert contrast(shade, "#141d1c") >= 4.5

    def test_the_default_brand_has_those_of_the_style_sheet_alone(self, garden):
        assert "brand.css" not in garden.get("/forgot-password").content.decode()
        assert garden.get("/forgot-password/brand.css").content == b""

    def test_nothing_of_the_address_reaches_it(self, plum):
        style = plum.get("/forgot-password/brand.css?}body{display:none")
        assert "display" not in style.content.decode()


def contrast(one, other):
    """WCAG 2, by another hand than the app's."""

    def luminance(colour):
        values = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [
            v / 12.92 if v < 0.04 else ((v + 0.055) / 1.055) ** 2.4 for v in values
        ]
        return sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    pair = sorted((luminance(one), luminance(other)))
    return (pair[1] + 0.05) / (pair[0] + 0.05)


class TestAdmin:
    @pytest.fixture
    def staff(self, plum):
        plum.force_login(UserFactory(is_staff=True, is_superuser=True))
        return plum

    @pytest.mark.parametrize("page", [REQUESTS, TOKENS, NOTICES])
    def test_lists_say_of_which_brand_a_row_is(self, fig, staff, ada, page):
        spend(fig, mailed_token(fig, ada.email))
        text = staff.get(page).content.decode()
        assert "Feige" in re.search(r'class="field-brand_name">([^<]+)<', text)[1]

    @pytest.mark.parametrize(
        ("value", "found"), [("plum", ["plum"]), ("fig", ["fig"]), ("-", ["", "gone"])]
    )
    def test_and_are_filtered_by_it(self, staff, value, found):
        for key in ("plum", "fig", "", "gone"):
            PasswordResetRequest.objects.create(email=f"{key}@example.com", brand=key)
        rows = staff.get(REQUESTS, {"brand": value}).context["cl"].result_list
        assert sorted(row.brand for row in rows) == found

    def test_a_row_whose_brand_is_gone_says_so(self, staff):
        row = PasswordResetRequest.objects.create(email="a@example.com", brand="gone")
        text = staff.get(f"{REQUESTS}{row.pk}/change/").content.decode()
        assert "gone (removed)" in text

    def test_a_site_of_one_brand_sees_none_of_it(self, staff, three_brands):
        del three_brands.PASSWORD_RESET_BRANDS
        PasswordResetRequest.objects.create(email="a@example.com")
        text = staff.get(REQUESTS).content.decode()
        assert "brand" not in text.replace("branding", "")

    def test_a_link_that_staff_send_is_of_the_brand_where_they_are(self, staff, ada):
        staff.post(
            reverse("admin:password_reset_passwordresetrequest_send", args=[ada.pk])
        )
        assert f"http://{PLUM}/" in mail.outbox[0].body


class TestWalked:
    """Processes of their own, a real mail server, browsers with cookies."""

    @pytest.fixture
    def site(self, processes, smtp_server):
        env = {"DJANGO_SETTINGS_MODULE": "tests.brands.settings"}
        env |= smtp_server.environment
        processes.request_loop(**env)
        return processes.gunicorn(workers=2, **env).url

    @pytest.mark.parametrize(
        ("language", "heading"),
        [("en", "Check your email"), ("de", "Schauen Sie in Ihr Postfach")],
    )
    def test_each_from_the_form_to_the_new_password(
        self, site, smtp_server, language, heading
    ):
        for number, host in enumerate((GARDEN, PLUM, FIG)):
            user = UserFactory(language=language)
            person = at(site, host, language)
            asked = person.submit("/forgot-password", email=user.email)
            assert heading in asked.text
            first = smtp_server.wait_for(2 * number + 1, 60)[-1]
            assert first.recipients == (user.email,)
            assert SUBJECTS[host, language] in str(first.message["Subject"])
            link = re.search(
                rf"http://{host}(/reset-password\?token=(\w+))", first.text
            )
            elsewhere = at(site, NEXT[host], language).open(link[1])
            assert elsewhere.status_code == 404
            passwords = dict.fromkeys(("new_password1", "new_password2"), NEW_PASSWORD)
            saved = person.submit(link[1], token=link[2], **passwords)
            assert saved.url == f"{site}/reset-password/done"
            notice = smtp_server.wait_for(2 * number + 2, 60)[-1]
            assert f"@{host}" in str(notice.message["From"])
            user.refresh_from_db()
            assert user.check_password(NEW_PASSWORD)


NEXT = {GARDEN: PLUM, PLUM: FIG, FIG: GARDEN}
SUBJECTS = {
    (GARDEN, "en"): "Your link to a new password for The Garden",
    (GARDEN, "de"): "Ihr Link zu einem neuen Passwort für The Garden",
    (PLUM, "en"): "Your link to a new password for Plum & Co",
    (PLUM, "de"): "Ihr Link zu einem neuen Passwort für Plum & Co",
    (FIG, "en"): "Ihr Link von Feige",
    (FIG, "de"): "Ihr Link von Feige",
}


def at(site, host, language):
    """Return a person whose browser takes the site for a host and asks in a language."""
    person = Person(site)
    person.browser.headers.update({"Host": host, "Accept-Language": language})
    return person
