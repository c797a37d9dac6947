"""The emails as mail programs show them: in Chromium, with their style sheet and
without, and by caniemail.com's table of what programs leave out.
"""

import json
import re
import subprocess
from pathlib import Path

import pytest
from django.conf import settings
from django.core import mail

from tests import ROOT
from tests.kit import states
from tests.kit.browser import BUTTON, violations
from tests.kit.programs import find_program, missing
from tests.kit.states import Stage
from tests.tools.factories import UserFactory

pytestmark = pytest.mark.django_db(transaction=True)

LANGUAGES = [code for code, _ in settings.LANGUAGES]
VALIDATORS = ROOT / ".cache" / "validator"
STYLE = re.compile(r"<style>.*?</style>", re.DOTALL)
WIDTHS = (320, 680)
#: Landmarks and a first heading are the mail program's page's.
WCAG = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")

BEYOND = """() => document.documentElement.scrollWidth <= innerWidth ? []
  : [...document.querySelectorAll("body *")]
    .filter((each) => each.getBoundingClientRect().right > innerWidth)
    .filter((each) => !each.children.length)
    .map((each) => each.outerHTML)"""

#: What some program leaves out of the part that needs no style sheet, and what its
#: reader has instead.
FALLBACKS = {
    "lang attribute": "the program's own language for reading aloud",
    "role attribute": "a screen reader names the table",
    "<bdi> element": "a device's name in the order of its letters",
    "<body> element": "the same colour stands on the cell around the card",
    "border-radius": "square corners",
    "white-space": "a label may break into two lines",
    "word-break": "a long link scrolls; the button above it does not",
    "text-decoration": "an underlined button",
    "display:none": "the preheader is read twice",
    "overflow": "as above, where a program does not know display:none either",
    "height property": "the line's own height",
    "height attribute": "a flat picture",
    "width attribute": "margins as wide as their content",
    "mailto: links": "the address to copy",
}


def letters(stage):
    """Return the emails of a person, without a mail program's own frame."""
    states.complete(stage)
    states.without_a_password(stage)
    return [str(message.alternatives[0][0]) for message in mail.outbox]


@pytest.fixture
def reader(windows, strict):
    """Make a stage whose account reads a language; its window is open at any width."""
    strict.PASSWORD_RESET_CODES = True
    strict.PASSWORD_RESET_SUPPORT_EMAIL = "help@example.com"

    def reader(language):
        user = UserFactory.create(
            email="ada@example.com", first_name="Ada", language=language
        )
        return Stage(windows(), user, strict)

    return reader


def show(page, html, width, scheme):
    page.set_viewport_size({"width": width, "height": 700})
    page.emulate_media(color_scheme=scheme)
    page.set_content(html)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", LANGUAGES)
def test_they_are_readable_with_their_style_sheet_and_without(language, scheme, reader):
    stage = reader(language)
    found = letters(stage)
    page = stage.window.context.new_page()
    for html in (*found, *(STYLE.sub("", each) for each in found)):
        for width in WIDTHS:
            show(page, html, width, scheme)
            assert page.evaluate(BEYOND) == []
        assert violations(page, *WCAG) == []
    assert len(found) == 3


def test_the_button_is_large_and_in_the_first_screen_of_a_phone(reader):
    stage = reader("")
    link = letters(stage)[0]
    page = stage.window.context.new_page()
    for html in (link, STYLE.sub("", link)):
        show(page, html, 360, "light")
        box = page.locator(BUTTON).first.bounding_box()
        assert box["height"] >= 44
        assert box["y"] + box["height"] <= 700


def left_out(html: str) -> dict[str, list[str]]:
    """Return which features are left out by which mail programs."""
    if not (VALIDATORS / "node_modules" / "caniemail").exists():
        missing("npm")
    script = Path(__file__).with_name("caniemail.mjs")
    command = [find_program("node", "nodejs"), script, VALIDATORS]
    told = subprocess.run(
        command, input=html, check=True, capture_output=True, text=True
    )
    features: dict[str, list[str]] = json.loads(told.stdout)
    return features


def test_what_a_mail_program_leaves_out_has_something_in_its_place(reader):
    """And a feature that is no longer used or is known everywhere leaves the list."""
    found = [STYLE.sub("", html) for html in letters(reader("ar"))]
    assert sorted({name for html in found for name in left_out(html)}) == sorted(
        FALLBACKS
    )
