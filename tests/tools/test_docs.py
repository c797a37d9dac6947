"""The documents name everything that a host can set, hear or run."""

import inspect
import re
import tomllib

import pytest

from password_reset import checks, signals
from password_reset.checks.recipes import PACKAGES
from password_reset.conf import Settings
from tests import ROOT

DOCS = ROOT / "docs"
SETTINGS = [
    name.upper()
    for name, value in vars(Settings).items()
    if isinstance(value, property)
]
CHECK_IDS = re.findall(
    r'id="password_reset\.(\w+)"',
    "".join(
        map(
            inspect.getsource,
            (
                checks.sending,
                checks.limits,
                checks.site,
                checks.other_flows,
                checks.accounts,
                checks.brand_looks,
                checks.brands,
            ),
        )
    ),
)
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
    "optional-dependencies"
]
SIGNALS = [
    name for name, value in vars(signals).items() if isinstance(value, signals.Signal)
]


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_has_a_row(name):
    assert f"| `{name}` |" in (DOCS / "settings.md").read_text()


@pytest.mark.parametrize("check_id", CHECK_IDS)
def test_every_check_has_a_row(check_id):
    assert f"| `{check_id}` " in (DOCS / "settings.md").read_text()


@pytest.mark.parametrize("name", SIGNALS)
def test_every_signal_is_documented(name):
    assert f"`{name}`" in (DOCS / "integrating.md").read_text()


@pytest.mark.parametrize("extra", EXTRAS)
def test_every_extra_is_documented(extra):
    assert f"`{extra}`" in (DOCS / "integrating.md").read_text()
    assert f"extra `{extra}`" in (ROOT / "CONTRIBUTING.md").read_text()


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_every_link_between_the_documents_leads_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


#: Where docs/migrating.md finds the include of each package.
PREFIXES = {
    "django.contrib.auth": "accounts/",
    "django-allauth": "accounts/",
    "django-allauth (headless)": "_allauth/",
    "djoser": "auth/users/",
    "dj-rest-auth": "dj-rest-auth/",
    "django-rest-passwordreset": "api/password_reset/",
    "Wagtail": "cms/",
    "django-oscar": "",
}


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_the_recipe_of_a_package_is_explained(package):
    lines = package.lines.replace("{prefix}", PREFIXES[package.name])
    assert unwrapped(lines) in unwrapped((DOCS / "migrating.md").read_text())


def unwrapped(code):
    """Return code that does not depend on where its lines break."""
    return "".join(code.split()).replace(",)", ")")
