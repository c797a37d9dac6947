"""A site in Bootstrap's look: docs/customising.md has its two files."""

import copy
import re
from pathlib import Path

import pytest
from django.contrib.staticfiles import finders

from tests import ROOT
from tests.tools.walk import look

pytestmark = pytest.mark.django_db

HOST = Path(__file__).parent / "bootstrap"
TEMPLATE = HOST / "templates" / "password_reset" / "base.html"
STYLES = HOST / "static" / "shop" / "bootstrap-flow.css"


@pytest.fixture(autouse=True)
def shop(settings):
    templates = copy.deepcopy(settings.TEMPLATES)
    templates[0]["DIRS"] = [HOST / "templates"]
    settings.TEMPLATES = templates
    settings.STATICFILES_DIRS = [HOST / "static"]
    finders.get_finder.cache_clear()
    yield
    finders.get_finder.cache_clear()


def test_its_style_sheets_come_in_the_order_that_they_need(client):
    for page in (client.get("/forgot-password"), look(client, "0" * 64)):
        names = re.findall(r'/([\w-]+)(?:\.min)?\.css"', page.content.decode())
        assert names == ["password_reset", "bootstrap", "bootstrap-flow"]


def test_its_variables_are_those_of_the_flow():
    ours = Path(finders.find("password_reset/password_reset.css")).read_text()
    names = re.findall(r"(--pr-[\w-]+):", STYLES.read_text())
    assert len(names) == 11
    assert all(f"  {name}:" in ours for name in names)


@pytest.mark.parametrize("file", [TEMPLATE, STYLES], ids=lambda file: file.name)
def test_the_document_has_it_as_it_is(file):
    lines = [line for line in file.read_text().splitlines() if "/*" not in line]
    document = (ROOT / "docs" / "customising.md").read_text()
    assert all(line in document for line in lines)
