"""The single-page client of examples/spa in a real browser."""

from collections.abc import Iterator

import pytest

from tests.examples.example import Example
from tests.hosts.host import Host
from tests.hosts.steps import BEN
from tests.hosts.visit import NEW_PASSWORD
from tests.kit.browser import Window, violations

MESSAGE = "#message:not(:empty)"


@pytest.fixture(scope="module")
def spa(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    example = Example(Host("spa", ()), tmp_path_factory.mktemp("spa"))
    try:
        example.start()
        yield example
    finally:
        example.stop()


def send(window: Window, form: str, **fields: str) -> str:
    """Fill in a form of the client, send it, and return what the client says."""
    for name, value in fields.items():
        window.page.locator(f"#{form} [name={name}]").fill(value)
    with window.page.expect_response("**/api/**"):
        window.page.locator(f"#{form} button").click()
    window.page.wait_for_selector(MESSAGE)
    return window.page.locator("#message").inner_text()


def test_a_forgotten_password_is_replaced_in_the_client(chromium, spa):
    window = Window(chromium, spa.address)
    said = []
    window.page.on("console", lambda line: said.append(line.text))
    window.page.goto("/")
    assert violations(window.page) == []
    window.page.get_by_text("Forgot your password?").click()
    assert "a mail with a link is on its way" in send(window, "ask", email=BEN)

    window.page.goto("about:blank")
    window.page.goto(spa.mailbox.wait_for_link(BEN))
    window.page.wait_for_selector("#choose:not([hidden])")
    assert window.page.url == f"{spa.address}/#/choose"
    assert violations(window.page) == []
    assert "8 characters" in send(window, "choose", password="123")
    send(window, "choose", password=NEW_PASSWORD)
    window.page.wait_for_selector("#log-in:not([hidden])")
    window.page.locator("#log-in [name=username]").fill("ben")
    window.page.locator("#log-in [name=password]").fill(NEW_PASSWORD)
    window.page.locator("#log-in button").click()
    window.page.wait_for_selector("#message:has-text('Hello ben')")
    assert not [text for text in said if "Content Security Policy" in text]
    assert not [one.url for one in window.requests if "token=" in one.url]


def test_a_dead_link_says_so_and_offers_a_new_one(chromium, spa):
    window = Window(chromium, spa.address)
    window.page.goto(f"/#/choose?token={'0' * 64}")
    window.page.wait_for_selector("#ask:not([hidden])")
    assert "Ask for a new one" in window.page.locator("#message").inner_text()
