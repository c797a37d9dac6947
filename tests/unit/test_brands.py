"""Which brand a host has, and what the checks say of brands."""

import json
import os
import subprocess
import sys

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.test import RequestFactory

from password_reset import brands, colours
from password_reset.conf import conf
from password_reset.visitors import brand_of
from tests import ROOT

pytestmark = pytest.mark.django_db

PLUM = {
    "APP_NAME": "Plum",
    "BASE_URL": "https://plum.example",
    "FROM_EMAIL": "post@plum.example",
}
FIG = PLUM | {"BASE_URL": "https://fig.example", "FROM_EMAIL": "post@fig.example"}


@pytest.fixture
def two(settings):
    settings.DEBUG = False
    settings.PASSWORD_RESET_BASE_URL = "https://garden.example"
    settings.PASSWORD_RESET_BRANDS = {"plum": PLUM, "fig": FIG}
    settings.ALLOWED_HOSTS = [".example"]
    return settings


def plum_with(settings, **options):
    settings.PASSWORD_RESET_BRANDS = {"plum": PLUM | options, "fig": FIG}


def found(*ids, databases=None):
    """Return what the checks with these ids say, each with its hint."""
    wanted = {f"password_reset.{one}" for one in ids}
    messages = run_checks(databases=databases)
    return [(one.msg, one.hint) for one in messages if one.id in wanted]


class TestOfHost:
    @pytest.mark.parametrize(
        ("host", "key"),
        [
            ("plum.example", "plum"),
            ("PLUM.example:8443", "plum"),
            ("plum.example.", "plum"),
            ("fig.example", "fig"),
            ("garden.example", ""),
            ("www.plum.example", ""),
            ("plum.example.evil.example", ""),
            ("evil.test", ""),
            ("plum.example@evil.test", ""),
        ],
    )
    def test_it_is_the_one_of_the_base_url(self, two, host, key):
        request = RequestFactory().get("/", headers={"host": host})
        assert brand_of(request).key == key

    def test_letters_beyond_ascii_are_compared_as_browsers_send_them(self, two):
        plum_with(two, BASE_URL="https://zwetschge-größe.example")
        host = brands.host_of("https://zwetschge-größe.example")
        assert brands.key_of(host) == "plum"

    def test_a_function_of_the_host_decides(self, two):
        two.PASSWORD_RESET_BRAND_OF = lambda host: host.split(".")[0]
        assert brands.key_of("fig.test") == "fig"

    @pytest.mark.parametrize("returned", [None, "", "apple", 5, ["plum"]])
    def test_what_is_no_key_is_the_default_brand(self, two, returned):
        two.PASSWORD_RESET_BRAND_OF = lambda host: returned
        assert brands.key_of("plum.example") == ""

    def test_a_function_that_fails_is_the_default_brand_and_logged(self, two, caplog):
        two.PASSWORD_RESET_BRAND_OF = lambda host: 1 / 0
        assert brands.key_of("plum.example") == ""
        assert "PASSWORD_RESET_BRAND_OF failed" in caplog.text

    def test_it_is_asked_once_for_a_request(self, two):
        asked = []
        two.PASSWORD_RESET_BRAND_OF = asked.append
        request = RequestFactory().get("/", headers={"host": "fig.example"})
        assert brand_of(request) == brand_of(request)
        assert asked == ["fig.example"]


SITES = """
import json, django
django.setup()
from django.contrib.sites.models import Site
from django.core.checks import run_checks
from django.core.management import call_command
from password_reset import brands

call_command("migrate", verbosity=0)
Site.objects.create(pk=7, domain="plum.example", name="Plum")
Site.objects.create(pk=8, domain="fig.test:8000", name="Fig")
hosts = "plum.example", "fig.test", "fig.tes", "example.com", "evil.test"
keys = [brands.key_of(host) for host in hosts]
wrong = [m.msg for m in run_checks(databases=["default"]) if m.id.endswith("E032")]
print(json.dumps([keys, wrong]))
"""


def test_one_line_takes_the_domains_of_django_contrib_sites(tmp_path):
    place = {
        "DJANGO_SETTINGS_MODULE": "tests.brands.with_sites",
        "DATABASE_URL": f"sqlite:///{tmp_path / 'sites.sqlite3'}",
    }
    command = [sys.executable, "-c", SITES]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | place, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    keys, wrong = json.loads(done.stdout.splitlines()[-1])
    assert keys == ["plum", "fig", "", "", ""]
    # The domain in the table is another one than that of the links.
    assert len(wrong) == 1
    assert "The links of the brand 'fig' lead to feige.example" in wrong[0]


class TestOptions:
    def test_what_a_brand_does_not_set_is_the_flat_setting(self, two):
        two.PASSWORD_RESET_SUPPORT_URL = "https://help.example/"
        assert brands.get("plum").support_url == "https://help.example/"
        assert brands.get("plum").name == "Plum"

    def test_none_is_not_the_flat_setting(self, two):
        two.PASSWORD_RESET_SUPPORT_URL = "https://help.example/"
        plum_with(two, SUPPORT_URL=None)
        assert brands.get("plum").support_url is None

    def test_a_brand_cannot_be_changed_by_who_is_given_it(self, two):
        with pytest.raises(AttributeError):
            brands.get("plum").base_url = "https://evil.test"

    @pytest.mark.parametrize(
        "value",
        [["plum"], {"Plum": PLUM}, {"": PLUM}, {"a" * 33: PLUM}, {1: PLUM}, {"a": 5}],
    )
    def test_brands_of_another_shape_are_refused_by_name(self, two, value):
        two.PASSWORD_RESET_BRANDS = value
        with pytest.raises(ImproperlyConfigured, match="PASSWORD_RESET_BRANDS"):
            conf.brands  # noqa: B018
        assert "PASSWORD_RESET_BRANDS must be" in found("E002")[0][0]


