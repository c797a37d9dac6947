"""The guide for the people of a site says what the pages say, in every language."""

import re

import pytest
from django.conf import settings
from django.utils.translation import gettext, override

from tests import ROOT

GUIDE = (ROOT / "docs" / "user-guide.md").read_text()
TEXT, _, TABLES = GUIDE.partition("## The words in other languages")
WORDS = sorted(set(re.findall(r"(?<!\*)\*([^*\n]+)\*(?!\*)", TEXT)))
NAMES = {code: name for code, name in settings.LANGUAGES if code != "en"}


@pytest.mark.parametrize("code", NAMES)
def test_the_words_of_the_pages_are_the_guide_s(code):
    section = TABLES.partition(f"### {NAMES[code]}\n")[2].partition("###")[0]
    rows = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", section, re.MULTILINE)[1:])
    with override(code):
        assert rows == {word: gettext(word) for word in WORDS}


def test_what_is_in_italics_stands_on_a_page():
    with override("de"):
        assert [word for word in WORDS if gettext(word) == word] == []
