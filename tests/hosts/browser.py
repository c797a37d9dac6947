"""A browser without a window: it reads pages, keeps cookies, and sends the forms that
it finds, to where they say.
"""

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urldefrag, urljoin, urlsplit

import requests

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@dataclass
class Form:
    """A form and the values that its fields have from the start."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)


class Reader(HTMLParser):
    """Collect what a page links to, loads and asks."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.assets: list[str] = []
        self.forms: list[Form] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        match tag:
            case "a":
                self.links.append(values.get("href", ""))
            case "link":
                self.assets.append(values.get("href", ""))
            case "script" | "img":
                self.assets.append(values.get("src", ""))
            case "form":
                self.forms.append(Form(values.get("action", "")))
            case "input" | "select" | "textarea" | "button":
                if self.forms and values.get("name"):
                    self.forms[-1].fields[values["name"]] = values.get("value", "")


class Page:
    """What came, after all redirects."""

    def __init__(self, browser: "Browser", response: requests.Response) -> None:
        self.browser = browser
        self.response = response
        self.status = response.status_code
        self.text = response.text
        self.path = urlsplit(response.url).path
        self.read = Reader(self.text)

    def submit(self, **filled: str) -> "Page":
        """Fill in and send the form that has these fields and, where several have them,
        posts to this very page.
        """
        fitting = [one for one in self.read.forms if set(filled) <= set(one.fields)]
        if len(fitting) > 1:
            fitting = [one for one in fitting if self._target(one) == self.response.url]
        [form] = fitting
        url = self._target(form)
        return self.browser.post(url, form.fields | filled, self.response.url)

    def _target(self, form: Form) -> str:
        return urljoin(self.response.url, form.action or self.response.url)

    def links(self) -> set[str]:
        """Return the URLs of this site that the page links to."""
        return self._here(self.read.links)

    def assets(self) -> set[str]:
        return self._here(self.read.assets)

    def _here(self, targets: list[str]) -> set[str]:
        urls = {
            urldefrag(urljoin(self.response.url, target)).url
            for target in targets
            if target
        }
        return {url for url in urls if url.startswith(self.browser.origin + "/")}


class Browser:
    """Somebody in front of one site; a new one knows no cookie."""

    def __init__(self, origin: str, language: str = "en") -> None:
        self.origin = origin
        self.session = requests.Session()
        self.session.headers.update(
            {"User-Agent": FIREFOX, "Accept-Language": language}
        )

    def open(self, path: str) -> Page:
        return Page(self, self.session.get(urljoin(self.origin, path), timeout=30))

    def post(self, url: str, fields: dict[str, str], referer: str) -> Page:
        headers = {"Origin": self.origin, "Referer": referer}
        return Page(self, self.session.post(url, fields, headers=headers, timeout=30))