class TestChecks:
    def test_two_sound_brands_are_silent(self, two):
        ids = [
            "E002",
            "E030",
            "E031",
            "E032",
            "W030",
            "W031",
            "W032",
            "W033",
            "W034",
            "W035",
        ]
        assert found(*ids, databases=["default"]) == []

    @pytest.mark.parametrize(
        ("option", "value"),
        [
            ("BASE_URL", "plum.example"),
            ("BRAND_COLOR", "plum"),
            ("BRAND_COLOR_DARK", "#fff"),
            ("SUPPORT_EMAIL", "nobody"),
            ("LINK_TEMPLATE", "https://plum.example/"),
            ("TEMPLATES", "/etc"),
            ("TEMPLATES", "../other"),
            ("LOGIN_URL", 5),
            ("SITE_ID", "7"),
        ],
    )
    def test_an_option_of_another_shape(self, two, option, value):
        plum_with(two, **{option: value})
        (message,) = found("E002")
        assert f"PASSWORD_RESET_BRANDS['plum']['{option}'] must be" in message[0]

    def test_an_unknown_option_names_the_nearest(self, two):
        plum_with(two, BASE_URI="https://plum.example", app_name="Plum")
        said = found("E030")
        assert "'BASE_URI', which is no option of a brand" in said[0][0]
        assert [hint for _, hint in said] == [
            "Did you mean BASE_URL?",
            "Did you mean APP_NAME?",
        ]

    def test_two_brands_with_one_host(self, two):
        plum_with(two, BASE_URL="https://FIG.example:8443")
        (message,) = found("E031")
        assert message[0] == (
            "The host fig.example is of several brands: the brand 'plum', "
            "the brand 'fig'."
        )

    def test_a_brand_without_a_host_of_its_own(self, two):
        two.PASSWORD_RESET_BRANDS = {"plum": {"FROM_EMAIL": "post@plum.example"}}
        assert "the default brand, the brand 'plum'" in found("E031")[0][0]

    def test_a_function_that_leads_elsewhere(self, two):
        two.PASSWORD_RESET_BRAND_OF = lambda host: "fig"
        said = " ".join(message for message, _ in found("E032", databases=["default"]))
        assert "The links of the brand 'plum' lead to plum.example" in said
        assert "The links of the brand 'fig'" not in said
        assert "The links of the default brand" in said

    def test_links_without_encryption(self, two):
        plum_with(two, BASE_URL="http://plum.example")
        assert "the brand 'plum'" in found("W030")[0][0]
        two.DEBUG = True
        assert not found("W030")

    def test_a_sender_that_is_missing(self, two):
        two.PASSWORD_RESET_BRANDS = {"plum": {"BASE_URL": "https://plum.example"}}
        two.PASSWORD_RESET_FROM_EMAIL = "post@garden.example"
        assert "sent from post@garden.example" in found("W031")[0][0]

    def test_a_colour_that_cannot_be_read_on_light_pages(self, two):
        plum_with(two, BRAND_COLOR="#ffe08a")
        ((message, hint),) = found("W032")
        assert "BRAND_COLOR #ffe08a of the brand 'plum' cannot be read on" in message
        assert "1.3 to 1" in message
        proposed = hint.split("; ")[1].split()[0]
        assert colours.contrast(proposed, "#ffffff") >= 4.5

    def test_a_colour_that_cannot_be_read_on_dark_pages(self, two):
        plum_with(two, BRAND_COLOR="#4a0d2b", BRAND_COLOR_DARK="#4a0d2b")
        ((message, hint),) = found("W032")
        assert "BRAND_COLOR_DARK #4a0d2b" in message
        proposed = hint.split("; ")[1].split()[0]
        assert colours.contrast(proposed, "#141d1c") >= 4.5

    def test_a_folder_without_templates(self, two):
        plum_with(two, TEMPLATES="plums")
        assert "'plums/password_reset/base.html'" in found("W033")[0][1]

    def test_links_to_the_client_of_another_brand(self, two):
        two.PASSWORD_RESET_LINK_TEMPLATE = "https://app.garden.example/#{token}"
        plum_with(two, LINK_TEMPLATE=None)
        (message,) = found("W034")
        assert "The links of the brand 'fig'" in message[0]

    def test_a_host_that_the_site_refuses(self, two):
        two.ALLOWED_HOSTS = ["garden.example", "fig.example"]
        ((message, hint),) = found("W035")
        assert "the brand 'plum'" in message
        assert hint == "Add 'plum.example' to ALLOWED_HOSTS."


class TestColours:
    @pytest.mark.parametrize(
        ("one", "other", "ratio"),
        [
            ("#000000", "#ffffff", 21),
            ("#777777", "#ffffff", 4.48),
            ("#123456",) * 2 + (1,),
        ],
    )
    def test_contrast_is_that_of_wcag(self, one, other, ratio):
        assert colours.contrast(one, other) == pytest.approx(ratio, abs=0.01)

    @pytest.mark.parametrize(
        "colour", ["#000000", "#ffffff", "#ff0000", "#ffe08a", "#777777"]
    )
    def test_words_and_shades_can_be_read_whatever_the_colour(self, colour):
        assert colours.contrast(colours.readable_on(colour), colour) >= 4.5
        for surface in (colours.LIGHT_SURFACE, colours.DARK_SURFACE):
            shade = colours.readable_shade(colour, surface)
            assert colours.contrast(shade, surface) >= 4.5
