"""Tests that need a Debian package say so with `program(name, package)`; the browser,
its windows and the two sites that it knows.
"""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from tests.kit.browser import (
    SITE,
    WEBMAIL,
    TlsServer,
    Window,
    launch,
    site_application,
    webmail,
)
from tests.kit.pieces import make_certificates
from tests.kit.programs import find_program
from tests.kit.stack import Stack


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.kit)


@pytest.fixture(scope="session")
def program() -> Callable[[str, str], str]:
    """Find a program by its name and the Debian package that has it."""
    return find_program


@pytest.fixture(scope="session")
def stack() -> Iterator[Any]:
    """The whole site, built and started once for all tests that need it."""
    site = Stack()
    try:
        site.start()
        yield site
    finally:
        site.close()


@pytest.fixture
def whole_again(stack: Any) -> Iterator[None]:
    """Start again what a test has stopped, as systemd would."""
    yield
    for server in stack.running:
        server.start()
    stack.wait_until_ready()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for both sites, of an authority that is thrown away."""
    folder = tmp_path_factory.mktemp("tls")
    make_certificates(folder, "sites", SITE, WEBMAIL)
    return folder / "sites.pem"


@pytest.fixture(scope="module")
def chromium(certificate):
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright has a loop in this thread, and Django takes that for async code.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = launch(playwright, certificate)
        yield browser
        browser.close()


@pytest.fixture
def strict(settings):
    """The package's own pages, limits out of the way, and the strictest cookies there
    are.
    """
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    settings.SESSION_COOKIE_SAMESITE = settings.CSRF_COOKIE_SAMESITE = "Strict"
    settings.ALLOWED_HOSTS = [SITE]
    settings.PASSWORD_RESET_APP_NAME = "Example"
    settings.PASSWORD_RESET_REQUEST_RATE_PER_IP = (
        settings.PASSWORD_RESET_CONFIRM_RATE_PER_IP
    ) = None
    settings.TEMPLATES = copy.deepcopy(settings.TEMPLATES)
    settings.TEMPLATES[0]["DIRS"] = []
    return settings


@pytest.fixture
def site(strict, certificate):
    with TlsServer(SITE, site_application(), certificate) as server:
        strict.PASSWORD_RESET_BASE_URL = server.url
        yield server


@pytest.fixture
def mailbox(certificate):
    """The webmail: another site, which shows the newest mail."""
    with TlsServer(WEBMAIL, webmail, certificate) as server:
        yield server


@pytest.fixture
def windows(chromium, site):
    """Make windows, each with cookies of its own."""
    opened = []

    def window(**options):
        opened.append(Window(chromium, site.url, **options))
        return opened[-1]

    yield window
    for each in opened:
        each.close()


@pytest.fixture
def window(windows):
    return windows()


@pytest.fixture
def stage(window, user, strict):
    from tests.kit.states import Stage  # noqa: PLC0415 - has models

    return Stage(window, user, strict)
