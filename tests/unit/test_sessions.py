"""Log-ins are remembered and, with a new password, ended: in every session engine."""

from functools import partial

import pytest
from django.contrib.auth import SESSION_KEY
from django.core import mail
from django.core.cache import cache
from django.test import Client

from password_reset import revokers, services
from password_reset.models import UserSession
from tests.tools.factories import NEW_PASSWORD, OLD_PASSWORD, UserFactory
from tests.tools.threads import at_once
from tests.tools.walk import token_in

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

STORED = ["db", "cache", "cached_db", "file"]
VISITOR = {"ip_address": None, "user_agent": ""}


@pytest.fixture(params=[*STORED, "signed_cookies"])
def engine(request, settings, tmp_path):
    """The name of the session engine that the site uses."""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    return request.param


def browser_of(user, password=OLD_PASSWORD):
    browser = Client()
    assert (
        browser.post(
            "/login", {"username": user.email, "password": password}
        ).status_code
        == 302
    )
    return browser


def is_logged_in(browser):
    return browser.get("/account").status_code == 200


def link_for(user):
    services.request_reset(user.email, language="en", **VISITOR)
    services.process_due()
    return token_in(mail.outbox[-1].body)


def reset(user):
    return services.reset_password(link_for(user), NEW_PASSWORD, **VISITOR)


def test_every_session_of_the_user_ends(engine, user):
    browsers = [browser_of(user) for _ in range(2)]
    reset(user)
    assert not any(is_logged_in(browser) for browser in browsers)
    assert is_logged_in(browser_of(user, NEW_PASSWORD))


def test_ended_sessions_are_counted_and_gone_from_the_store(engine, user):
    keys = [browser_of(user).session.session_key for _ in range(2)]
    stored = engine in STORED
    assert reset(user).sessions_deleted == (2 if stored else 0)
    assert not any(stored and revokers.session_store(key).exists(key) for key in keys)
    assert not UserSession.objects.exists()


def test_sessions_end_also_where_none_was_remembered(engine, user):
    browser = browser_of(user)
    UserSession.objects.all().delete()
    assert reset(user).sessions_deleted == 0
    assert not is_logged_in(browser)


def test_sessions_of_others_go_on(engine, user):
    other = browser_of(UserFactory())
    reset(user)
    assert is_logged_in(other)


def test_a_log_in_is_remembered_where_the_engine_stores_anything(engine, user):
    browser = browser_of(user)
    remembered = list(UserSession.objects.values_list("user_id", "session_key"))
    assert remembered == (
        [(user.pk, browser.session.session_key)] if engine in STORED else []
    )


def test_a_second_user_in_one_browser_is_remembered_too(engine, user):
    second = UserFactory()
    browser = Client()
    for person in (user, second):
        browser.force_login(person)
    assert browser.session[SESSION_KEY] == str(second.pk)
    assert reset(second).sessions_deleted == (1 if engine in STORED else 0)
    assert not is_logged_in(browser)


@pytest.mark.django_db(transaction=True)
def test_many_log_ins_at_once_are_all_remembered():
    users = UserFactory.create_batch(20)
    assert all(
        at_once(
            [
                partial(Client().login, username=user.email, password=OLD_PASSWORD)
                for user in users
            ]
        )
    )
    assert set(UserSession.objects.values_list("user_id", flat=True)) == {
        user.pk for user in users
    }


def test_a_log_out_is_forgotten(engine, user):
    browser = browser_of(user)
    browser.post("/logout")
    assert not UserSession.objects.exists()
    assert reset(user).sessions_deleted == 0


def test_a_log_in_with_the_new_password_is_not_ended(user):
    reset(user)
    browser = browser_of(user, NEW_PASSWORD)
    assert is_logged_in(browser)
    assert UserSession.objects.count() == 1


def test_a_session_that_the_store_has_lost_is_not_counted(settings, user):
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    browser_of(user)
    cache.clear()
    assert reset(user).sessions_deleted == 0


def test_a_store_that_is_down_does_not_undo_a_reset(settings, user, caplog):
    browser = browser_of(user)
    raw = link_for(user)
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.cache"
    settings.CACHES = {
        "default": settings.CACHES["default"] | {"LOCATION": "redis://127.0.0.1:1/0"}
    }
    services.reset_password(raw, NEW_PASSWORD, **VISITOR)
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    assert "not possible to end sessions" in caplog.text
    assert not is_logged_in(browser)
