"""The documentation site: built as `make docs` does, opened from the disk, without a
server or another host.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from playwright.sync_api import Browser, Page

from password_reset import metrics
from tests import ROOT
from tests.kit.browser import violations

PAGES = ("index", "tutorial", "settings", "python", "search")
PHONE, DESKTOP = 390, 1280
#: So that none of them takes minutes on a busy machine.
PARTS = 4
MANAGEMENT = ROOT / "password_reset" / "management" / "commands"


def build(source: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    options = ["--builder", "html", "--fail-on-warning", "--keep-going", "--quiet"]
    command = [sys.executable, "-m", "sphinx", *options, "--conf-dir", ROOT / "docs"]
    return subprocess.run(
        [*command, "--doctree-dir", folder / "doctrees", source, folder / "html"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the site."""
    folder = tmp_path_factory.mktemp("documentation")
    result = build(ROOT / "docs", folder)
    assert result.returncode == 0, result.stderr
    return folder / "html"


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Callable[..., Page]]:
    """Open pages of a browser that wants all it needs from this disk."""
    contexts, wanted = [], []

    def opened(scheme: str = "light", width: int = DESKTOP) -> Page:
        size = {"width": width, "height": 900}
        contexts.append(chromium.new_context(color_scheme=scheme, viewport=size))
        page = contexts[-1].new_page()
        page.on("request", lambda one: wanted.append(one.url))
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wanted
    assert [url for url in wanted if not url.startswith(("file:", "data:"))] == []


@pytest.mark.parametrize("name", PAGES)
@pytest.mark.parametrize("width", [PHONE, DESKTOP])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_page_is_accessible_and_fits(site, open_page, name, width, scheme):
    page = open_page(scheme, width)
    page.goto(f"{(site / name).as_uri()}.html")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.mark.parametrize("part", range(PARTS))
def test_every_page_is_accessible_and_fits_a_phone(site, open_page, part):
    page, wrong = open_page(width=PHONE), {}
    pages = sorted(set(site.rglob("*.html")) - set(site.rglob("_static/**/*.html")))
    assert len(pages) > 45
    for path in pages[part::PARTS]:
        page.goto(path.as_uri())
        found = violations(page)
        if (width := page.evaluate("document.documentElement.scrollWidth")) != PHONE:
            found.append(f"is {width} px wide")
        if found:
            wrong[path.relative_to(site).as_posix()] = found
    assert wrong == {}


@pytest.mark.parametrize(
    ("words", "title"),
    [("locked out", "Security"), ("SameSite", "Security"), ("purge", "Commands")],
)
def test_search_finds_without_a_server(site, open_page, words, title):
    page = open_page()
    page.goto((site / "index.html").as_uri())
    page.locator("[name=q]").fill(words)
    page.keyboard.press("Enter")
    found = page.locator("ul.search li > a").get_by_text(title, exact=True)
    found.first.wait_for(timeout=15_000)
    assert violations(page) == []


def test_the_pictures_have_words_for_who_cannot_see_them(site, open_page):
    page = open_page()
    page.goto((site / "architecture.html").as_uri())
    pictures = page.locator("svg.picture")
    assert pictures.count() == 3
    for picture in pictures.all():
        assert len(picture.locator("desc").text_content()) > 200
        name = picture.locator("title").text_content()
        assert page.get_by_role("img", name=name, exact=True).count() == 1


# What the reference is written from


def test_every_command_is_in_the_reference(site: Path) -> None:
    text = (site / "commands.html").read_text()
    names = [path.stem for path in MANAGEMENT.glob("[!_]*.py")]
    assert len(names) > 5
    assert [name for name in names if f"<h2>{name}<" not in text] == []


def test_every_metric_is_in_the_reference(site: Path) -> None:
    text = (site / "metrics.html").read_text().replace("<wbr>", "")
    names = [
        metric.describe()[0].name
        for metric in vars(metrics).values()
        if hasattr(metric, "describe")
    ]
    assert len(names) > 15
    assert [name for name in names if f'"pre">{name}' not in text] == []


def test_every_endpoint_is_in_the_reference(site: Path) -> None:
    text = (site / "endpoints.html").read_text()
    document = yaml.safe_load((ROOT / "password_reset" / "openapi.yaml").read_text())
    assert [path for path in document["paths"] if f">POST {path}<" not in text] == []


# What does not pass


def test_a_dead_link_and_a_page_in_no_navigation_are_errors(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "index.md").write_text(
        "# A site\n\n[gone](gone.md)\n\n[no heading](index.md#no-heading)\n"
    )
    (source / "lost.md").write_text("# Lost\n")
    result = build(source, tmp_path)
    assert result.returncode != 0
    for words in ("gone.md", "no-heading", "lost.md: WARNING: document isn't included"):
        assert words in result.stderr
