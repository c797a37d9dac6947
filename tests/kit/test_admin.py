"""The admin's pages in a real Chromium: that they fit, and their colours."""

import pytest

from tests.kit import admin_states
from tests.kit.browser import violations
from tests.kit.states import Stage

pytestmark = pytest.mark.django_db(transaction=True)

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True}
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
LISTS = [
    "passwordresetrequest",
    "passwordresettoken",
    "passwordresetnotice",
    "usersession",
    "passwordresetinvitation",
    "forcedpasswordreset",
    "passwordresetcampaign",
]
#: What is wider than the place that it has.
TOO_WIDE = """() => [document.documentElement, ...document.querySelectorAll(".results, .pr-admin, .pr-admin *")]
  .filter((each) => each.clientWidth && each.scrollWidth > each.clientWidth + 1)
  .filter((each) => !each.matches("input"))
  .map((each) => each.outerHTML.slice(0, 120))"""


@pytest.fixture
def at(windows, user, strict):
    """Open a state of the admin in a window of its own."""

    def opened(state, **options):
        stage = Stage(windows(**options), user, strict)
        state(stage)
        return stage

    return opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("window", [PHONE, DESKTOP], ids=["phone", "desktop"])
def test_the_panel_fits_and_its_colours_can_be_read(window, scheme, at):
    state = admin_states.explained_given_up
    page = at(state, color_scheme=scheme, **window).window.page
    assert page.evaluate(TOO_WIDE) == []
    assert violations(page, "wcag2aa") == []


@pytest.mark.parametrize("brands", [{}, {"plum": {"BASE_URL": "https://plum.test"}}])
def test_the_columns_of_each_list_fit_a_small_desktop(brands, at, strict):
    stage = at(admin_states.crowded, **DESKTOP)
    strict.PASSWORD_RESET_BRANDS = brands
    for name in LISTS:
        stage.goto(f"/admin/password_reset/{name}/")
        assert stage.window.page.locator("#result_list tbody tr").count(), name
        assert stage.window.page.evaluate(TOO_WIDE) == [], name


def test_a_button_sends_the_email_and_comes_back(at):
    page = at(admin_states.explained_given_up, **PHONE).window.page
    with page.expect_navigation():
        page.get_by_role("button", name="Send a reset link").click()
    assert "A link is on its way to 1 user." in page.content()
    assert page.url.endswith("why/?q=" + page.locator("[name=q]").input_value())
