"""The flow in a real Chromium, over HTTPS, coming from another site, with cookies that
are SameSite=Strict.
"""

import re
import subprocess
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.password_validation import CommonPasswordValidator
from django.core import mail
from django.core.exceptions import ValidationError
from django_otp.plugins.otp_totp.models import TOTPDevice

from password_reset.models import PasswordResetInvitation
from tests import ROOT
from tests.kit import states
from tests.kit.browser import OVERFLOWING, open_mail, violations
from tests.kit.programs import find_program, missing
from tests.kit.states import STATES, Stage
from tests.tools.factories import NEW_PASSWORD, OLD_PASSWORD
from tests.tools.second_factor import code_of
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
STATIC = ROOT / "password_reset" / "static" / "password_reset"


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
        window.page.evaluate("url => { location.href = url }", f"{mailbox.url}/help")
        window.page.wait_for_url(f"{mailbox.url}/help")
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

    def test_a_reload_keeps_the_link_in_this_tab_alone(
        self, window, site, mailbox, user
    ):
        open_mail(window, mailbox)
        reload_until(window, "[name=new_password1]")
        assert window.page.url == f"{site.url}/reset-password"
        other = window.context.new_page()
        other.goto("/reset-password")
        assert (
            other.get_by_role("heading", level=1).inner_text()
            == "Open the link in your email again"
        )
        window.choose(NEW_PASSWORD)
        assert knows(user, NEW_PASSWORD)

    def test_a_spent_link_is_kept_nowhere(self, window, site, mailbox):
        open_mail(window, mailbox)
        window.choose(NEW_PASSWORD)
        assert window.page.evaluate(STORED) == "null {}"
        window.page.go_back()
        assert window.page.url == f"{site.url}/reset-password"
        assert (
            window.page.get_by_role("heading", level=1).inner_text()
            == "Open the link in your email again"
        )
        assert window.page.evaluate(STORED) == "null {}"

    def test_a_refused_password_keeps_the_link(self, window, mailbox, user):
        open_mail(window, mailbox)
        window.choose("12345678")
        window.page.goto("/login")
        window.page.goto("/reset-password")
        window.page.go_back()
        window.page.go_back()
        window.page.locator("[name=new_password1]").wait_for()
        window.choose(NEW_PASSWORD)
        assert knows(user, NEW_PASSWORD)

    def test_too_many_tries_do_not_lose_the_link(self, window, mailbox, user, strict):
        strict.PASSWORD_RESET_CONFIRM_RATE_PER_IP = "1/m"
        open_mail(window, mailbox)
        window.choose("12345678")
        window.choose("12345678")
        assert window.status == 429
        window.page.locator("[data-wait]").evaluate(
            "link => location.replace(link.href)"
        )
        window.page.locator("[name=new_password1]").wait_for()
        strict.PASSWORD_RESET_CONFIRM_RATE_PER_IP = None
        window.choose(NEW_PASSWORD)
        assert knows(user, NEW_PASSWORD)

    def test_without_javascript_the_link_in_the_mail_works_after_a_reload(
        self, windows, mailbox, user
    ):
        window = windows(java_script_enabled=False)
        open_mail(window, mailbox)
        window.page.goto("/reset-password")
        open_mail(window, mailbox)
        window.choose(NEW_PASSWORD)
        assert knows(user, NEW_PASSWORD)


def reload_until(window, selector):
    """Reload the page and wait until the kept link has brought its form back."""
    window.page.reload()
    window.page.locator(selector).wait_for()


STORED = "() => JSON.stringify(history.state) + ' ' + JSON.stringify(sessionStorage)"

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

    def test_a_second_factor_without_javascript(self, windows, user, settings, strict):
        window = windows(java_script_enabled=False)
        states.second_factor_refused(Stage(window, user, settings))
        code = window.page.get_by_label("Verification code")
        assert code.get_attribute("aria-invalid") == "true"
        code.fill(code_of(TOTPDevice.objects.get()))
        window.choose(NEW_PASSWORD)
        assert knows(user, NEW_PASSWORD)

    def test_after_a_wrong_code_the_first_empty_field_has_the_focus(self, stage):
        states.second_factor_refused(stage)
        page = stage.window.page
        assert page.locator("[name=new_password1]:focus").count() == 1
        assert page.locator("[role=alert]").count() == 2

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
        username = stage.window.page.locator("[name=username]")
        assert username.input_value() == stage.user.email

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


