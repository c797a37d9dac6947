"""Attacks that happened to other reset flows and that no other test here is about."""

import secrets
from datetime import timedelta

import pytest
import requests
import time_machine
from django.contrib.auth.tokens import default_token_generator
from django.core.cache import cache
from django.core.management import call_command
from django.db import IntegrityError
from django.test import Client
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from password_reset.models import PasswordResetRequest, PasswordResetToken
from tests.tools.factories import NEW_PASSWORD, OLD_PASSWORD, UserFactory
from tests.tools.walk import ask, call, mailed_token, spend

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def raw(client, user):
    return mailed_token(client, user.email)


def knows(user, password):
    user.refresh_from_db()
    return user.check_password(password)


@pytest.mark.sqlite
@pytest.mark.parametrize(("age", "status"), [(3599, 302), (3600, 410)])
def test_a_link_works_for_its_last_second_and_not_for_the_next(
    client, user, age, status
):
    moment = timezone.now()
    with time_machine.travel(moment, tick=False):
        raw = mailed_token(client, user.email)
    with time_machine.travel(moment + timedelta(seconds=age), tick=False):
        assert spend(client, raw).status_code == status


STEPS = {
    "the last form alone": lambda client: spend(client, ""),
    "the last form without a token": lambda client: client.post(
        "/reset-password", {"new_password1": NEW_PASSWORD}
    ),
    "the page of success": lambda client: client.get("/reset-password/done"),
    "a link that was made up": lambda client: spend(client, secrets.token_hex(32)),
    "the digest instead of the token": lambda client: spend(
        client, PasswordResetToken.objects.get().token_hash
    ),
    "the fingerprint instead": lambda client: spend(
        client, PasswordResetToken.objects.get().fingerprint
    ),
    "JSON without a token": lambda client: call(
        client, "reset-password", {"password": NEW_PASSWORD}
    ),
}


@pytest.mark.usefixtures("raw")
@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_no_step_works_without_the_secret_of_the_mail(client, user, step):
    step(client)
    assert knows(user, OLD_PASSWORD)
    assert PasswordResetToken.objects.usable().count() == 1


@pytest.mark.sqlite
def test_a_spent_link_stays_dead_after_purge_and_flush(client, user, raw):
    spend(client, raw)
    call_command("purge_reset_tokens")
    cache.clear()
    assert not PasswordResetToken.objects.exists()
    assert spend(Client(), raw, "a-third-pass-phrase").status_code == 404
    assert knows(user, NEW_PASSWORD)


def test_a_spent_link_stays_dead_after_a_restart(processes, client, raw):
    spend(client, raw)
    site = processes.gunicorn(workers=1)
    body = {"token": raw, "password": "a-third-pass-phrase"}
    assert (
        requests.post(
            f"{site.url}/api/auth/reset-password", json=body, timeout=30
        ).status_code
        == 410
    )


def test_a_token_opens_the_account_that_it_was_made_for_and_no_other(client, user, raw):
    other = UserFactory()
    spend(client, raw)
    assert knows(user, NEW_PASSWORD)
    assert knows(other, OLD_PASSWORD)


def test_a_token_that_is_hung_on_another_account_opens_nothing(client, user, raw):
    other = UserFactory()
    PasswordResetToken.objects.update(user=other)
    assert spend(client, raw).status_code == 410
    assert knows(other, OLD_PASSWORD)


def test_tokens_of_django_s_own_flow_open_nothing(client, user):
    assert spend(client, default_token_generator.make_token(user)).status_code == 404
    assert knows(user, OLD_PASSWORD)


CHANGES = {
    "deactivated": {"is_active": False},
    "with another password": {"password": "md5$x$x"},
    "with another address": {"email": "elsewhere@example.com"},
}


@pytest.mark.sqlite
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_user_who_changed_since_the_mail_is_left_alone(client, user, raw, change):
    type(user).objects.update(**change)
    assert spend(client, raw).status_code == 410
    assert type(user).objects.filter(pk=user.pk, **change).exists()
    assert not knows(user, NEW_PASSWORD)


@pytest.mark.sqlite
def test_the_link_of_a_deleted_user_is_unknown(client, user, raw):
    user.delete()
    assert spend(client, raw).status_code == 404


@pytest.mark.sqlite
@pytest.mark.parametrize("blank", ["", " ", "0" * 63])
def test_the_column_holds_whole_digests_only(user, blank):
    with pytest.raises(IntegrityError):
        PasswordResetToken.objects.create(
            user=user, email="", token_hash=blank, expires_at=timezone.now()
        )


def test_a_task_is_told_a_number_and_nothing_else(client, settings, user):
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
    ask(client, user.email)
    told = DBTaskResult.objects.get().args_kwargs
    assert told == {"args": [PasswordResetRequest.objects.get().pk], "kwargs": {}}
