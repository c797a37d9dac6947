"""The flow in a real Chromium, over HTTPS, coming from another site, with cookies that
are SameSite=Strict.
"""

import copy
import subprocess
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.core import mail
from playwright.sync_api import sync_playwright

from tests import ROOT
from tests.kit import states
from tests.kit.browser import (
    SITE,
    WEBMAIL,
    TlsServer,
    Window,
    launch,
    site_application,
    webmail,
)
from tests.kit.conftest import find_program, missing
from tests.kit.pieces import make_certificates
from tests.kit.states import STATES, Stage
from tests.tools.factories import NEW_PASSWORD, OLD_PASSWORD
from tests.tools.walk import token_in

pytestmark = pytest.mark.django_db(transaction=True)

VALIDATOR = (
    ROOT
    / ".cache"
    / "validator"
    / "node_modules"
    / "vnu-jar"
    / "build"
    / "dist"
    / "vnu.jar"
)
BUTTON = "a[href*='token=']"


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
    return Stage(window, user, strict)


def open_mail(window, mailbox):
    """Click the button of the mail, in the webmail."""
    window.page.goto(mailbox.url)
    with window.page.expect_navigation():
        window.page.locator(BUTTON).first.click()


def knows(user, password):
    user.refresh_from_db()
    return user.check_password(password)


class TestFromAnotherSite:
    @pytest.fixture(autouse=True)
    def _asked(self, window, user):
        window.ask(user.email)

    def test_the_reset_works_with_strict_cookies_and_csrf_protection(
        self, window, mailbox, user
    ):
        assert {cookie["sameSite"] for cookie in window.context.cookies()} == {"Strict"}
        open_mail(window, mailbox)
        window.choose(NEW_PASSWORD)
        assert urlsplit(window.page.url).path == "/reset-password/done"
        assert knows(user, NEW_PASSWORD)

    def test_no_cookie_came_along_with_the_click(self, window, site, mailbox):
        before = len(site.visits)
        open_mail(window, mailbox)
        clicked = site.visits[before]
        assert clicked["PATH_INFO"] == "/reset-password"
        assert "HTTP_COOKIE" not in clicked

    def test_a_form_from_elsewhere_is_refused(self, window, site, mailbox, user):
        window.page.goto(mailbox.url)
        raw = token_in(mail.outbox[-1].body)
        window.page.evaluate(
            FORGED_FORM, [f"{site.url}/reset-password", raw, NEW_PASSWORD]
        )
        window.page.wait_for_url(f"{site.url}/**")
        assert window.status == 403
        assert knows(user, OLD_PASSWORD)

    def test_the_token_leaves_the_address_bar(self, window, site, mailbox):
        open_mail(window, mailbox)
        assert window.page.url == f"{site.url}/reset-password"
        assert window.page.locator("[name=token]").input_value() == token_in(
            mail.outbox[-1].body
        )

    def test_a_token_in_the_path_leaves_it_too(self, window, site, strict, user):
        states.link_legacy(Stage(window, user, strict))
        assert window.page.url == f"{site.url}/forgot-password"
        assert window.page.reload().status == 200

    def test_the_token_is_in_no_referer(self, window, site, mailbox, user):
        raw = token_in(mail.outbox[-1].body)
        open_mail(window, mailbox)
        window.choose(NEW_PASSWORD)
        window.page.goto(mailbox.url)
        referers = [
            visit.get("HTTP_REFERER", "") for visit in site.visits + mailbox.visits
        ]
        assert f"{site.url}/" in referers
        assert not any(raw in referer for referer in referers)

    def test_whoever_is_linked_from_the_page_learns_our_name_and_no_more(
        self, window, site, mailbox
    ):
        open_mail(window, mailbox)
        with window.page.expect_navigation():
            window.page.evaluate(
                "url => { location.href = url }", f"{mailbox.url}/help"
            )
        arrived = next(
            visit for visit in mailbox.visits if visit["PATH_INFO"] == "/help"
        )
        assert arrived["HTTP_REFERER"] == f"{site.url}/"

    def test_nobody_else_is_asked_for_anything(self, window, site, mailbox):
        before = len(window.requests)
        open_mail(window, mailbox)
        window.choose(NEW_PASSWORD)
        asked = {
            "{0.scheme}://{0.netloc}".format(urlsplit(each.url))
            for each in window.requests[before + 1 :]
        }
        assert asked - {"data://"} == {site.url}

    def test_after_a_reload_the_link_in_the_mail_still_works(
        self, window, mailbox, user
    ):
        open_mail(window, mailbox)
        window.page.reload()
        assert (
            window.page.get_by_role("heading", level=1).inner_text()
            == "Open the link in your email again"
        )
        open_mail(window, mailbox)
        window.choose(NEW_PASSWORD)
        assert knows(user, NEW_PASSWORD)

    def test_the_way_back_shows_no_token(self, window, site, mailbox):
        open_mail(window, mailbox)
        window.choose(NEW_PASSWORD)
        window.page.go_back()
        assert window.page.url == f"{site.url}/reset-password"


