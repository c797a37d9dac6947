"""The documents name everything that a host can set, hear or run."""

import ast
import inspect
import re
import tomllib
from datetime import timedelta

import pytest

from docs.extension import pictures
from password_reset import checks, signals
from password_reset.checks.recipes import PACKAGES
from password_reset.conf import PREFIX, Settings, conf
from tests import ROOT
from tests.tools.blocks import anchor, anchors

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


#: Whose default is a rule, and so is told in words.
TOLD_IN_WORDS = {
    "APP_NAME",
    "BASE_URL",
    "BRAND_OF",
    "FROM_EMAIL",
    "LOGIN_PROVIDERS",
    "REQUEST_RATE_PER_DEVICE",
    "STAFF_RATE_PER_EMAIL",
    "TASK_BACKEND",
    "USER_FINDER",
}
DEFAULT = re.compile(r"^\| `([A-Z0-9_]+)` \| (?:.*\()?`([^`]+)`\)? \|", re.MULTILINE)


@pytest.mark.parametrize("name", sorted({*SETTINGS} - TOLD_IN_WORDS))
def test_the_default_of_a_setting_is_that_of_the_code(name, settings):
    for other in SETTINGS:
        if hasattr(settings, PREFIX + other):
            delattr(settings, PREFIX + other)
    section = (DOCS / "settings.md").read_text().partition("\n## Brands")[0]
    said = value_of(dict(DEFAULT.findall(section))[name])
    value = getattr(conf, name.lower())
    assert plain(value) == plain(said)


def value_of(text):
    """Return what an expression of the table stands for."""
    if found := re.fullmatch(r"timedelta\((?:(\w+)=)?(\d+)\)", text):
        return timedelta(**{found[1] or "days": int(found[2])})
    return ast.literal_eval(text)


def plain(value):
    """Return rates as they are written, and nothing as `None`."""
    if isinstance(value, tuple) and all(isinstance(one, str) for one in value):
        value = " ".join(value)
    return None if value in ("", (), [], {}) else value


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


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.name)
def test_every_link_between_the_documents_leads_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", ["README.md", "SECURITY.md"])
def test_every_link_from_the_root_leads_to_a_heading(page):
    for target in re.findall(r"\]\((?!https?:)([^)]+)", (ROOT / page).read_text()):
        path, _, heading = target.partition("#")
        found = ROOT / (path or page)
        assert found.exists(), target
        assert not heading or heading in anchors(found.read_text()), target


@pytest.mark.parametrize("name", pictures.names())
def test_a_picture_is_what_its_text_draws(name):
    """`make pictures` draws it."""
    assert (DOCS / "images" / f"{name}.svg").read_text() == pictures.drawn(name)


RULES = (ROOT / "deploy" / "prometheus" / "rules.yml").read_text()


@pytest.mark.parametrize("alert", re.findall(r"- alert: (\w+)", RULES))
def test_every_alert_has_its_page(alert):
    text = (DOCS / "operating.md").read_text()
    (target,) = re.findall(
        rf"^\|.*`{alert}`.* \| \[.*\]\(#(.*)\) \|$", text, re.MULTILINE
    )
    pages = {anchor(page.partition("\n")[0]): page for page in text.split("\n## ")[1:]}
    assert f"`{alert}`" in pages[target]


@pytest.mark.parametrize("alert", re.findall(r"- alert: (\w+)", RULES))
def test_every_alert_is_in_the_deployment_guide(alert):
    assert f"`{alert}`" in (ROOT / "deploy" / "DEPLOYMENT.md").read_text()


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
