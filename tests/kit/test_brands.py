"""The colours of a brand in a real browser, under the strict policy of the pages."""

import pytest

from tests.kit import states
from tests.kit.browser import violations
from tests.kit.states import Stage

pytestmark = pytest.mark.django_db(transaction=True)

BUTTON = "getComputedStyle(document.querySelector('.pr-button')).backgroundColor"


@pytest.fixture
def plum(strict, site):
    strict.PASSWORD_RESET_BRANDS = {
        "plum": {"BASE_URL": site.url, "BRAND_COLOR": "#4a0d2b"}
    }
    strict.PASSWORD_RESET_BASE_URL = "https://garden.test"
    return strict


@pytest.mark.parametrize(
    ("scheme", "colour"),
    [("light", "rgb(74, 13, 43)"), ("dark", "rgb(224, 77, 149)")],
)
@pytest.mark.parametrize(
    "state",
    [states.form, states.reset, states.link_expired, states.unavailable],
    ids=lambda state: state.__name__,
)
def test_a_page_shows_them_and_can_be_read(state, scheme, colour, windows, user, plum):
    window = windows(color_scheme=scheme)
    refused = []
    window.page.on("console", lambda line: refused.append(line.text))
    state(Stage(window, user, plum))
    assert window.page.evaluate(BUTTON) == colour
    assert violations(window.page) == []
    assert not [text for text in refused if "Content Security Policy" in text]
