"""A visitor with an address of its own, who otherwise acts as the end-to-end run's
browser does.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from deploy.e2e.browser import Browser


class FromAddress(HTTPAdapter):
    """Connect from one of this machine's addresses."""

    def __init__(self, address: str) -> None:
        self.address = address
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        super().init_poolmanager(
            *arguments, source_address=(self.address, 0), **options
        )


class Visitor(Browser):
    """Somebody in front of the site."""

    def __init__(self, url: str, address: str, ca: Path) -> None:
        super().__init__(url, str(ca))
        self.address = address
        self.session.mount("https://", FromAddress(address))

    def ask_for_link(
        self, email: str, headers: Mapping[str, str] | None = None
    ) -> requests.Response:
        return self.submit("/forgot-password", headers, email=email)

    def choose(self, link: str, password: str) -> requests.Response:
        return self.submit(link, new_password1=password, new_password2=password)
