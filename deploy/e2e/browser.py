"""A person in front of a deployed site: cookies, forms, links."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin

import requests

HIDDEN = re.compile(r'<input type="hidden" name="([^"]+)"[^>]* value="([^"]*)"')
ACTION = re.compile(r'<form[^>]* action="([^"]+)"')


class Browser:
    """Follows no redirect by itself, so that each answer can be looked at."""

    def __init__(self, base_url: str, ca: str | None) -> None:
        self.base_url = base_url
        self.session = requests.Session()
        self.options: dict[str, Any] = {"timeout": 20, "allow_redirects": False}
        self.options["verify"] = ca or True

    def get(
        self, path: str, headers: Mapping[str, str] | None = None
    ) -> requests.Response:
        """Load a path of the site, or a link as it is in an email."""
        address = path if path.startswith("https://") else self.base_url + path
        return self.session.get(address, headers=headers, **self.options)

    def submit(
        self, path: str, headers: Mapping[str, str] | None = None, **fields: str
    ) -> requests.Response:
        """Load a page and send its first form, hidden fields included."""
        page = self.get(path)
        action = ACTION.search(page.text)
        target = urljoin(page.url, action[1] if action else page.url.partition("?")[0])
        where_from = {"Origin": self.base_url, "Referer": f"{self.base_url}/"}
        return self.session.post(
            target,
            data=dict(HIDDEN.findall(page.text)) | fields,
            headers=where_from | dict(headers or {}),
            **self.options,
        )

    def post_json(self, path: str, body: object) -> requests.Response:
        return self.session.post(self.base_url + path, json=body, **self.options)

    def log_in(self, email: str, password: str) -> bool:
        return (
            self.submit("/login", username=email, password=password).status_code == 302
        )

    def is_logged_in(self) -> bool:
        return self.get("/account").status_code == 200