FORGED_FORM = """([url, token, password]) => {
  const form = document.body.appendChild(document.createElement("form"));
  Object.assign(form, {method: "post", action: url});
  const fields = {token, new_password1: password, new_password2: password};
  for (const [name, value] of Object.entries(fields)) {
    form.appendChild(Object.assign(document.createElement("input"), {type: "hidden", name, value}));
  }
  form.submit();
}"""


class TestEverybody:
    def test_the_whole_flow_without_javascript(self, windows, mailbox, user):
        window = windows(java_script_enabled=False)
        window.ask(user.email)
        open_mail(window, mailbox)
        window.choose("12345678")
        assert (
            window.page.get_by_label("New password", exact=True).get_attribute(
                "aria-invalid"
            )
            == "true"
        )
        window.choose(NEW_PASSWORD)
        assert knows(user, NEW_PASSWORD)

    def test_the_whole_flow_by_keyboard(self, window, mailbox, user):
        press, type_text = window.page.keyboard.press, window.page.keyboard.type
        window.page.goto("/forgot-password")
        window.tab_to("[name=email]")
        type_text(user.email)
        press("Enter")
        window.page.wait_for_url("**/forgot-password/done")
        open_mail(window, mailbox)
        window.tab_to("[name=new_password1]")
        type_text(NEW_PASSWORD)
        window.tab_to("[name=new_password2]")
        type_text(NEW_PASSWORD)
        window.tab_to("[type=submit]")
        press("Enter")
        window.page.wait_for_url("**/reset-password/done")
        window.tab_to("a[href='/login']")
        assert knows(user, NEW_PASSWORD)

    def test_the_password_can_be_shown_by_keyboard(self, stage):
        states.reset(stage)
        stage.window.tab_to("[data-show]")
        stage.window.page.keyboard.press("Enter")
        assert (
            stage.window.page.locator("[name=new_password1]").get_attribute("type")
            == "text"
        )

    def test_an_error_has_the_focus(self, stage):
        states.form_with_an_error(stage)
        assert stage.window.page.evaluate("document.activeElement.name") == "email"

    def test_a_second_tap_sends_nothing(self, stage, site):
        states.form(stage)
        stage.window.page.get_by_label("Email address").fill(stage.user.email)
        stage.window.page.locator("main [type=submit]").dblclick()
        stage.window.page.wait_for_url("**/forgot-password/done")
        assert [visit["REQUEST_METHOD"] for visit in site.visits].count("POST") == 1


class TestProof:
    """What a form asks for above a soft limit, under the policy of the pages."""

    def test_it_is_worked_out_and_sent_by_itself(self, stage, site, user):
        said = []
        stage.window.page.on("console", lambda message: said.append(message.text))
        states.ask_for_proofs(stage)
        stage.window.page.goto(states.FORM)
        stage.window.page.locator("[name=email]").fill(user.email)
        stage.window.page.locator("main [type=submit]").click()
        stage.window.page.wait_for_url("**/forgot-password/done")
        answers = [
            (page.status, page.request.method) for page in stage.window.pages[-3:]
        ]
        assert answers == [(429, "POST"), (302, "POST"), (200, "GET")]
        assert mail.outbox[-1].to == [user.email]
        hosts = {urlsplit(each.url).netloc for each in stage.window.requests}
        assert hosts - {""} == {urlsplit(site.url).netloc}
        assert not [text for text in said if "Content Security Policy" in text]

    def test_one_that_is_refused_is_not_sent_round_and_round(self, stage, site):
        states.ask_for_proofs(stage)
        stage.window.page.goto(states.FORM)
        stage.window.page.locator("[name=email]").fill("ada@example.com")
        stage.window.page.evaluate(REFUSED_PROOF)
        stage.window.send()
        stage.window.page.get_by_text("Done. Now send the form again.").wait_for()
        assert [visit["REQUEST_METHOD"] for visit in site.visits].count("POST") == 2
        stage.window.page.locator("main [type=submit]").click()
        stage.window.page.wait_for_url("**/forgot-password/done")

    def test_without_javascript_the_page_says_how_long_to_wait(self, windows, strict):
        window = windows(java_script_enabled=False)
        states.ask_for_proofs(Stage(window, None, strict))
        for _ in range(2):
            window.ask("ada@example.com")
            text = window.page.locator("main").inner_text()
            assert window.status == 429
            assert "Please wait 1 hour and try again." in text
            assert "switch JavaScript on" in text
        assert not mail.outbox


