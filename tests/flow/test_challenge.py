"""Above a soft limit the form asks for a proof; it counts once, in time, and here only."""

import base64
import hashlib
import json
import re
from datetime import timedelta

import pytest
import time_machine
from altcha.v1 import create_challenge
from django.core.cache.backends.locmem import LocMemCache
from django.utils import timezone

from password_reset.altcha import AltchaChallenge
from password_reset.models import PasswordResetRequest
from tests.tools.factories import UserFactory
from tests.tools.walk import ask, call

pytestmark = pytest.mark.django_db(transaction=True)

DATA = re.compile(r'data-(\w+)="([^"]*)"')
ALTCHA = "password_reset.altcha.AltchaChallenge"


class EasyChallenge(AltchaChallenge):
    """The same with a number that is found at once."""

    max_number = 50


@pytest.fixture(autouse=True)
def _site(settings):
    settings.PASSWORD_RESET_CHALLENGE = f"{__name__}.EasyChallenge"
    settings.PASSWORD_RESET_CHALLENGE_RATE_PER_IP = "1/h"
    settings.PASSWORD_RESET_REQUEST_RATE_PER_IP = "3/h"
    settings.PASSWORD_RESET_REQUEST_RATE_PER_EMAIL = None


@pytest.fixture
def asked(client):
    """The page that asks for a proof, after one request."""
    ask(client, "first@example.com")
    return ask(client, "ada@example.com")


def challenge_on(page):
    [box] = re.findall(r'<div class="pr-proof"[^>]*>', page.content.decode())
    return dict(DATA.findall(box.replace("&amp;", "&")))


def solution(asked_for, **changes):
    """Return what a browser sends: the number whose digest was asked for."""
    numbers = range(int(asked_for["max"]) + 1)
    number = next(
        each
        for each in numbers
        if hashlib.sha256(f"{asked_for['salt']}{each}".encode()).hexdigest()
        == asked_for["challenge"]
    )
    names = ("algorithm", "challenge", "salt", "signature")
    return {name: asked_for[name] for name in names} | {"number": number} | changes


def written(found):
    return base64.b64encode(json.dumps(found).encode()).decode()


def send(client, proof, email="ada@example.com"):
    return client.post("/forgot-password", {"email": email, "proof": proof})


def test_it_is_off_unless_a_host_wants_it(client, settings):
    settings.PASSWORD_RESET_CHALLENGE = None
    assert [ask(client, "ada@example.com").status_code for _ in range(4)] == [
        302,
        302,
        302,
        429,
    ]


def test_below_the_soft_limit_nothing_is_asked(client):
    assert ask(client, "ada@example.com").status_code == 302


def test_above_it_the_form_comes_back_and_says_how_long_to_wait(asked):
    html = asked.content.decode()
    assert (asked.status_code, asked["Retry-After"]) == (429, "3600")
    assert 'value="ada@example.com"' in html
    assert "Please wait 1 hour and try again." in html
    assert "<noscript>" in html
    assert PasswordResetRequest.objects.count() == 1


def test_a_proof_is_let_in(client, asked):
    assert send(client, written(solution(challenge_on(asked)))).status_code == 302
    assert PasswordResetRequest.objects.count() == 2


def test_it_is_let_in_where_the_network_would_be_refused(client):
    pages = [ask(client, "ada@example.com") for _ in range(2)]
    for _ in range(5):
        answer = send(client, written(solution(challenge_on(pages[-1]))))
        pages.append(ask(client, "ada@example.com"))
        assert answer.status_code == 302


def test_it_lifts_no_limit_of_an_address(client, settings):
    settings.PASSWORD_RESET_REQUEST_RATE_PER_EMAIL = "1/h"
    ask(client, "ada@example.com")
    page = ask(client, "ada@example.com")
    answer = send(client, written(solution(challenge_on(page))))
    assert answer.status_code == 429
    assert "pr-proof" not in answer.content.decode()


def test_a_proof_counts_once(client, asked):
    proof = written(solution(challenge_on(asked)))
    assert send(client, proof).status_code == 302
    again = send(client, proof)
    assert again.status_code == 429
    assert "data-send" not in again.content.decode()  # nor is it sent round and round


def test_another_spelling_of_it_is_the_same_proof(client, asked):
    found = solution(challenge_on(asked))
    assert send(client, written(found)).status_code == 302
    for spelling in (
        found | {"more": 1},
        found | {"salt": found["salt"].removesuffix("&")},
    ):
        assert send(client, written(spelling)).status_code == 429


def test_a_proof_expires(client, asked):
    proof = written(solution(challenge_on(asked)))
    with time_machine.travel(timezone.now() + timedelta(minutes=10, seconds=2)):
        ask(client, "first@example.com")  # a window may have begun anew
        assert send(client, proof).status_code == 429


