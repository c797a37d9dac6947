"""Nine kinds of account: what each person sees and gets who asks, opens the link, or
types the code. For whoever only sees the pages they are all the same.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.test import Client

from tests.tools.axes import lock, log_in, use_axes
from tests.tools.factories import NEW_PASSWORD, UserFactory
from tests.tools.second_factor import ADAPTER, code_of, totp
from tests.tools.walk import CODE, TOKEN, ask, code_in, enter, look, token_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

ADA = "ada@example.com"
NOW = "2026-11-22T12:00:00Z"
MASKS = re.compile(
    rb'name="(csrfmiddlewaretoken|n)" value="[^"]+"'
    rb"|(csrftoken|password_reset_request)=[^;]+"
)
LINK, LOGIN = "Your link to a new password", "How to log in"
FACTOR = 'name="second_factor"'


def nobody() -> list[Any]:
    return []


def one(**fields: Any) -> Callable[[], list[Any]]:
    return lambda: [UserFactory(**{"email": ADA} | fields)]


def two() -> list[Any]:
    return [UserFactory(email=ADA), UserFactory(email=ADA.upper())]


def with_an_app() -> list[Any]:
    [user] = one()()
    totp(user)
    return [user]


def locked_out() -> list[Any]:
    [user] = one()()
    lock(ADA)
    return [user]


@dataclass(frozen=True)
class Kind:
    """Whose address it is, and what comes of it."""

    accounts: Callable[[], list[Any]]
    #: The subjects of the emails that come; each link and code opens the form.
    mailed: tuple[str, ...] = ()
    #: Whether the form asks for one more code.
    asks_factor: bool = False
    provider: str = ""


KINDS = {
    "usual": Kind(one(), (LINK,)),
    "unknown": Kind(nobody),
    "inactive": Kind(one(is_active=False)),
    "without a password": Kind(one(password=None), (LOGIN,)),
    "social log-in alone": Kind(one(password=None), (LOGIN,), provider="Google"),
    "two on one address": Kind(two, (LINK, LINK)),
    "with an authenticator app": Kind(with_an_app, (LINK,), asks_factor=True),
    "locked by django-axes": Kind(locked_out, (LINK,)),
    "superuser": Kind(one(is_staff=True, is_superuser=True), (LINK,)),
}
RESETS = {name: kind for name, kind in KINDS.items() if LINK in kind.mailed}
each_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
each_reset = pytest.mark.parametrize("kind", RESETS.values(), ids=RESETS)


@pytest.fixture(autouse=True)
def host(settings):
    settings.PASSWORD_RESET_CODES = True
    settings.PASSWORD_RESET_SECOND_FACTOR = ADAPTER
    settings.PASSWORD_RESET_CONFIRM_RATE_PER_IP = None
    return use_axes(settings)


def seen() -> list[Any]:
    """Return all that somebody sees who asks, follows, and guesses codes until no more
    are taken.
    """
    client = Client(HTTP_X_REQUEST_ID="the-same-each-time")
    asked = ask(client, ADA)
    pages = [asked, client.get(asked["Location"])]
    pages += [enter(client, "BBBB-BBBB") for _ in range(7)]
    return [
        (page.status_code, page.serialize_headers(), page.content) for page in pages
    ]


def masked(pages: list[Any]) -> list[Any]:
    return [
        (status, MASKS.sub(b"...", headers), MASKS.sub(b"...", content))
        for status, headers, content in pages
    ]


@each_kind
def test_its_pages_are_those_of_an_address_that_nobody_has(kind):
    with time_machine.travel(NOW, tick=False):
        of_nobody = masked(seen())
        kind.accounts()
        assert masked(seen()) == of_nobody


@each_kind
def test_its_owner_is_mailed(kind, client, settings):
    settings.PASSWORD_RESET_LOGIN_PROVIDERS = lambda user: [kind.provider]
    kind.accounts()
    ask(client, ADA)
    found = sorted(kind_of(message.subject) for message in mail.outbox)
    assert found == sorted(kind.mailed)
    for message in mail.outbox:
        has_link = LINK in message.subject
        assert bool(TOKEN.search(message.body)) == has_link
        assert bool(CODE.search(message.body)) == has_link
        assert kind.provider in message.body


def kind_of(subject):
    return next(each for each in (LINK, LOGIN) if subject.startswith(each))


def by_link(client):
    return [token_in(message.body) for message in mail.outbox]


def by_code(client):
    page = enter(client, code_in(mail.outbox[0].body))
    return [re.search(r'name="token" value="([0-9a-f]{64})"', page.text)[1]]


@pytest.mark.parametrize("way", [by_link, by_code])
@each_reset
def test_its_link_and_code_lead_to_a_new_password_and_in(kind, way, client):
    users = kind.accounts()
    ask(client, ADA)
    for token in way(client):
        page = look(Client(), token)
        assert page.status_code == 200
        assert (FACTOR in page.text) == kind.asks_factor
        assert save(client, token, users[0]).status_code == 302
    for user in users[:1] if way is by_code else users:
        assert log_in(user.email, NEW_PASSWORD) == 302


def save(client, token, user):
    fields = dict.fromkeys(("new_password1", "new_password2"), NEW_PASSWORD)
    device = user.totpdevice_set.first()
    factor = {"second_factor": code_of(device)} if device else {}
    return client.post("/reset-password", {"token": token} | fields | factor)
