"""A log-in that django-axes has locked opens again after a reset, with the real
package.
"""

import pytest
from axes.models import AccessAttempt
from django.contrib.auth import authenticate
from django.db import DatabaseError, transaction
from django.test import Client, RequestFactory
from django.urls import reverse

from password_reset import lockouts, services
from password_reset.users import log_in_names
from tests.tools.axes import DATABASE, HERE, lock, log_in, use_axes
from tests.tools.factories import NEW_PASSWORD, OLD_PASSWORD, UserFactory
from tests.tools.walk import mailed_token, spend

pytestmark = pytest.mark.django_db(transaction=True)

CACHE = "axes.handlers.cache.AxesCacheHandler"
THERE = "198.51.100.9"
BY_NAME, BY_BOTH = ["username"], [["username", "ip_address"]]
BY_EITHER, BY_ADDRESS = ["username", "ip_address"], ["ip_address"]


@pytest.fixture(params=[DATABASE, CACHE], ids=["database", "cache"])
def axes(request, settings):
    return use_axes(settings, request.param)


def reset(user, address=HERE):
    client = Client(REMOTE_ADDR=address)
    assert spend(client, mailed_token(client, user.email)).status_code == 302


@pytest.mark.parametrize("counted", [BY_NAME, BY_BOTH])
def test_who_has_a_new_password_can_log_in(axes, user, counted):
    axes.AXES_LOCKOUT_PARAMETERS = counted
    lock(user.email)
    assert log_in(user.email, OLD_PASSWORD) == 429
    reset(user)
    assert log_in(user.email, NEW_PASSWORD) == 302


def test_asking_opens_nothing(axes, user):
    lock(user.email)
    mailed_token(Client(), user.email)
    assert log_in(user.email, OLD_PASSWORD) == 429


@pytest.mark.parametrize("counted", [BY_NAME, BY_BOTH, BY_EITHER])
def test_a_lock_of_somebody_else_stays(axes, user, counted):
    axes.AXES_LOCKOUT_PARAMETERS = counted
    other = UserFactory()
    lock(other.email, THERE)
    lock(user.email, HERE)
    reset(user, THERE)
    assert log_in(other.email, OLD_PASSWORD, THERE) == 429


def test_what_is_counted_for_an_address_stays(axes, user):
    """Three strangers have locked the address of a school."""
    axes.AXES_LOCKOUT_PARAMETERS = BY_EITHER
    for name in ("a", "b", "c"):
        log_in(name, "wrong", THERE)
    assert log_in(user.email, OLD_PASSWORD, THERE) == 429
    reset(user, THERE)
    assert log_in(user.email, NEW_PASSWORD, THERE) == 429
    assert log_in(user.email, NEW_PASSWORD, HERE) == 302


def test_a_reset_gives_no_new_tries_at_other_accounts(axes, user):
    axes.AXES_LOCKOUT_PARAMETERS = BY_ADDRESS
    victim = UserFactory()
    lock(victim.email, THERE)
    reset(user, THERE)
    assert log_in(victim.email, OLD_PASSWORD, THERE) == 429


@pytest.mark.parametrize("axes", [DATABASE], indirect=True)
def test_every_spelling_that_was_typed_is_forgotten(axes, user):
    lock(user.email.upper())
    reset(user)
    assert log_in(user.email.upper(), NEW_PASSWORD) == 302


def shouted(request, credentials):
    """A host's own way to name whoever tries."""
    return credentials["username"].upper()


def test_the_host_may_name_them_in_its_own_way(axes, user):
    axes.AXES_USERNAME_CALLABLE = "tests.unit.test_lockouts.shouted"
    lock(user.email)
    reset(user)
    assert log_in(user.email, NEW_PASSWORD) == 302


def test_json_unlocks_too(axes, user):
    lock(user.email)
    raw = mailed_token(Client(), user.email)
    body = {"token": raw, "password": NEW_PASSWORD}
    url = reverse("password_reset_api:reset")
    answer = Client().post(url, body, content_type="application/json")
    assert answer.status_code == 200
    assert log_in(user.email, NEW_PASSWORD) == 302


def test_a_user_without_a_name_unlocks_nobody(axes, user):
    """To axes an empty name is every name."""
    lock(user.email)
    nameless = UserFactory.build(email="")
    assert log_in_names(nameless) == set()
    lockouts.unlock(nameless, None)
    assert log_in(user.email, OLD_PASSWORD) == 429


def test_a_name_of_another_user_is_not_theirs(user):
    other = UserFactory()
    assert log_in_names(user, [other.email, user.email.upper()]) == {
        user.email,
        user.email.upper(),
    }


def test_nor_is_the_address_of_another_user(user, monkeypatch):
    """Where people log in by either, a user name may look like an address."""
    victim = UserFactory(email="victim@example.com")
    monkeypatch.setattr(type(user), "USERNAME_FIELD", "first_name")
    user.first_name = "Victim@example.com"
    user.save()
    assert log_in_names(user, [victim.email]) == {user.email}
    assert log_in_names(victim) == {victim.email}


@pytest.mark.parametrize("axes", [DATABASE], indirect=True)
def test_a_reset_that_is_rolled_back_opens_nothing(axes, user):
    lock(user.email)
    raw = mailed_token(Client(), user.email)

    def and_something_else():
        services.reset_password(raw, NEW_PASSWORD, ip_address=None, user_agent="")
        raise DatabaseError

    with pytest.raises(DatabaseError), transaction.atomic():
        and_something_else()
    assert AccessAttempt.objects.filter(username=user.email).exists()


@pytest.mark.parametrize("axes", [CACHE], indirect=True)
def test_a_cache_that_is_away_undoes_no_reset(axes, user, caplog):
    raw = mailed_token(Client(), user.email)
    gone = {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": "redis://127.0.0.1:1",
    }
    axes.CACHES = {**axes.CACHES, "gone": gone}
    axes.AXES_CACHE = "gone"
    axes.AXES_HANDLER = CACHE  # which reads it now
    assert spend(Client(), raw).status_code == 302
    user.refresh_from_db()
    assert user.check_password(NEW_PASSWORD)
    assert "not possible to unlock the log-in" in caplog.text


def test_without_axes_nothing_is_asked(settings, user, django_assert_num_queries):
    settings.INSTALLED_APPS = [
        name for name in settings.INSTALLED_APPS if name != "axes"
    ]
    with django_assert_num_queries(0):
        lockouts.unlock(user, HERE)


def test_a_lock_is_real(axes, user):
    """What the tests above rely on."""
    lock(user.email)
    request = RequestFactory().post("/login")
    assert authenticate(request, username=user.email, password=OLD_PASSWORD) is None
    assert log_in(UserFactory().email, OLD_PASSWORD) == 302
