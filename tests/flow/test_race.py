"""Races: many at once, and what changes between the moment a form is shown and the
moment it is saved.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Thread

import pytest
from django.contrib.auth import authenticate
from django.core import mail
from django.db import connection, connections, transaction

from password_reset import services, worker
from password_reset.models import (
    PasswordResetNotice,
    PasswordResetRequest,
    PasswordResetToken,
)
from password_reset.services import ResetResult, TokenError
from tests.tools.factories import OLD_PASSWORD, UserFactory
from tests.tools.servers import wait_until
from tests.tools.threads import at_once
from tests.tools.walk import token_in

pytestmark = pytest.mark.django_db(transaction=True)

VISITOR = {"ip_address": "192.0.2.1", "user_agent": "test"}


def elsewhere(act):
    """Run an act to its end on another database connection."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: (act(), connections.close_all())).result()


def link_for(user):
    services.request_reset(user.email, language="en", **VISITOR)
    return token_in(mail.outbox[-1].body)


def spend(raw, password="a-new-pass-phrase"):
    return services.reset_password(raw, password, **VISITOR)


def won(outcomes):
    """Return the places of the successes; every other outcome must be a refused, spent
    link.
    """
    refused = [outcome for outcome in outcomes if isinstance(outcome, TokenError)]
    assert {error.reason for error in refused} <= {"used"}
    winners = [
        place
        for place, outcome in enumerate(outcomes)
        if isinstance(outcome, ResetResult)
    ]
    assert len(winners) + len(refused) == len(outcomes), outcomes
    return winners


@pytest.mark.sqlite
def test_of_fifty_threads_with_one_link_one_sets_its_password(user):
    raw = link_for(user)
    passwords = [f"pass-phrase-number-{number}" for number in range(50)]
    [winner] = won(at_once([partial(spend, raw, password) for password in passwords]))
    logs_in = [
        password
        for password in passwords
        if authenticate(username=user.email, password=password)
    ]
    assert logs_in == [passwords[winner]]
    assert PasswordResetNotice.objects.count() == 1


@pytest.mark.sqlite
def test_the_row_alone_decides_who_spends_a_token(user):
    for _round in range(5):
        link_for(user)
        token = PasswordResetToken.objects.latest("pk")
        outcomes = at_once([partial(PasswordResetToken.objects.spend, token.pk)] * 20)
        assert sorted(outcomes) == [False] * 19 + [True]


@pytest.mark.sqlite
def test_of_all_links_of_one_user_spent_at_once_one_works(user):
    for _round in range(8):
        links = [link_for(user) for _ in range(4)]
        assert len(won(at_once([partial(spend, raw) for raw in links]))) == 1
    assert not PasswordResetToken.objects.usable().exists()


@pytest.mark.sqlite
def test_links_of_many_users_spent_at_once_all_work():
    links = [link_for(user) for user in UserFactory.create_batch(20)]
    assert len(won(at_once([partial(spend, raw) for raw in links]))) == 20


@pytest.mark.sqlite
def test_of_ten_workers_with_one_request_one_sends_one_mail(user, settings):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    row = services.request_reset(user.email, language="en", **VISITOR)
    work = partial(worker.work_on, worker.REQUESTS, [row.pk])
    assert sorted(at_once([work] * 10)) == [0] * 9 + [1]
    assert len(mail.outbox) == 1


@pytest.mark.sqlite
def test_workers_that_look_for_due_requests_at_once_send_each_mail_once(settings):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    users = UserFactory.create_batch(12)
    for user in users:
        services.request_reset(user.email, language="en", **VISITOR)
    assert sum(at_once([services.process_due] * 4)) == 12
    assert sorted(message.to[0] for message in mail.outbox) == sorted(
        user.email for user in users
    )


CHANGES = {
    "deactivated": lambda users: users.update(is_active=False),
    "deleted": lambda users: users.get().delete(),
    "with another password": lambda users: set_password(users.get()),
    "with another address": lambda users: users.update(email="elsewhere@example.com"),
}


def set_password(user):
    user.set_password("chosen-by-the-owner")
    user.save()


@pytest.fixture(params=CHANGES)
def change(request, user):
    """What happens to the user while the owner of the link fills the form in."""
    rows = type(user)._base_manager.filter(pk=user.pk)
    return partial(CHANGES[request.param], rows)


class Meanwhile:
    """A password validator that asks nothing of a password: something happens while it
    works.
    """

    happens = None

    def validate(self, password, user=None):
        elsewhere(type(self).happens)

    def get_help_text(self):
        return ""


@pytest.fixture
def meanwhile(settings, monkeypatch):
    """Return a function that plants an act between the look at a link and the write."""
    settings.AUTH_PASSWORD_VALIDATORS = [{"NAME": f"{__name__}.Meanwhile"}]
    return lambda act: monkeypatch.setattr(Meanwhile, "happens", staticmethod(act))


def rows_of(user):
    return list(type(user)._base_manager.filter(pk=user.pk).values())


@pytest.mark.sqlite
def test_a_user_changed_between_look_and_write_is_left_as_changed(
    user, change, meanwhile
):
    raw, changed = link_for(user), []
    meanwhile(lambda: (change(), changed.extend(rows_of(user))))
    with pytest.raises(TokenError, match="used"):
        spend(raw)
    assert rows_of(user) == changed
    assert not PasswordResetNotice.objects.exists()


@pytest.mark.sqlite
def test_what_else_changes_meanwhile_stays(user, meanwhile):
    raw = link_for(user)
    meanwhile(
        lambda: (
            type(user)
            .objects.filter(pk=user.pk)
            .update(first_name="Ada", is_staff=True)
        )
    )
    spend(raw)
    user.refresh_from_db()
    assert (user.first_name, user.is_staff, user.check_password(OLD_PASSWORD)) == (
        "Ada",
        True,
        False,
    )


@pytest.mark.sqlite
def test_a_link_that_expires_between_look_and_write_is_refused(user, meanwhile):
    raw = link_for(user)
    meanwhile(lambda: PasswordResetToken.objects.update(expires_at="2020-01-01T00:00Z"))
    with pytest.raises(TokenError):
        spend(raw)
    assert authenticate(username=user.email, password=OLD_PASSWORD)


def a_session_waits_for_a_lock():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND "
            "datname = %s",
            [connection.settings_dict["NAME"]],
        )
        return cursor.fetchone()[0] > 0


def test_a_change_that_commits_while_the_reset_waits_for_it_wins(user, change):
    raw = link_for(user)
    outcomes = []
    reset = Thread(target=lambda: outcomes.extend(at_once([partial(spend, raw)])))
    with transaction.atomic():
        change()
        reset.start()
        wait_until(
            a_session_waits_for_a_lock, lambda: f"the reset did not wait: {outcomes}"
        )
        changed = rows_of(user)
    reset.join()
    assert won(outcomes) == []
    assert rows_of(user) == changed


def test_a_reset_and_mails_under_way_to_the_same_user_do_not_block_each_other(user):
    for _round in range(5):
        raw = link_for(user)
        ask = partial(services.request_reset, user.email, language="en", **VISITOR)
        outcomes = at_once([partial(spend, raw), *[ask] * 6])
        assert (
            len([outcome for outcome in outcomes if isinstance(outcome, ResetResult)])
            == 1
        )
    assert not PasswordResetRequest.objects.filter(processed_at=None).exists()