def focused(window):
    return window.page.evaluate("document.activeElement.name")


def described(window):
    """Return what a screen reader says of the focused field beside its name."""
    return window.page.evaluate(
        """() => document.activeElement.getAttribute("aria-describedby").split(" ")
          .map((id) => document.getElementById(id).textContent.trim()).join(" ")"""
    )


class TestTheNewPassword:
    def test_two_passwords_lead_to_the_first_field(self, stage):
        states.reset_with_two_passwords(stage)
        assert focused(stage.window) == "new_password1"
        assert "Both fields are empty again." in described(stage.window)

    def test_a_difference_is_said_once_and_only_when_it_is_one(self, stage):
        states.reset(stage)
        page = stage.window.page
        page.clock.install()
        page.evaluate(COUNT_SAYINGS)
        page.locator("[name=new_password1]").fill("abcdefgh")
        page.locator("[name=new_password2]").press_sequentially("abcd")
        page.clock.run_for(2000)
        assert page.evaluate("window.sayings") == []
        page.locator("[name=new_password2]").press_sequentially("xyz12")
        page.clock.run_for(2000)
        page.locator("[name=new_password2]").press_sequentially("345")
        page.clock.run_for(2000)
        assert page.evaluate("window.sayings") == ["They differ"]
        page.locator("[name=new_password2]").fill("abcdefgh")
        assert page.evaluate("window.sayings") == ["They differ", "They match"]

    @pytest.mark.parametrize(
        ("password", "met", "broken"),
        [
            ("a long pass phrase", {"length", "numeric"}, set()),
            ("short", {"numeric"}, {"length"}),
            ("4815162342", {"length"}, {"numeric"}),
            ("Password123", {"length", "numeric"}, {"common"}),
        ],
    )
    def test_a_rule_is_met_or_broken_or_left_to_saving(
        self, stage, password, met, broken
    ):
        states.reset(stage)
        page = stage.window.page
        page.locator("[name=new_password1]").fill(password)
        page.locator("[name=new_password2]").focus()
        assert page.evaluate(RULES, "data-met") == sorted(met)
        assert page.evaluate(RULES, "data-broken") == sorted(broken)

    def test_a_refused_password_marks_its_rules_until_another_is_typed(self, stage):
        states.reset_with_errors(stage)
        page = stage.window.page
        assert page.evaluate(RULES, "data-broken") == ["common", "numeric"]
        page.locator("[name=new_password1]").press_sequentially("a")
        assert page.evaluate(RULES, "data-broken") == []

    def test_what_the_page_calls_common_is_common(self):
        script = (STATIC / "forms.js").read_text()
        block = script.partition("const common = (")[2].partition(")")[0]
        words = " ".join(re.findall(r'"([^"]*)"', block)).split()
        assert len(words) > 20
        for word in words:
            with pytest.raises(ValidationError):
                CommonPasswordValidator().validate(word)


COUNT_SAYINGS = """() => {
  window.sayings = [];
  const hint = document.querySelector("[data-same]");
  const keep = () => hint.textContent && window.sayings.push(hint.textContent);
  new MutationObserver(keep).observe(hint, {childList: true, characterData: true, subtree: true});
}"""
RULES = """(mark) => [...document.querySelectorAll(`[data-rule][${mark}]`)]
  .map((rule) => rule.dataset.rule).sort()"""
