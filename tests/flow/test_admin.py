"""The tables in the admin: what staff see, find and may do; what no page ever shows."""

from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.utils import timezone

from password_reset.models import PasswordResetRequest, PasswordResetToken, UserSession
from tests.tools.factories import UserFactory
from tests.tools.staff import (
    NOTICES,
    REQUESTS,
    SESSIONS,
    TOKENS,
    committed,
    link_of,
    staff,
    superuser,
)
from tests.tools.walk import spend

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

LISTS = [REQUESTS, TOKENS, NOTICES, SESSIONS]


@pytest.fixture
def user():
    return UserFactory(email="ada@example.com")


@pytest.fixture
def traces(client, user):
    """A row in each of the tables; returns the secret of the link."""
    raw = link_of(client, user.email)
    with committed():
        spend(client, raw)
    client.force_login(user)
    return raw


def rows_of(response):
    return list(response.context["cl"].result_list)


def found(page, term, **query):
    return rows_of(superuser().get(page, {"q": term, **query}))


def detail(page):
    browser = superuser()
    row = rows_of(browser.get(page))[0]
    return browser.get(f"{page}{row.pk}/change/").content.decode()


@pytest.mark.parametrize("page", LISTS)
def test_staff_who_may_view_see_the_list_and_a_row(page, traces):
    row = rows_of(superuser().get(page))[0]
    browser = staff(f"view_{row._meta.model_name}")
    assert browser.get(page).status_code == 200
    assert browser.get(f"{page}{row.pk}/change/").status_code == 200


@pytest.mark.parametrize("page", LISTS)
def test_staff_without_a_permission_see_nothing(page, user):
    assert staff().get(page).status_code == 403


@pytest.mark.parametrize("page", LISTS)
def test_not_even_a_superuser_adds_changes_or_deletes_a_row(page, traces):
    browser = superuser()
    row = rows_of(browser.get(page))[0]
    answers = [
        browser.get(f"{page}add/"),
        browser.post(f"{page}{row.pk}/change/", {"email": "x@example.com"}),
    ]
    answers += [browser.post(f"{page}{row.pk}/delete/", {"post": "yes"})]
    assert [answer.status_code for answer in answers] == [403, 403, 403]
    assert "delete_selected" not in browser.get(page).content.decode()


def test_a_user_is_deleted_with_all_their_rows(user, traces):
    address = f"/admin/project/user/{user.pk}/delete/"
    assert superuser().post(address, {"post": "yes"}).status_code == 302
    assert not PasswordResetToken.objects.exists()
    assert not UserSession.objects.filter(user_id=user.pk).exists()


@pytest.mark.parametrize("page", LISTS)
def test_no_digest_fingerprint_session_key_or_secret_is_shown(page, client, traces):
    token = PasswordResetToken.objects.get()
    text = superuser().get(page).content.decode() + detail(page)
    for hidden in (
        traces,
        token.token_hash,
        token.fingerprint,
        client.session.session_key,
    ):
        assert hidden not in text


@pytest.mark.parametrize(
    "address",
    [
        f"{SESSIONS}?session_key__startswith=",
        f"{TOKENS}?token_hash__startswith=",
        f"{TOKENS}?fingerprint__lt=",
    ],
)
def test_a_hidden_column_cannot_be_guessed_letter_by_letter(address, traces):
    assert superuser().get(f"{address}a").status_code == 400


@pytest.mark.parametrize("page", [REQUESTS, TOKENS, NOTICES])
def test_a_row_is_found_by_address_beginning_or_ip(page, traces):
    terms = [
        "ada@example.com",
        "ada@ex",
        "ADA@example.com",
        "127.0.0.1",
        "::ffff:127.0.0.1",
    ]
    assert [len(found(page, term)) for term in terms] == [1, 1, 1, 1, 1]


@pytest.mark.parametrize("page", LISTS)
def test_a_row_is_found_by_its_user(page, user, traces):
    PasswordResetRequest.objects.update(email="typed-otherwise@example.com")
    PasswordResetToken.objects.update(email="before@example.com")
    assert found(page, str(user.pk)) == found(page, user.email.upper()) != []


