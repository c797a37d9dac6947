"""The page that a package index makes of a wheel's description, in Chromium.

Nothing leaves the machine: what the page asks of the code host is answered with the
files of this tree, which are there once its tag is pushed.
"""

import re
from email.message import Message
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, Route, sync_playwright
from readme_renderer import markdown

from tests import ROOT
from tests.kit.browser import launch
from tests.tools.archives import metadata_of
from tests.tools.blocks import anchors

ADDRESS = "https://index.example/project/django-resetkit/"
#: What the code host shows of a branch, and what it serves of it.
SHOWN = re.compile(
    r"https://github\.com/[\w-]+/[\w-]+/(?:blob|tree)/main/([^#]+)#?(.*)"
)
SERVED = re.compile(r"https://raw\.githubusercontent\.com/[\w-]+/[\w-]+/main/(.+)")
FRAME = """<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title>
<style>body {{ font: 16px/1.6 sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem }}
img {{ max-width: 100% }} pre {{ overflow: auto; background: #f4f4f4; padding: 1rem }}
td, th {{ border: 1px solid #ddd; padding: .4rem; vertical-align: top }}</style>
<h1>{name} {version}</h1><ul>{urls}</ul>{page}</html>"""


def rendered(metadata: Message) -> str:
    """Return the page as the index's own renderer writes it, or raise ValueError."""
    text = metadata.get_payload(decode=True)
    assert isinstance(text, bytes)
    page = markdown.render(text.decode())
    if page is None:
        raise ValueError("the index cannot render the description")
    links = [entry.split(", ") for entry in metadata.get_all("Project-URL", [])]
    urls = "".join(f'<li><a href="{url}">{name}</a></li>' for name, url in links)
    return FRAME.format(
        name=metadata["Name"], version=metadata["Version"], urls=urls, page=page
    )


def broken_links(page: Page) -> list[str]:
    """Return the links that lead to nothing: to no page of the tree, to no heading of
    it, to no place on the page itself, or that are relative.
    """
    broken = []
    for link in page.locator("a").evaluate_all(
        "all => all.map(a => a.getAttribute('href'))"
    ):
        found = SHOWN.fullmatch(link or "")
        if found:
            path, anchor = ROOT / found[1], found[2]
            good = path.exists() and (not anchor or anchor in anchors(path.read_text()))
        elif link and link.startswith("#"):
            good = page.locator(f"[id='{link[1:]}']").count() > 0
        else:
            good = bool(link) and urlsplit(link).scheme == "https"
        if not good:
            broken.append(str(link))
    return broken


def broken_pictures(page: Page) -> list[str]:
    """Return the pictures that did not load, or that have no words beside them."""
    return page.locator("img").evaluate_all(
        "all => all.filter(i => !i.naturalWidth || !i.alt).map(i => i.src)"
    )


def look(wheel: Path, picture: Path) -> tuple[int, int, list[str]]:
    """Open the page, take its picture, and return how many links and pictures it has
    and which of them are broken.
    """
    text = rendered(metadata_of(wheel))

    def answer(route: Route) -> None:
        served = SERVED.fullmatch(route.request.url)
        if route.request.url == ADDRESS:
            route.fulfill(body=text, content_type="text/html")
        elif served and (ROOT / served[1]).is_file():
            route.fulfill(path=ROOT / served[1])
        else:
            route.abort()

    with sync_playwright() as playwright, launch(playwright) as browser:
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        page.route("**/*", answer)
        page.goto(ADDRESS, wait_until="networkidle")
        page.screenshot(path=picture, full_page=True)
        found = broken_links(page) + broken_pictures(page)
        counts = page.locator("a").count(), page.locator("img").count()
    return (*counts, found)