IN_SIGHT = """() => [document.activeElement, document.querySelector(".pr-error")].every((each) => {
  const {top, bottom} = each.getBoundingClientRect();
  return top >= 0 && bottom <= innerHeight;
})"""
#: WCAG 2.2, 2.4.11: what has the focus is not hidden, be it only in part.
FOCUS_IN_SIGHT = """() => {
  const {top, bottom} = document.activeElement.getBoundingClientRect();
  return document.activeElement === document.body || bottom > 0 && top < innerHeight;
}"""
LONG = "a-rather-long-name.of-somebody@department.of-a-university.example.com"


class TestLittleRoom:
    @pytest.mark.parametrize(
        "state",
        [
            states.form_with_an_error,
            states.code_wrong,
            states.reset_with_errors,
            states.reset_with_two_passwords,
        ],
        ids=lambda state: state.__name__,
    )
    def test_beside_a_keyboard_the_error_and_its_field_are_in_sight(
        self, state, windows, user, strict
    ):
        window = windows(viewport={"width": 360, "height": 320}, has_touch=True)
        state(Stage(window, user, strict))
        assert window.page.locator("[aria-invalid=true]:focus").count() == 1
        assert window.page.evaluate(IN_SIGHT)

    def test_so_they_are_when_the_keyboard_comes_later(self, windows, user, strict):
        window = windows(viewport={"width": 360, "height": 640}, has_touch=True)
        states.reset_with_two_passwords(Stage(window, user, strict))
        window.page.set_viewport_size({"width": 360, "height": 300})
        window.page.wait_for_function(IN_SIGHT)

    @pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
    @pytest.mark.parametrize("size", ["100%", "200%"])
    def test_nothing_is_cut_off(self, state, size, windows, user, strict):
        user.email = LONG
        user.save()
        # 320 px are also a window of 1280 px at 400 %.
        window = windows(viewport={"width": 320, "height": 640}, has_touch=True)
        state(Stage(window, user, strict))
        window.page.evaluate(
            "size => { document.documentElement.style.fontSize = size }", size
        )
        assert window.page.evaluate(OVERFLOWING) == []

    @pytest.mark.parametrize("state", STATES, ids=lambda state: state.__name__)
    def test_at_400_percent_it_scrolls_one_way_and_the_focus_is_seen(
        self, state, windows, user, strict
    ):
        """A window of 1280 × 1024 px, zoomed as a browser does it (WCAG 1.4.10)."""
        user.email = LONG
        user.save()
        zoomed = {"viewport": {"width": 320, "height": 256}, "device_scale_factor": 4}
        window = windows(**zoomed)
        state(Stage(window, user, strict))
        assert window.page.evaluate(OVERFLOWING) == []
        for _ in range(4):
            window.page.keyboard.press("Tab")
            assert window.page.evaluate(FOCUS_IN_SIGHT)

    def test_japanese_lines_end_between_phrases(self, windows, user, strict):
        window = windows(locale="ja")
        states.form(Stage(window, user, strict))
        style = "getComputedStyle(document.querySelector('h1')).wordBreak"
        assert window.page.evaluate(style) == "auto-phrase"

    @pytest.mark.parametrize(
        ("state", "field"),
        [(states.form, "email"), (states.reset, "new_password1")],
    )
    def test_one_tab_leads_to_the_first_field(self, stage, state, field):
        state(stage)
        stage.window.page.keyboard.press("Tab")
        assert focused(stage.window) == field


class TestHavingToWait:
    @pytest.mark.parametrize(
        "state",
        [states.rate_limited, states.unavailable],
        ids=lambda state: state.__name__,
    )
    def test_the_button_wakes_up_when_it_is_time(self, state, stage, strict):
        stage.window.page.clock.install()
        state(stage)
        strict.PASSWORD_RESET_ENABLED = True
        page, button = stage.window.page, stage.window.page.locator("[data-wait]")
        assert button.get_attribute("aria-disabled") == "true"
        button.click(force=True)
        assert stage.window.status == STATES[state]
        page.clock.run_for(int(button.get_attribute("data-wait")) * 1000 + 1000)
        assert button.get_attribute("aria-disabled") is None
        assert page.get_by_text("You can try again now.").count() == 1
        button.click()
        page.locator("[name=email]").wait_for()

    def test_without_javascript_it_is_a_link(self, windows, user, strict):
        window = windows(java_script_enabled=False)
        states.rate_limited(Stage(window, user, strict))
        window.page.get_by_role("link", name="Try again").click()
        window.page.locator("[name=email]").wait_for()