@pytest.mark.parametrize("page", LISTS)
def test_what_is_not_there_is_not_found(page, traces):
    terms = [
        "bob@example.com",
        "da@example.com",
        "10.0.0.1",
        "%",
        "99999999999999999999",
        "ada_",
    ]
    assert [found(page, term) for term in terms] == [[]] * len(terms)


def test_requests_are_filtered_by_what_became_of_them(user):
    now = timezone.now()
    states = {
        "due": {},
        "failed": {"failed_at": now},
        "sent": {"processed_at": now, "mails_sent": 1},
        "nobody": {"processed_at": now},
        "later": {"next_attempt_at": now + timedelta(hours=1)},
    }
    for name, values in states.items():
        PasswordResetRequest.objects.create(email=f"{name}@example.com", **values)
    seen = {
        name: {row.email.split("@")[0] for row in found(REQUESTS, "", state=name)}
        for name in [*states, "pending"]
    }
    assert seen["pending"] == {"due", "later"}
    assert all(seen[name] == {name} for name in ("due", "failed", "sent"))


def test_tokens_are_filtered_by_what_they_open(client, user, traces):
    with time_machine.travel(timezone.now() - timedelta(hours=2)):
        link_of(client, user.email)
    link_of(client, user.email)
    used, expired, usable = PasswordResetToken.objects.order_by("pk")
    seen = {
        name: found(TOKENS, "", state=name) for name in ("expired", "used", "usable")
    }
    assert seen == {"expired": [expired], "used": [used], "usable": [usable]}


def test_a_request_that_waits_shows_when_and_why(user):
    later = timezone.now() + timedelta(days=2)
    PasswordResetRequest.objects.create(
        email="ada@example.com",
        attempts=3,
        next_attempt_at=later,
        last_error="SMTPRecipientsRefused 550",
    )
    text = superuser().get(REQUESTS).content.decode()
    assert "waiting until" in text
    assert "the recipient&#x27;s address is refused (SMTPRecipientsRefused 550)" in text


@pytest.mark.parametrize("page", [TOKENS, NOTICES, SESSIONS])
def test_the_rows_of_one_user_can_be_linked_to(page, user, traces):
    assert {
        row.user_id for row in rows_of(superuser().get(page, {"user__exact": user.pk}))
    } == {user.pk}


BANNER = "no worker is sending"
PAGES = ["/admin/", "/admin/password_reset/", *LISTS]


def wait(minutes, **values):
    asked_at = timezone.now() - timedelta(minutes=minutes)
    PasswordResetRequest.objects.create(
        email="ada@example.com", created_at=asked_at, **values
    )


def pages_that_say(words):
    browser = superuser()
    return [page for page in PAGES if words in browser.get(page).content.decode()]


def test_the_admin_says_that_requests_wait_and_no_worker_works():
    wait(minutes=6)
    assert pages_that_say(BANNER) == PAGES


def test_the_admin_is_quiet_while_requests_are_young():
    wait(minutes=4)
    assert pages_that_say(BANNER) == []


def test_the_admin_tells_an_outage_from_a_sleeping_worker():
    wait(minutes=6, attempts=3, next_attempt_at=timezone.now() + timedelta(minutes=9))
    assert pages_that_say("could not be sent yet") == PAGES
    assert pages_that_say(BANNER) == []


def test_staff_of_other_departments_are_not_told():
    wait(minutes=6)
    assert BANNER not in staff("view_user").get("/admin/").content.decode()


def test_the_admin_says_that_the_flow_is_switched_off(settings):
    settings.PASSWORD_RESET_ENABLED = False
    assert pages_that_say("switched off") == PAGES


def test_looking_around_sends_nothing(traces):
    mail.outbox.clear()
    browser = superuser()
    for page in PAGES:
        browser.get(page)
    assert mail.outbox == []
