"""A run against a deployed site, from outside: a base URL, an account of your own, and
its mailbox.

    ENVIRONMENT=production E2E_PASSWORD=… E2E_MAILBOX=imaps://user:password@imap.yourapp.com/INBOX \
      pytest -c deploy/e2e/pytest.ini deploy/e2e --base-url https://yourapp.com --email e2e@yourapp.com

E2E_MAILBOX may also be the mail catcher of compose.yaml: maildev+http://127.0.0.1:1080.
Needs pytest and requests. The account's password is the same before and after the run;
everybody who is logged in to it is logged out. Asks for one link, so it may run three
times an hour from one address.
"""

import os
import secrets
from collections.abc import Iterator

import pytest
from browser import Browser
from mailbox_reader import Mailbox, open_mailbox


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("deployed site")
    group.addoption("--base-url", required=False, help="such as https://yourapp.com")
    group.addoption("--email", help="the address of an account kept for this test")
    group.addoption(
        "--ca", help="a file with the authority to trust instead of the public ones"
    )
    group.addoption(
        "--http-url", help="where plain HTTP is answered; from --base-url by default"
    )


@pytest.fixture(scope="session")
def base_url(request: pytest.FixtureRequest) -> str:
    url = request.config.getoption("--base-url")
    if not url:
        pytest.fail("name the site with --base-url")
    return str(url).rstrip("/")


@pytest.fixture(scope="session")
def http_url(request: pytest.FixtureRequest, base_url: str) -> str:
    return str(
        request.config.getoption("--http-url")
        or base_url.replace("https://", "http://")
    )


@pytest.fixture(scope="session")
def email(request: pytest.FixtureRequest) -> str:
    return str(
        request.config.getoption("--email")
        or pytest.fail("name the account with --email")
    )


@pytest.fixture(scope="session")
def password() -> str:
    return os.environ.get("E2E_PASSWORD") or pytest.fail(
        "give the account's password in E2E_PASSWORD"
    )


@pytest.fixture(scope="session")
def mailbox(email: str) -> Iterator[Mailbox]:
    address = os.environ.get("E2E_MAILBOX") or pytest.fail(
        "give the mailbox in E2E_MAILBOX"
    )
    box = open_mailbox(address, email)
    yield box
    box.close()


@pytest.fixture(scope="session")
def ca(request: pytest.FixtureRequest) -> str | None:
    found: str | None = request.config.getoption("--ca")
    return found


@pytest.fixture
def browser(base_url: str, ca: str | None) -> Browser:
    """A browser without cookies."""
    return Browser(base_url, ca)


@pytest.fixture(scope="session")
def unknown_token() -> str:
    return secrets.token_hex(32)
