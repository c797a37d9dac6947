"""What is easy to guess on this site is refused; what only looks alike is not."""

import random
import string
from time import process_time
from types import SimpleNamespace

import pytest
from django.core.exceptions import ValidationError

from password_reset.password_validation import ContextWordValidator, RepetitionValidator

ADA = SimpleNamespace(
    username="countess",
    email="ada.b@numbers.example",
    first_name="Ada",
    last_name="Lovelace",
)


@pytest.fixture(autouse=True)
def _shop(settings):
    settings.PASSWORD_RESET_APP_NAME = "Café Bazaar"
    settings.PASSWORD_RESET_BASE_URL = "https://www.cornershop.example"


def refuses(validator, password, user=ADA):
    try:
        validator.validate(password, user)
    except ValidationError:
        return True
    return False


BUILT_AROUND = {
    "the name of the site": "CafeBazaar-2026",
    "a part of it": "Bazaar-Bazaar-1",
    "with accents and signs": "C@fé!B4z44r!2026",
    "its host": "cornershop12345",
    "the user's name": "Lovelace-1815-12",
    "their address": "ada.b@numbers.ex",
    "their account": "the-Countess-99",
    "a word of every site": "password-password",
    "in another language": "Willkommen2026!",
    "digits for letters": "P4ssw0rd-P455w0rd",
    "several of them": "Welcome-Ada-Lovelace",
    "full width": "ｐａｓｓｗｏｒｄ-2026",
}


@pytest.mark.parametrize("password", BUILT_AROUND.values(), ids=BUILT_AROUND)
def test_a_password_around_words_of_the_site_is_refused(password):
    assert refuses(ContextWordValidator(), password)


def test_words_may_be_added():
    assert not refuses(ContextWordValidator(), "Tulip-2026-abc")
    assert refuses(ContextWordValidator(words=["Tulip"]), "Tulip-2026-abc")


def test_nobody_is_needed_to_ask_about():
    assert refuses(ContextWordValidator(), "CafeBazaar-2026", None)
    assert not refuses(ContextWordValidator(), "Lovelace-1815-xq", None)


REPEATED = {
    "one character": "a" * 16,
    "a word": "Shop-Shop-Shop-Shop",
    "a word with a number": "Shop1Shop2Shop3Shop4",
    "twice": "hunter2-hunter2",
    "three letters": "abcabcabcabcabc",
    "digits in a row": "123456789012345",
    "the alphabet backwards": "zyxwvutsrqponmlk",
    "rows of the keyboard": "qwertyuiopasdfgh",
    "of a German one": "qwertzuiop-yxcvbnm",
    "doubled": "112233445566778899",
    "signs": "!!!!!!!!!!!!!!aB",
    "another case": "TulipTULIPtulip",
}


@pytest.mark.parametrize("password", REPEATED.values(), ids=REPEATED)
def test_a_password_that_repeats_itself_is_refused(password):
    assert refuses(RepetitionValidator(), password)


SOUND = [
    "correct horse battery staple",
    "quite-another-pass-phrase",
    "banana-mississippi",
    "row row row your boat gently down the stream",
    "a bazaar of blue umbrellas",
    "Lovelace wrote the first program",
    "пароль-и-ещё-слово",
    "正しい馬電池ホチキス東京大阪京都",
    "🦊🐻🐼🐨🐯🦁🐮🐷",
]


@pytest.mark.parametrize("password", SOUND)
@pytest.mark.parametrize("validator", [ContextWordValidator(), RepetitionValidator()])
def test_a_sound_password_is_not(validator, password):
    assert not refuses(validator, password)


def test_what_a_manager_makes_up_is_not():
    chance = random.Random(63)
    signs = string.ascii_letters + string.digits + string.punctuation
    made_up = ["".join(chance.choices(signs, k=16)) for _ in range(500)]
    validators = (ContextWordValidator(), RepetitionValidator())
    assert not [
        one for one in made_up if any(refuses(each, one) for each in validators)
    ]


@pytest.mark.parametrize("password", ["ab" * 30_000, "a" * 60_000, "-" * 60_000])
def test_a_long_one_takes_no_longer(password):
    before = process_time()
    refuses(ContextWordValidator(), password)
    refuses(RepetitionValidator(), password)
    assert process_time() - before < 0.5


@pytest.mark.parametrize("password", ["", "a", "@", "-", "\x00", "\ud800"])
def test_odd_ones_are_no_error(password):
    refuses(ContextWordValidator(), password)
    refuses(RepetitionValidator(), password)
