"""Ten languages: complete, with every placeholder, and compiled as they stand."""

import ast
import re
from pathlib import Path

import polib
import pytest
from django.conf import settings
from django.utils import translation
from django.utils.translation.template import templatize

from tests import ROOT

PACKAGE = ROOT / "password_reset"
CATALOGUES = sorted(PACKAGE.glob("locale/*/LC_MESSAGES/django.po"))
LANGUAGES = {"de", "fr", "es", "pt_BR", "it", "nl", "pl", "ja", "zh_Hans", "ar"}
MARKERS = {"_", "gettext", "gettext_lazy", "ngettext", "ngettext_lazy"}
WITH_CONTEXT = {"pgettext", "pgettext_lazy", "npgettext", "npgettext_lazy"}
LITERAL = r"u?'(?:[^'\\]|\\.)*'|u?\"(?:[^\"\\]|\\.)*\""
IN_TEMPLATE = re.compile(rf"\b(p?)n?gettext\((?:({LITERAL}), )?({LITERAL})")
PLACEHOLDER = re.compile(r"%\(\w+\)[sd]|\{\w+\}")
COUNTS = {"%(count)d", "%(counter)s"}
# Arabic says "an hour" and "two hours" as words of their own: a numeral beside them is
# wrong, and each of these two forms stands for that one number.
WITHOUT_NUMBER = {("ar", 1), ("ar", 2)}
MARKUP = re.compile(r"[<>]")
#: French: a line must not begin with what ends the one before.
LOOSE = re.compile("[^\u00a0\u202f](?:[:;?!»](?!\\S)|»)|«(?!\u00a0)")
#: The words of the address that a language does not use: docs/translating.md says which
#: one it does.
OTHER_ADDRESS = {
    "de": r"\b([Dd]u|[Dd]ein\w*|[Dd]ir|[Dd]ich|[Ee]uch|[Ee]uer\w*)\b",
    "es": r"\b[Uu]sted(es)?\b",
    "fr": r"\b([Tt]u|[Tt]on|[Tt]es|[Tt]oi)\b",
    "it": r"\b(Lei|Suo|Sua|Suoi|Sue)\b",
    "nl": r"\b([Uu]|[Uu]w)\b",
    "pl": r"\b(Pan|Pani|Pana|Panu|Panią|Państw\w*)\b",
    "pt_BR": r"\b([Tt]u|[Tt]eus?|[Tt]uas?|[Oo] senhor|[Aa] senhora)\b",
    "zh_Hans": r"你",
}


def language(path: Path) -> str:
    return path.parent.parent.name


every_catalogue = pytest.mark.parametrize("path", CATALOGUES, ids=language)


def marked_in_python() -> set[tuple[str | None, str]]:
    """Context and text of all that the package's modules mark for translation."""
    nodes = (
        node
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
    )
    calls = [
        node
        for node in nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    marked = [(None, call.args[0]) for call in calls if call.func.id in MARKERS]
    marked += [
        (call.args[0].value, call.args[1])
        for call in calls
        if call.func.id in WITH_CONTEXT
    ]
    return {
        (context, argument.value)
        for context, argument in marked
        if isinstance(argument, ast.Constant)
    }


def marked_in_templates() -> set[tuple[str | None, str]]:
    """Context and text of all that the package's templates mark for translation."""
    sources = (
        templatize(path.read_text()) for path in (PACKAGE / "templates").rglob("*.*")
    )
    found = [match for source in sources for match in IN_TEMPLATE.findall(source)]
    return {
        (ast.literal_eval(first), ast.literal_eval(second))
        if context
        else (None, ast.literal_eval(first or second))
        for context, first, second in found
    }


def sentences(entry: polib.POEntry) -> list[str]:
    return list(entry.msgstr_plural.values()) or [entry.msgstr]


def spoken(
    catalogue: polib.POFile | polib.MOFile,
) -> dict[tuple[str | None, str], list[str]]:
    return {(entry.msgctxt, entry.msgid): sentences(entry) for entry in catalogue}


def test_there_are_ten_languages_and_the_demo_offers_them():
    assert {language(path) for path in CATALOGUES} == LANGUAGES
    assert {
        translation.to_locale(code) for code, _ in settings.LANGUAGES
    } == LANGUAGES | {"en"}


@every_catalogue
def test_every_sentence_of_the_package_is_translated(path):
    catalogue = polib.pofile(str(path))
    translated = {(each.msgctxt, each.msgid) for each in catalogue.translated_entries()}
    assert not (marked_in_python() | marked_in_templates()) - translated


@every_catalogue
def test_nothing_is_incomplete_or_fuzzy_or_left_over(path):
    catalogue = polib.pofile(str(path), check_for_duplicates=True)
    assert catalogue.percent_translated() == 100
    assert not catalogue.fuzzy_entries()
    assert not catalogue.obsolete_entries()


@every_catalogue
def test_no_placeholder_is_lost_or_invented(path):
    for entry in polib.pofile(str(path)):
        wanted = sorted(PLACEHOLDER.findall(entry.msgid))
        for form, sentence in enumerate(sentences(entry)):
            allowed = [wanted]
            if (language(path), form) in WITHOUT_NUMBER:
                allowed.append([name for name in wanted if name not in COUNTS])
            assert sorted(PLACEHOLDER.findall(sentence)) in allowed, entry.msgid


@every_catalogue
def test_every_plural_form_of_the_language_is_there(path):
    catalogue = polib.pofile(str(path))
    count = int(re.search(r"nplurals=(\d)", catalogue.metadata["Plural-Forms"])[1])
    for entry in catalogue:
        assert not entry.msgid_plural or len(entry.msgstr_plural) == count, entry.msgid


@every_catalogue
def test_no_translation_brings_markup(path):
    assert not [
        entry.msgid
        for entry in polib.pofile(str(path))
        if any(map(MARKUP.search, sentences(entry)))
    ]


def test_french_punctuation_stays_with_its_word():
    [path] = [path for path in CATALOGUES if language(path) == "fr"]
    assert not [
        sentence
        for entry in polib.pofile(str(path))
        for sentence in sentences(entry)
        if LOOSE.search(sentence)
    ]


@pytest.mark.parametrize("name", OTHER_ADDRESS)
def test_readers_are_addressed_the_same_throughout(name):
    [path] = [path for path in CATALOGUES if language(path) == name]
    other = re.compile(OTHER_ADDRESS[name])
    assert not [
        sentence
        for entry in polib.pofile(str(path))
        for sentence in sentences(entry)
        if other.search(sentence)
    ]


@every_catalogue
def test_the_compiled_catalogue_is_up_to_date(path):
    compiled = polib.mofile(str(path.with_suffix(".mo")))
    assert spoken(compiled) == spoken(polib.pofile(str(path)))


@pytest.mark.parametrize("code", [code for code, _ in settings.LANGUAGES])
def test_a_page_speaks_the_language_of_the_browser(client, code):
    response = client.get("/forgot-password", headers={"Accept-Language": code})
    with translation.override(code):
        assert (
            f"<h1>{translation.gettext('Forgot your password?')}</h1>"
            in response.content.decode()
        )
    direction = "rtl" if code == "ar" else "ltr"
    assert f'<html lang="{code}" dir="{direction}">' in response.content.decode()
