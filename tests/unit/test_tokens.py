"""Secrets: shape, digest, fingerprint."""

import pytest

from password_reset import tokens

RAW = "0123456789abcdef" * 4


def test_new_tokens_have_the_shape_and_never_repeat():
    made = {tokens.new_token() for _ in range(1000)}
    assert len(made) == 1000
    assert all(tokens.is_well_formed(raw) for raw in made)


OTHER_TYPES = [None, 0, True, 1.5, [], [RAW], {}, {"token": RAW}, b"a" * 64]
OTHER_TEXTS = [
    "",
    " ",
    RAW[:-1],
    RAW + "0",
    RAW.upper(),
    RAW + "\n",
    "\x00" * 64,
    "g" * 64,
    "٣" * 64,
    "a" * 1_000_000,
]


@pytest.mark.parametrize("raw", [*OTHER_TYPES, *OTHER_TEXTS])
def test_nothing_else_has_the_shape(raw):
    assert not tokens.is_well_formed(raw)


def test_a_digest_is_sha_256():
    assert (
        tokens.digest("a" * 64)
        == "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb"
    )


def test_a_log_gets_eight_digits_of_a_token_and_nothing_of_anything_else():
    assert tokens.mask(RAW) == "01234567..."
    assert {tokens.mask(raw) for raw in (None, "hunter2", RAW + "0")} == {"malformed"}


@pytest.mark.parametrize(
    "changed",
    [
        (2, "hash", "a@b.c"),
        (1, "other", "a@b.c"),
        (1, "hash", "x@b.c"),
        (1, "hasha", "@b.c"),
    ],
)
def test_a_fingerprint_fits_one_user_with_one_password_and_one_address(changed):
    print_ = tokens.fingerprint(1, "hash", "a@b.c")
    assert tokens.matches(print_, 1, "hash", "a@b.c")
    assert not tokens.matches(print_, *changed)


def test_a_fingerprint_survives_a_new_key_while_the_old_one_is_a_fallback(settings):
    print_ = tokens.fingerprint(1, "hash", "a@b.c")
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = (
        "another" * 10,
        [settings.SECRET_KEY],
    )
    assert tokens.matches(print_, 1, "hash", "a@b.c")
    settings.SECRET_KEY_FALLBACKS = []
    assert not tokens.matches(print_, 1, "hash", "a@b.c")
