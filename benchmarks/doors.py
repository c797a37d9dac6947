"""How to knock on each site: ask for a mail, spend its link."""

import json
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from benchmarks.client import Answer, Client, hidden_fields
from benchmarks.processes import ROOT


@dataclass(frozen=True)
class Site:
    """A way to reset passwords, as a visitor sees it."""

    name: str
    settings: str
    request_path: str
    distribution: str = ""
    has_worker: bool = False
    root: Path = ROOT
    token_travels_with_password: bool = True

    def prepare(self, client: Client, email: str) -> bytes:
        """Return the bytes of a request for a mail, ready to be sent many times."""
        raise NotImplementedError

    def spend(self, client: Client, link: str, password: str) -> bytes:
        """Open a link; return the bytes that set the password."""
        raise NotImplementedError

    def forge(self, message: bytes, link: str) -> bytes:
        """Put a token of the right shape that was never issued in the place of the
        link's.
        """
        token = link.rpartition("=")[2].rstrip("/").rpartition("/")[2].encode()
        tail = token.rpartition(b"-")[2]
        return message.replace(tail, token_hex(len(tail)).encode()[: len(tail)])

    def succeeded(self, answer: Answer) -> bool:
        """Say whether the password was set."""
        raise NotImplementedError


@dataclass(frozen=True)
class Pages(Site):
    """A site for people: forms with CSRF protection."""

    password_fields: tuple[str, str] = ("new_password1", "new_password2")

    def prepare(self, client: Client, email: str) -> bytes:
        """Fetch the form once for its CSRF token; the visitor's cookies keep it valid."""
        if not client.cookies:
            client.hidden = hidden_fields(client.get(self.request_path).body)
        return client.form(self.request_path, {**client.hidden, "email": email})

    def spend(self, client: Client, link: str, password: str) -> bytes:
        """Follow the link to its form and fill it in."""
        path, page = client.follow(link)
        fields = hidden_fields(page.body)
        fields.update(dict.fromkeys(self.password_fields, password))
        return client.form(path.partition("?")[0], fields)

    def succeeded(self, answer: Answer) -> bool:
        """Say whether the answer leads to the page after a reset."""
        return answer.status == 302


@dataclass(frozen=True)
class Programs(Site):
    """A site for programs: JSON."""

    confirm_path: str = ""

    def prepare(self, client: Client, email: str) -> bytes:
        """Return the JSON request."""
        return self._post(client, self.request_path, {"email": email})

    def spend(self, client: Client, link: str, password: str) -> bytes:
        """Take the token out of the link and send it with the password."""
        return self._post(client, self.confirm_path, self._fields(link, password))

    def succeeded(self, answer: Answer) -> bool:
        """Say whether the answer is a success."""
        return 200 <= answer.status < 300

    @staticmethod
    def _post(client: Client, path: str, body: dict[str, str]) -> bytes:
        return client.message(
            "POST", path, json.dumps(body).encode(), "application/json"
        )

    @staticmethod
    def _fields(link: str, password: str) -> dict[str, str]:
        return {"token": link.rpartition("=")[2], "password": password}


@dataclass(frozen=True)
class Djoser(Programs):
    """djoser's link carries a user id beside the token."""

    @staticmethod
    def _fields(link: str, password: str) -> dict[str, str]:
        uid, token = link.rstrip("/").split("/")[-2:]
        return {"uid": uid, "token": token, "new_password": password}


FLOOR = Pages("floor", "benchmarks.sites.floor.settings", "/wish")
OURS = Pages(
    "this app",
    "benchmarks.sites.ours.settings",
    "/forgot-password",
    distribution="django-resetkit",
    has_worker=True,
)
WITHOUT_QUEUE = Pages(
    "without a task queue",
    "benchmarks.sites.ours.without_queue",
    "/forgot-password",
    has_worker=True,
)
EMBEDDED = Pages(
    "embedded worker",
    "benchmarks.sites.ours.embedded",
    "/forgot-password",
    has_worker=True,
)
DEMO = Pages(
    "the demo", "benchmarks.sites.demo.settings", "/forgot-password", has_worker=True
)
CONTRIB_AUTH = Pages(
    "contrib.auth",
    "benchmarks.sites.contrib_auth.settings",
    "/password_reset/",
    distribution="Django",
    token_travels_with_password=False,
)
PEERS = (
    CONTRIB_AUTH,
    Pages(
        "allauth",
        "benchmarks.sites.allauth.settings",
        "/accounts/password/reset/",
        distribution="django-allauth",
        token_travels_with_password=False,
        password_fields=("password1", "password2"),
    ),
    Programs(
        "rest-passwordreset",
        "benchmarks.sites.rest_passwordreset.settings",
        "/api/password_reset/",
        distribution="django-rest-passwordreset",
        confirm_path="/api/password_reset/confirm/",
    ),
    Djoser(
        "djoser",
        "benchmarks.sites.djoser.settings",
        "/auth/users/reset_password/",
        distribution="djoser",
        confirm_path="/auth/users/reset_password_confirm/",
    ),
)