def spliced(found):
    """The salt loses when it expires; the digest stays, for the number brings it."""
    salt = found["salt"].partition("?")[0]
    return found | {"salt": f"{salt}?", "number": f"{found['salt']}{found['number']}"}


def moved(found):
    """One digit of the number becomes one of the time (CVE-2025-68113)."""
    salt = found["salt"].removesuffix("&")
    number = str(found["number"])
    return found | {"salt": salt + number[0], "number": int(number[1:] or 0)}


def resigned(found):
    made = create_challenge(
        algorithm="SHA-256",
        max_number=5,
        salt_length=12,
        hmac_key="another form of this site",
        salt="",
        number=3,
        expires=timezone.now() + timedelta(minutes=10),
        params=None,
    )
    return {**vars(made), "number": 3}


FORGED = {
    "another number": lambda found: found | {"number": found["number"] + 1},
    "another signature": lambda found: found | {"signature": "0" * 64},
    "later": lambda found: (
        found | {"salt": re.sub(r"expires=\d+", "expires=9999999999", found["salt"])}
    ),
    "a spliced salt": spliced,
    "a moved digit": moved,
    "a challenge of another form": resigned,
    "no time": lambda found: found | {"salt": found["salt"].partition("?")[0]},
    "a number as a text": lambda found: found | {"number": str(found["number"])},
    "a number as a truth": lambda found: found | {"number": True},
    "a list": lambda found: [found],
    "a number": lambda found: 5,
    "nothing": lambda found: None,
    "a salt of another type": lambda found: found | {"salt": ["x"]},
    "a salt beyond ASCII": lambda found: found | {"salt": "\ud800expires=1"},
    "a part": lambda found: {"algorithm": "SHA-256"},
    "SHA-1": lambda found: found | {"algorithm": "SHA-1"},
    "another hash": lambda found: found | {"algorithm": "MD5"},
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED)
def test_a_forged_proof_is_refused(client, asked, forge):
    answer = send(client, written(forge(solution(challenge_on(asked)))))
    assert answer.status_code == 429
    assert PasswordResetRequest.objects.count() == 1


@pytest.mark.parametrize(
    "proof", ["x", "=", "é", "\x00", "W10=", "[" * 5000, "W1td" * 4000, "bnVsbA=="]
)
def test_what_is_no_proof_at_all_is_refused(client, asked, proof):
    assert send(client, proof).status_code == 429


def test_a_challenge_is_the_same_for_every_address(client, settings):
    UserFactory(email="ada@example.com")
    ask(client, "first@example.com")
    pages = [ask(client, email) for email in ("ada@example.com", "nobody@example.com")]
    assert {page.status_code for page in pages} == {429}
    first, second = (
        re.sub(r'(data-\w+|value)="[^"]*"', "", page.content.decode()) for page in pages
    )
    assert first == second


def test_no_statement_tells_who_has_an_account(
    client, asked, django_assert_num_queries
):
    with django_assert_num_queries(0):
        ask(client, "ada@example.com")


def test_a_program_is_refused_as_ever(client):
    answers = [
        call(client, "request-password-reset", {"email": "ada@example.com"})
        for _ in range(4)
    ]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert answers[-1].json()["code"] == "rate_limited"


def test_the_whole_site_may_have_a_soft_limit(client, settings):
    settings.PASSWORD_RESET_CHALLENGE_RATE_PER_IP = None
    settings.PASSWORD_RESET_CHALLENGE_RATE_PER_SITE = "2/h"
    answers = [
        ask(client, "ada@example.com", REMOTE_ADDR=f"192.0.2.{number}").status_code
        for number in range(3)
    ]
    assert answers == [302, 302, 429]


class Forgetful(LocMemCache):
    """A cache that counts, and cannot remember a proof."""

    def add(self, key, *args, **kwargs):
        if "proof" in key:
            raise ConnectionError
        return super().add(key, *args, **kwargs)


def test_a_proof_that_cannot_be_remembered_does_not_count(client, settings):
    settings.CACHES = settings.CACHES | {
        "forgetful": {"BACKEND": f"{__name__}.Forgetful"}
    }
    settings.RATELIMIT_USE_CACHE = "forgetful"
    ask(client, "first@example.com")
    page = ask(client, "ada@example.com")
    answer = send(client, written(solution(challenge_on(page))))
    assert answer.status_code == 503
    assert PasswordResetRequest.objects.count() == 1


def test_every_part_comes_from_this_site(asked):
    html = asked.content.decode()
    assert re.findall(r'<script[^>]*src="([^"]*altcha[^"]*)"', html) == [
        "/static/password_reset/altcha.js"
    ]
    assert "script-src 'self'" in asked["Content-Security-Policy"]
