"""The form refuses what is easy to guess here, says why, and the link works on."""

import unicodedata

import pytest

from tests.tools.walk import call, look, mailed_token, spend

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def token(client, user, settings):
    settings.PASSWORD_RESET_APP_NAME = "Bazaar"
    settings.PASSWORD_RESET_CONFIRM_RATE_PER_IP = None
    return mailed_token(client, user.email)


@pytest.mark.parametrize(
    ("password", "words"),
    [
        ("Bazaar-Bazaar-Bazaar", "easy to guess here"),
        ("password-password", "easy to guess here"),
        ("a" * 16, "Too much of this repeats"),
    ],
)
def test_a_guessable_password_is_explained_and_leaves_the_link_usable(
    client, user, token, password, words
):
    answer = spend(client, token, password)
    assert answer.status_code == 200
    assert words in answer.content.decode()
    assert (
        call(client, "reset-password", {"token": token, "password": password}).json()[
            "code"
        ]
        == "weak_password"
    )
    assert spend(client, token).status_code == 302


def test_a_password_is_kept_as_it_was_typed(client, user, token):
    """Django's log-in does not normalise, so a normalised one would not log in."""
    typed = "nai\u0308ve-\ufb01ne-umbrella"  # decomposed, and a ligature
    spend(client, token, typed)
    user.refresh_from_db()
    assert user.check_password(typed)
    assert not user.check_password(unicodedata.normalize("NFKC", typed))


def test_the_page_lists_both_rules(client, token):
    page = look(client, token).content.decode()
    assert "Not just the name of this site, your own name or “password”" in page
    assert "Not the same few characters again and again" in page
