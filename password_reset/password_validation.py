"""Password validators for ``AUTH_PASSWORD_VALIDATORS``, beside Django's own: what is
easy to guess on this site, and what is long only because it repeats itself.

NIST SP 800-63B-4, 3.1.1.2, asks for a list of such words. No rules of composition.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from . import brands
from .conf import conf

__all__ = ["ContextWordValidator", "RepetitionValidator"]

#: Typed around a name on every site, in the languages of this app.
COMMON_WORDS = [
    "password",
    "passwort",
    "passwd",
    "motdepasse",
    "contrasena",
    "senha",
    "wachtwoord",
    "haslo",
    "hasło",
    "welcome",
    "willkommen",
    "bienvenue",
    "bienvenido",
    "benvenuto",
    "login",
    "admin",
    "secret",
    "reset",
    "letmein",
    "changeme",
]
#: Digits and signs that stand for letters. Both sides are read so: i and l are one.
LOOK_ALIKES = str.maketrans("01345789@$!|+l", "oieastbgasiiti")
#: Rows of keyboards. The alphabet and the digits are rows by their code points.
ROWS = ("qwertyuiop", "qwertzuiop", "azertyuiop", "asdfghjkl", "yxcvbnm", "zxcvbnm")
SHORTEST_WORD, SHORTEST_COPY = 3, 3
#: Characters that a password has to have beside the words: Django's own minimum.
ENOUGH_BESIDE = 8
#: New characters that are enough however often they come again: NIST's minimum.
ENOUGH_NEW = 15
#: As far as a password is read: the time grows faster than the length.
LONGEST = 128


class ContextWordValidator:
    """Refuse a password that is little more than words which are easy to guess on this
    site: its name, the user's names and address, and words such as "password".

    ``words`` are more of them; ``user_attributes`` is what Django's
    ``UserAttributeSimilarityValidator`` takes.
    """

    user_attributes = ("username", "first_name", "last_name", "email")

    def __init__(
        self, words: Iterable[str] = (), user_attributes: Iterable[str] | None = None
    ) -> None:
        self.words = tuple(words)
        self.attributes = tuple(user_attributes or self.user_attributes)

    @sensitive_variables()
    def validate(self, password: str, user: Any = None) -> None:
        """Raise ``ValidationError`` where too little is left beside the words."""
        text = _letters(password[:LONGEST])
        rest = self._pattern(user).sub("", text)
        if rest != text and new_characters(rest) < ENOUGH_BESIDE:
            raise ValidationError(
                _(
                    "This is little more than words that are easy to guess here, such "
                    "as the name of this site, your own name or “password”."
                ),
                code="password_context",
            )

    def get_help_text(self) -> str:
        """Return the rule as a line of a list."""
        return _("Not just the name of this site, your own name or “password”")

    def _pattern(self, user: Any) -> re.Pattern[str]:
        texts = [*self.words, *COMMON_WORDS, *_site(), *self._about(user)]
        words = {word for text in texts for word in _words(text)}
        # The longest first: a site's whole name before its parts.
        return re.compile("|".join(sorted(words, key=len, reverse=True)))

    def _about(self, user: Any) -> list[str]:
        values = [getattr(user, name, "") for name in self.attributes]
        return [value for value in values if isinstance(value, str)]


class RepetitionValidator:
    """Refuse a password of which at least half repeats what stands before it, or runs
    on as ``abcdef`` and ``12345`` do.
    """

    @sensitive_variables()
    def validate(self, password: str, user: Any = None) -> None:
        """Raise ``ValidationError`` where too little is new."""
        text = _folded(password[:LONGEST])
        if any(map(_is_repetitive, _readings(text))):
            raise ValidationError(
                _("Too much of this repeats, or runs on as “abcdef” does."),
                code="password_repetition",
            )

    def get_help_text(self) -> str:
        """Return the rule as a line of a list."""
        return _("Not the same few characters again and again")


@sensitive_variables()
def new_characters(text: str) -> int:
    """Return how many characters neither repeat a piece of what stands before them nor
    continue a run.
    """
    count = place = 0
    while place < len(text):
        length = _copied(text, place)
        count += not length and not _runs_on(text, place)
        place += length or 1
    return count


def _readings(text: str) -> Iterator[str]:
    """Yield a text as it is, without what stands between its pieces, and without
    doubled characters: neither makes it better.
    """
    yield text
    plain = re.sub(r"[\W_]+", "", text)
    if len(plain) * 2 > len(text):
        yield plain
        yield re.sub(r"(.)\1+", r"\1", plain)


def _is_repetitive(text: str) -> bool:
    new = new_characters(text)
    return new < ENOUGH_NEW and new * 2 <= len(text)


def _copied(text: str, place: int) -> int:
    """Return the length of the longest piece from here that stands before, too; 0 for
    one that is short by chance.
    """
    length = SHORTEST_COPY
    while place + length <= len(text) and text.find(
        text[place : place + length], 0, place + length - 1
    ) not in {-1, place}:
        length += 1
    return length - 1 if length > SHORTEST_COPY else 0


def _runs_on(text: str, place: int) -> bool:
    """Return whether the last two steps to a character are the same small one."""
    if place < 2:
        return False
    before = set(_steps(text[place - 2], text[place - 1]))
    return not before.isdisjoint(_steps(text[place - 1], text[place]))


def _steps(one: str, other: str) -> Iterator[tuple[str, int]]:
    step = ord(other) - ord(one)
    if abs(step) <= 1:
        yield "", step
    for row in ROWS:
        if one in row and other in row:
            step = row.index(other) - row.index(one)
            if abs(step) == 1:
                yield "keyboard", step


def _site() -> list[str]:
    """Return the names of the site and of its brands, and what their hosts are made
    of.
    """
    return [
        word
        for brand in (brands.get(key) for key in (brands.DEFAULT, *conf.brands))
        for word in (brand.name, *brand.host.split(".")[:-1])
    ]


def _words(text: str) -> Iterator[str]:
    """Yield a text as one word, and its parts: those of an address lose its last label,
    which is no name.
    """
    name, _at, domain = text.partition("@")
    labels = domain.split(".")[:-1]
    for part in {name, *labels, *re.split(r"[\W_]+", " ".join((name, *labels)))}:
        word = _letters(part)
        if len(word) >= SHORTEST_WORD and not part.isdigit():
            yield word


def _letters(text: str) -> str:
    """Return a text without accents, case, signs and digits in place of letters."""
    plain = unicodedata.normalize("NFKD", _folded(text))
    return re.sub(r"[\W_]+", "", plain.translate(LOOK_ALIKES))


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()