REFUSED_PROOF = """() => {
  const field = Object.assign(document.createElement("input"), {type: "hidden", name: "proof", value: "x"});
  document.forms[0].appendChild(field);
}"""
FIELDS = """() => [...document.forms[0].elements]
  .filter((field) => field.type !== "hidden" && field.name)
  .map((field) => [field.name, field.type, field.autocomplete])"""


class TestPasswordManagers:
    def test_the_first_form_takes_the_address_on_file(self, stage):
        states.form(stage)
        assert stage.window.page.evaluate(FIELDS) == [["email", "email", "email"]]

    def test_the_second_form_saves_the_new_password_under_the_account(self, stage):
        states.reset(stage)
        assert stage.window.page.evaluate(FIELDS) == [
            ["username", "text", "username"],
            ["new_password1", "password", "new-password"],
            ["new_password2", "password", "new-password"],
        ]
        assert (
            stage.window.page.get_by_label("Your account").input_value()
            == stage.user.email
        )

    def test_a_password_that_is_made_up_for_people_fits_the_rules(self, stage):
        states.reset(stage)
        field = stage.window.page.get_by_label("New password", exact=True)
        assert field.get_attribute("minlength") == "8"
        assert field.get_attribute("passwordrules") == "minlength: 8;"

    def test_a_password_may_be_pasted(self, stage):
        states.reset(stage)
        field = stage.window.page.get_by_label("New password", exact=True)
        field.focus()
        stage.window.page.keyboard.insert_text(NEW_PASSWORD)
        assert field.input_value() == NEW_PASSWORD


def violations(window):
    """Return what axe-core has to say, in words."""
    found = Axe().run(window.page).response["violations"]
    return [f"{each['id']}: {node['html']}" for each in found for node in each["nodes"]]


def burdens(window):
    """Return what makes a page heavy or restless: over 4 requests, over 30 KB
    uncompressed, a shift of its layout.
    """
    transfers, shift = window.transfers(), window.shift()
    size = sum(transfers)
    limits = {
        f"{len(transfers)} requests": len(transfers) > 4,
        f"{size} bytes": size > 30_000,
        f"shift {shift}": shift,
    }
    return [burden for burden, too_much in limits.items() if too_much]


class TestPages:
    @pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
    def test_a_page_is_for_everybody_light_and_at_rest(self, state, stage):
        state(stage)
        assert stage.window.status == STATES[state]
        assert violations(stage.window) == []
        assert burdens(stage.window) == []

    @pytest.mark.parametrize(
        "options",
        [
            pytest.param({"color_scheme": "dark"}, id="dark"),
            pytest.param(
                {"viewport": {"width": 320, "height": 640}, "has_touch": True},
                id="on_a_phone",
            ),
            pytest.param({"locale": "ar"}, id="in_arabic"),
        ],
    )
    @pytest.mark.parametrize(
        "state",
        [states.form, states.done, states.reset],
        ids=lambda state: state.__name__,
    )
    def test_so_it_is(self, state, options, windows, user, strict):
        window = windows(**options)
        state(Stage(window, user, strict))
        assert violations(window) == []
        assert burdens(window) == []


def test_the_validator_has_nothing_to_say(stage, strict, tmp_path):
    if not VALIDATOR.exists():
        missing("npm")
    for state in STATES:
        strict.PASSWORD_RESET_ENABLED, strict.PASSWORD_RESET_REQUEST_RATE_PER_EMAIL = (
            True,
            None,
        )
        state(stage)
        (tmp_path / f"{state.__name__}.html").write_text(stage.window.source)
    # Safari's attribute for its password generator is not in the standard yet.
    options = [
        "--Werror",
        "--stdout",
        "--filterpattern",
        ".*“passwordrules” not allowed.*",
    ]
    command = [
        find_program("java", "default-jre-headless"),
        "-jar",
        VALIDATOR,
        *options,
        tmp_path,
    ]
    result = subprocess.run(command, capture_output=True, text=True)
    assert (result.stdout.splitlines(), result.returncode) == ([], 0)