class TestCheckYourEmail:
    def test_the_typed_address_is_in_the_browser_alone(self, stage, site):
        states.done(stage)
        page = stage.window.page
        assert page.locator("[data-address]").inner_text() == stage.user.email
        assert stage.user.email not in stage.window.source
        assert not any(stage.user.email in each.url for each in stage.window.requests)
        assert not any(
            stage.user.email in str(each) for each in cookies_and_queries(stage, site)
        )

    def test_it_can_be_changed(self, stage):
        states.done(stage)
        page = stage.window.page
        page.get_by_role("link", name="Change it").click()
        page.wait_for_url("**/forgot-password")
        page.wait_for_function("document.activeElement.name === 'email'")
        assert page.locator("[name=email]").input_value() == stage.user.email
        page.goto("/forgot-password")
        assert page.locator("[name=email]").input_value() == ""

    def test_it_can_be_sent_again_after_a_minute(self, stage):
        page = stage.window.page
        page.clock.install()
        states.done(stage)
        again = page.locator("[data-again]")
        assert again.get_attribute("aria-disabled") == "true"
        page.clock.run_for(61_000)
        assert again.inner_text() == "Send it again"
        again.click()
        page.wait_for_function("document.querySelector('[data-again][aria-disabled]')")
        page.wait_for_url("**/forgot-password/done")
        assert [each.to for each in mail.outbox] == [[stage.user.email]] * 2

    def test_not_before_the_limits_let_it_pass(self, stage, strict):
        strict.PASSWORD_RESET_REQUEST_RATE_PER_EMAIL = "2/h 10/d"
        states.done(stage)
        states.done(stage)
        wait = int(stage.window.page.locator("[data-again]").get_attribute("data-wait"))
        assert 3500 < wait <= 3600

    def test_nothing_typed_here_nothing_said(self, stage):
        states.done_opened_directly(stage)
        page = stage.window.page
        assert page.locator("[data-typed]:visible, [data-mailbox]:visible").count() == 0
        page.get_by_role("link", name="Ask for another link").click()
        page.wait_for_url("**/forgot-password")

    def test_a_known_mailbox_is_one_tap_away(self, stage):
        states.done_of_a_known_mailbox(stage)
        link = stage.window.page.get_by_role("link", name="Open Gmail")
        assert link.get_attribute("href") == "https://mail.google.com/"
        assert link.get_attribute("rel") == "noreferrer"

    @pytest.mark.parametrize(
        ("typed", "meant"),
        [
            ("ada@gmial.com", "ada@gmail.com"),
            ("ada@gmail.con", "ada@gmail.com"),
            ("ada@hotmal.com", "ada@hotmail.com"),
            ("ada@outllook.com", "ada@outlook.com"),
            ("ada@gmail.com", None),
            ("ada@ymail.com", None),
            ("ada@example.com", None),
            ("ada", None),
        ],
    )
    def test_a_slip_is_asked_about(self, stage, typed, meant):
        states.form(stage)
        page = stage.window.page
        page.clock.install()
        page.locator("[name=email]").fill(typed)
        page.clock.run_for(1000)
        offer = page.locator("[data-did-you-mean] button")
        assert offer.count() == (1 if meant else 0)
        if meant:
            offer.click()
            assert page.locator("[name=email]").input_value() == meant
            assert offer.count() == 0


def cookies_and_queries(stage, site):
    queries = [visit["QUERY_STRING"] for visit in site.visits]
    return [*stage.window.context.cookies(), *queries]


