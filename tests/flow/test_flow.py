"""The main job, from the first form to the log-in, and what each step answers."""

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from password_reset.models import (
    PasswordResetNotice,
    PasswordResetRequest,
    PasswordResetToken,
)
from tests.tools.factories import NEW_PASSWORD, OLD_PASSWORD, UserFactory
from tests.tools.walk import ask, call, mailed_token, spend, token_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]


@pytest.fixture
def user():
    return UserFactory(email="ada@example.com", first_name="Ada")


@pytest.fixture
def token(client, user):
    return mailed_token(client, user.email)


def can_log_in(password, email="ada@example.com"):
    return Client().login(username=email, password=password)


def test_the_whole_flow_sets_a_new_password(client, token):
    assert client.get("/reset-password", {"token": token}).status_code == 200
    assert spend(client, token)["Location"] == "/reset-password/done"
    assert client.get("/reset-password/done").status_code == 200
    assert can_log_in(NEW_PASSWORD)
    assert not can_log_in(OLD_PASSWORD)


def spend_in_json(client, raw):
    return call(client, "reset-password", {"token": raw, "password": NEW_PASSWORD})


@pytest.mark.parametrize("send", [spend, spend_in_json])
def test_a_link_is_looked_up_once_before_it_is_spent(client, token, send):
    with CaptureQueriesContext(connection) as queries:
        send(client, token)
    statements = [query["sql"] for query in queries]
    verbs = [sql.split()[0] for sql in statements if "password_reset_tokens" in sql]
    assert can_log_in(NEW_PASSWORD)
    assert verbs[: verbs.index("UPDATE")] == ["SELECT"]


def test_a_request_redirects_to_the_page_that_says_what_happens_next(client, user):
    response = ask(client, user.email)
    assert (response.status_code, response["Location"]) == (
        302,
        "/forgot-password/done",
    )
    assert client.get("/forgot-password/done").status_code == 200


def test_an_unknown_address_gets_the_same_answer_and_no_mail(client):
    assert ask(client, "nobody@example.com")["Location"] == "/forgot-password/done"
    assert mail.outbox == []
    assert PasswordResetRequest.objects.get().processed_at


def test_a_log_in_from_before_the_reset_ends(client, user, token):
    elsewhere = Client()
    elsewhere.login(username=user.email, password=OLD_PASSWORD)
    assert elsewhere.get("/account").status_code == 200
    spend(client, token)
    assert elsewhere.get("/account").status_code == 302


def test_the_person_who_resets_is_not_logged_in(client, token):
    spend(client, token)
    assert client.get("/account").status_code == 302


def test_a_spent_link_says_so_and_offers_a_new_one(client, token):
    spend(client, token)
    for answer in (
        client.get("/reset-password", {"token": token}),
        spend(client, token, "something-else-again"),
    ):
        assert answer.status_code == 410
        assert 'action="/forgot-password"' in answer.text
    assert can_log_in(NEW_PASSWORD)


@pytest.mark.parametrize(
    "raw",
    ["0" * 64, "A" * 64, "f" * 63, "zz", "f" * 64 + "\n", "\x00", "é", "f" * 5000],
)
def test_an_unknown_or_malformed_link_is_not_found(client, db, raw):
    assert client.get("/reset-password", {"token": raw}).status_code == 404
    assert spend(client, raw).status_code == 404


@pytest.mark.parametrize("query", ["", "?token=", "?other=1"])
def test_a_reload_after_the_address_bar_was_cleaned_is_no_error(client, query):
    response = client.get(f"/reset-password{query}")
    assert response.status_code == 200
    assert "new_password1" not in response.text


def test_looking_at_a_link_changes_nothing(client, user, token):
    before = PasswordResetToken.objects.values().get()
    for look in (client.get, client.head) * 10:
        assert look("/reset-password", {"token": token}).status_code == 200
    assert PasswordResetToken.objects.values().get() == before
    assert spend(client, token).status_code == 302


@pytest.mark.parametrize(
    "password", ["short", "password123", "12345678901", "ada@example.com"]
)
def test_a_refused_password_is_explained_and_leaves_the_link_usable(
    client, token, password
):
    response = spend(client, token, password)
    assert response.status_code == 200
    assert 'aria-invalid="true"' in response.text
    assert token in response.text
    assert spend(client, token).status_code == 302


def test_two_different_passwords_are_refused(client, token):
    data = {
        "token": token,
        "new_password1": NEW_PASSWORD,
        "new_password2": NEW_PASSWORD + "x",
    }
    assert client.post("/reset-password", data).status_code == 200
    assert can_log_in(OLD_PASSWORD)


@pytest.mark.parametrize(
    "email",
    ["", "ada", "a@b", "a@example.com, b@example.com", "a@example.com\nb@example.com"],
)
def test_a_malformed_address_is_explained_and_kept_out(client, db, email):
    response = ask(client, email)
    assert response.status_code == 200
    assert 'aria-invalid="true"' in response.text
    assert not PasswordResetRequest.objects.exists()


def test_an_address_that_comes_twice_is_refused(client, user):
    response = client.post(
        "/forgot-password", {"email": [user.email, "evil@example.com"]}
    )
    assert response.status_code == 200
    assert not PasswordResetRequest.objects.exists()


@pytest.mark.parametrize(
    "path",
    [
        "/forgot-password",
        "/forgot-password/done",
        "/reset-password",
        "/reset-password/done",
    ],
)
def test_every_page_answers_with_and_without_a_trailing_slash(client, db, path):
    assert client.get(path).status_code == client.get(f"{path}/").status_code == 200


def test_several_links_work_side_by_side_until_one_is_spent(client, user):
    first, second = mailed_token(client, user.email), mailed_token(client, user.email)
    assert client.get("/reset-password", {"token": first}).status_code == 200
    assert spend(client, second).status_code == 302
    assert client.get("/reset-password", {"token": first}).status_code == 410
    assert PasswordResetToken.objects.filter(used=True).count() == 2


def test_the_owner_is_told_of_the_change(client, user, token):
    spend(client, token)
    notice = mail.outbox[-1]
    assert notice.to == [user.email]
    assert "password" in notice.subject.lower()
    assert PasswordResetNotice.objects.get().processed_at


def test_the_mail_goes_to_the_address_on_file(client, user):
    ask(client, "ADA@EXAMPLE.COM")
    assert mail.outbox[-1].to == ["ada@example.com"]
    assert token_in(mail.outbox[-1].body)
