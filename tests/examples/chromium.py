"""Somebody in front of the client of React, in a real browser."""

import re
from collections.abc import Callable

from playwright.sync_api import ConsoleMessage, expect, sync_playwright

from tests.hosts.mailbox import LINK
from tests.hosts.steps import ANN, BEN
from tests.hosts.visit import NEW_PASSWORD, Visit
from tests.kit.browser import Window, launch, violations
from tests.tools.servers import wait_until
from tests.tools.walk import code_in

#: Chromium's own line for each answer that is no success, and where there is none.
NOT_FOUND = "Failed to load resource: "
WIDE, NARROW = {"width": 1280, "height": 800}, {"width": 320, "height": 640}


class Person:
    """Somebody with one window, and what its console has said."""

    def __init__(self, visit: Visit, window: Window) -> None:
        self.visit, self.window, self.page = visit, window, window.page
        self.said: list[str] = []
        self.page.on("console", self._keep)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))

    def _keep(self, line: ConsoleMessage) -> None:
        expected = line.text.startswith(NOT_FOUND) and "/api/" in line.location["url"]
        # Not what Chromium suggests to authors, which is `debug`.
        if line.type in {"error", "warning"} and not expected:
            self.said.append(line.text)

    def open(self, url: str) -> None:
        """Open an address as a click in a mail program does: in a page of its own."""
        self.page.goto("about:blank")
        self.page.goto(url)

    def send(self, button: str, **fields: str) -> None:
        """Fill in fields by their labels and press the button."""
        for label, value in fields.items():
            field = self.page.get_by_label(label.replace("_", " "), exact=True)
            field.fill(value)
        self.page.get_by_role("button", name=button).click()

    def reads(self, words: str) -> None:
        """Wait for what is read out to who does not see it."""
        expect(self.page.get_by_role("status")).to_contain_text(words)

    def is_at(self, heading: str) -> None:
        """Wait for a page, whose heading has the focus, and look at it."""
        expect(self.page.get_by_role("heading", name=heading)).to_be_focused()
        expect(self.page).to_have_title(f"{heading} – Shop")
        self.looks()

    def looks(self) -> None:
        """Hold the page in light and dark against axe, and against a small phone."""
        for scheme in ("light", "dark"):
            self.page.emulate_media(color_scheme=scheme)
            assert violations(self.page) == [], scheme
        self.page.set_viewport_size(NARROW)
        width = self.page.evaluate("document.documentElement.scrollWidth")
        assert width <= NARROW["width"]
        self.page.set_viewport_size(WIDE)


Step = Callable[[Person], None]


def in_chromium(*steps: Step) -> Callable[[Visit], None]:
    """Return a step of a visit: these of a person, in one window."""

    def a_person_uses_the_client(visit: Visit) -> None:
        with sync_playwright() as playwright, launch(playwright) as chromium:
            person = Person(visit, Window(chromium, visit.project.address))
            for step in steps:
                try:
                    step(person)
                except Exception as error:
                    error.add_note(f"In Chromium: {step.__name__}")
                    raise
            assert person.said == [], person.said

    return a_person_uses_the_client


def ben_asks(ben: Person) -> None:
    ben.open("/")
    ben.is_at("Log in")
    ben.page.get_by_role("link", name="Forgot your password?").click()
    ben.is_at("Forgot your password?")
    ben.send("Send a link", Email_address=BEN)
    ben.reads("a mail with a link is on its way")
    ben.is_at("Check your email")


def a_code_that_he_makes_up_does_not_work(ben: Person) -> None:
    ben.send("Continue", Code="BBBB-BBBB")
    ben.reads("This code does not work.")


def his_link_opens_and_leaves_the_address_bar(ben: Person) -> None:
    ben.visit.take_mail(BEN)
    ben.open(ben.visit.mailbox.links(BEN)[0])
    ben.is_at("Choose a new password")
    assert ben.page.url == f"{ben.visit.project.address}/#/choose"
    assert not [one.url for one in ben.window.requests if "token=" in one.url]


def a_weak_password_is_refused_at_its_field(ben: Person) -> None:
    ben.send("Save", New_password="123")
    field = ben.page.get_by_label("New password")
    expect(field).to_be_focused()
    expect(field).to_have_accessible_description(re.compile("at least 8 characters"))
    assert field.get_attribute("aria-invalid") == "true"
    ben.looks()


def a_good_one_is_saved(ben: Person) -> None:
    ben.send("Save", New_password=NEW_PASSWORD)
    ben.reads("Your password has been changed.")
    ben.is_at("Log in")


def he_logs_in_and_out(ben: Person) -> None:
    ben.send("Log in", User_name="ben", Password="not-this-one")
    ben.reads("Unable to log in with provided credentials.")
    ben.send("Log in", User_name="ben", Password=NEW_PASSWORD)
    ben.is_at("Hello ben")
    ben.page.reload()
    ben.is_at("Hello ben")
    ben.send("Log out")
    ben.reads("You are logged out.")
    ben.open("/")
    ben.is_at("Log in")


def his_link_is_dead(ben: Person) -> None:
    ben.open(ben.visit.mailbox.links(BEN)[0])
    ben.reads("This link no longer works.")
    ben.is_at("Ask for a new link")


def a_code_opens_the_form_as_the_link_does(ann: Person) -> None:
    ann.send("Send a link", Email_address=ANN)
    ann.is_at("Check your email")
    ann.visit.take_mail(ANN)
    [message] = ann.visit.mailbox.mails(ANN)
    text = message.get_body(("plain",)).get_content()
    ann.send("Continue", Code=code_in(LINK.sub("", text)))
    ann.is_at("Choose a new password")


def without_a_network_it_says_so(ann: Person) -> None:
    ann.window.context.set_offline(True)
    ann.send("Save", New_password=NEW_PASSWORD)
    ann.reads("The shop does not answer.")
    ann.window.context.set_offline(False)
    ann.send("Save", New_password=NEW_PASSWORD)
    ann.is_at("Log in")


def a_limit_says_when_it_ends(ann: Person) -> None:
    for _ in range(2):
        ann.open("/#/ask")
        ann.is_at("Forgot your password?")
        ann.send("Send a link", Email_address=ANN)
        wait_until(
            lambda: ann.page.get_by_role("status").inner_text(), lambda: "no words", 20
        )
    ann.reads("Too many attempts. Try again in")
    ann.looks()


WALK = in_chromium(
    ben_asks,
    a_code_that_he_makes_up_does_not_work,
    his_link_opens_and_leaves_the_address_bar,
    a_weak_password_is_refused_at_its_field,
    a_good_one_is_saved,
    he_logs_in_and_out,
    his_link_is_dead,
    a_code_opens_the_form_as_the_link_does,
    without_a_network_it_says_so,
    a_limit_says_when_it_ends,
)