class TestFromLogIn:
    @pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
    def test_from_the_log_in_page_and_back_to_where_somebody_was(
        self, script, windows, site, user
    ):
        user.is_staff = user.is_superuser = True
        user.save()
        window = windows(java_script_enabled=script)
        page = window.page
        page.goto("/admin/project/user/?q=1")
        page.locator("[name=username]").fill(user.email)
        page.locator("[name=password]").fill(OLD_PASSWORD)
        page.get_by_role("button", name="Forgot your password?").click()
        page.wait_for_url(lambda url: "/forgot-password" in url)
        assert page.locator("[name=email]").input_value() == user.email
        assert not mail.outbox
        window.send()
        page.goto(f"/reset-password?token={token_in(mail.outbox[-1].body)}")
        window.choose(NEW_PASSWORD)
        site_wide = "/login?next=/admin/project/user/%3Fq%3D1"
        button = page.get_by_role("link", name="Continue to where you were")
        assert button.get_attribute("href") == site_wide
        asked = [each.url for each in window.requests]
        told = [visit.get("HTTP_REFERER", "") for visit in site.visits]
        assert not [each for each in (*asked, *told) if user.email in each]
        sent = [each.post_data or "" for each in window.requests]
        assert any(OLD_PASSWORD in each for each in sent) is not script

    def test_enter_logs_in(self, window, user):
        user.is_staff = user.is_superuser = True
        user.save()
        page = window.page
        page.goto("/admin/login/?next=/admin/")
        page.locator("[name=username]").fill(user.email)
        page.locator("[name=password]").fill(OLD_PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/admin/")

    def test_what_is_no_address_is_left_behind(self, window):
        page = window.page
        page.goto("/admin/login/")
        page.locator("[name=username]").fill("ada")
        page.get_by_role("button", name="Forgot your password?").click()
        page.wait_for_url("**/forgot-password**")
        assert page.locator("[name=email]").input_value() == ""

    def test_a_browser_that_keeps_nothing_sends_the_form(self, window, user):
        window.context.add_init_script(
            "Object.defineProperty(window, 'sessionStorage', "
            "{get() { throw new DOMException('no') }})"
        )
        page = window.page
        page.goto("/admin/login/")
        page.locator("[name=username]").fill(user.email)
        page.get_by_role("button", name="Forgot your password?").click()
        page.wait_for_url("**/forgot-password")
        assert page.locator("[name=email]").input_value() == user.email


class TestADeadLink:
    @pytest.mark.parametrize("script", [True, False])
    @pytest.mark.parametrize("state", [states.link_expired, states.link_used])
    def test_one_tap_brings_a_new_one(self, state, script, windows, user, strict):
        window = windows(java_script_enabled=script)
        state(Stage(window, user, strict))
        window.send()
        assert urlsplit(window.page.url).path == "/forgot-password/done"
        assert window.page.locator("[data-typed]:visible").count() == 0
        window.page.goto(f"/reset-password?token={token_in(mail.outbox[-1].body)}")
        window.choose(NEW_PASSWORD)
        assert knows(user, NEW_PASSWORD)


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
        assert violations(stage.window.page) == []
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
        [
            states.form,
            states.form_with_a_slip,
            states.done,
            states.done_of_a_known_mailbox,
            states.code_wrong,
            states.reset,
            states.reset_with_errors,
            states.reset_while_typing,
            states.complete_opened_directly,
            states.link_expired,
            states.link_unknown,
            states.rate_limited,
            states.unavailable,
        ],
        ids=lambda state: state.__name__,
    )
    def test_so_it_is(self, state, options, windows, user, strict):
        window = windows(**options)
        state(Stage(window, user, strict))
        assert violations(window.page) == []
        assert burdens(window) == []


def like_new(user):
    """Take back what a state before has made of the account."""
    PasswordResetInvitation.objects.all().delete()
    user.set_password(OLD_PASSWORD)
    user.save()


def test_the_validator_has_nothing_to_say(stage, strict, tmp_path):
    if not VALIDATOR.exists():
        missing("npm")
    for state in STATES:
        strict.PASSWORD_RESET_ENABLED, strict.PASSWORD_RESET_REQUEST_RATE_PER_EMAIL = (
            True,
            None,
        )
        like_new(stage.user)
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
