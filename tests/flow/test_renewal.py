"""A link that no longer works offers a new one, to the address that it was sent to."""

from datetime import timedelta

import pytest
from django.contrib.auth.tokens import default_token_generator
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from password_reset import services
from password_reset.models import PasswordResetRequest, PasswordResetToken
from tests.tools.factories import NEW_PASSWORD
from tests.tools.walk import call, look, mailed_token, spend, token_in

pytestmark = pytest.mark.django_db(transaction=True)

DONE = "/forgot-password/done"


@pytest.fixture
def raw(client, user):
    return mailed_token(client, user.email)


def renew(client, raw, **extra):
    """Press the button of a dead link's page."""
    return client.post("/forgot-password", {"token": raw}, **extra)


def expire():
    PasswordResetToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))


def void():
    PasswordResetToken.objects.all().void()


@pytest.mark.sqlite
@pytest.mark.parametrize("kill", [expire, void])
def test_a_dead_link_brings_a_new_one_to_its_own_mailbox(client, user, raw, kill):
    kill()
    response = renew(client, raw)
    assert (response.status_code, response["Location"]) == (302, DONE)
    assert mail.outbox[-1].to == [user.email]
    fresh = token_in(mail.outbox[-1].body)
    assert fresh != raw
    assert spend(client, fresh).status_code == 302


def test_the_button_of_the_page_carries_it(user, raw):
    expire()
    strict = Client(enforce_csrf_checks=True)
    page = look(strict, raw).context
    form = {"token": page["dead_token"], "csrfmiddlewaretoken": page["csrf_token"]}
    assert strict.post("/forgot-password", form).status_code == 302
    assert len(mail.outbox) == 2


def test_another_site_cannot_press_it(raw):
    expire()
    assert renew(Client(enforce_csrf_checks=True), raw).status_code == 403
    assert len(mail.outbox) == 1


def test_opening_a_dead_link_asks_for_nothing(client, raw):
    expire()
    for open_link in (client.get, client.head) * 5:
        assert open_link("/reset-password", {"token": raw}).status_code == 410
        assert open_link("/forgot-password", {"token": raw}).status_code == 200
    assert PasswordResetRequest.objects.count() == len(mail.outbox) == 1


def test_a_spent_link_leads_to_the_mailbox_and_not_into_the_account(client, user, raw):
    spend(client, raw)
    renew(client, raw)
    user.refresh_from_db()
    assert user.check_password(NEW_PASSWORD)
    assert {each.to[0] for each in mail.outbox} == {user.email}


def test_a_link_that_still_works_stays_as_it_is(client, user, raw):
    before = PasswordResetToken.objects.values().get()
    assert renew(client, raw)["Location"] == DONE
    assert PasswordResetToken.objects.filter(**before).exists()
    assert {each.to[0] for each in mail.outbox} == {user.email}


def test_after_a_change_of_address_nobody_is_mailed(client, user, raw):
    user.email = "new@example.com"
    user.save()
    assert renew(client, raw)["Location"] == DONE
    assert len(mail.outbox) == 1


def test_an_address_beside_it_is_not_believed(client, user, raw):
    expire()
    response = client.post(
        "/forgot-password", {"token": raw, "email": "somebody@example.com"}
    )
    assert response["Location"] == DONE
    assert PasswordResetRequest.objects.latest("pk").email == "somebody@example.com"
    assert len(mail.outbox) == 1


def of_django(user):
    return default_token_generator.make_token(user)


def the_digest(user):
    return PasswordResetToken.objects.get().token_hash


def the_fingerprint(user):
    return PasswordResetToken.objects.get().fingerprint


def the_row_s_number(user):
    return str(PasswordResetToken.objects.get().pk)


def the_address(user):
    return user.email


def made_up(user):
    return "0" * 64


def with_nul(user):
    return "\x00" * 64


def blank(user):
    return ""


@pytest.mark.parametrize(
    "forged",
    [
        of_django,
        the_digest,
        the_fingerprint,
        the_row_s_number,
        the_address,
        made_up,
        with_nul,
        blank,
    ],
    ids=lambda forged: forged.__name__,
)
def test_what_is_no_link_of_ours_asks_for_nothing(client, user, raw, forged):
    response = renew(client, forged(user))
    assert response.status_code == 404
    assert 'name="email"' in response.text
    assert user.email not in response.text
    assert PasswordResetRequest.objects.count() == len(mail.outbox) == 1


def test_a_purged_link_has_the_plain_form(client, raw):
    expire()
    services.purge(dry_run=False, batch_size=10)
    response = renew(client, raw)
    assert response.status_code == 404
    assert "This link is too old, or damaged" in response.text


def test_it_is_counted_like_any_request(client, raw, settings):
    settings.PASSWORD_RESET_REQUEST_RATE_PER_IP = "2/h"
    expire()
    statuses = [renew(client, raw).status_code for _ in range(3)]
    assert statuses[0] == 302
    assert statuses[-1] == 429


def test_guessing_is_counted_like_any_attempt(client, settings):
    settings.PASSWORD_RESET_CONFIRM_RATE_PER_IP = "2/m"
    statuses = [renew(client, f"{number:064x}").status_code for number in range(3)]
    assert statuses == [404, 404, 429]


def test_no_user_is_looked_up(client, user, raw, settings):
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
    expire()
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert renew(client, raw)["Location"] == DONE
    table = user._meta.db_table
    assert not [each["sql"] for each in queries if f'"{table}"' in each["sql"]]


def test_json_does_not_know_it(client, raw):
    expire()
    answer = call(client, "request-password-reset", {"token": raw})
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    answer = call(client, "verify-reset-token", {"token": raw})
    assert (answer.status_code, answer.json()["code"]) == (410, "token_expired")
