"""Erasing what is kept of a person."""

import io
import re
from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from password_reset import services
from password_reset.models import (
    PasswordResetDelivery,
    PasswordResetNotice,
    PasswordResetRequest,
    PasswordResetToken,
    UserSession,
)
from tests.tools.factories import NEW_PASSWORD, UserFactory
from tests.tools.staff import NOTICES, REQUESTS, act, messages_of, staff, superuser
from tests.tools.walk import ask, look, mailed_token, spend

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

MODELS = list(apps.get_app_config("password_reset").get_models())


@pytest.fixture
def ada():
    """A person of whom every table knows something, with a link that still works."""
    user = UserFactory(email="ada@example.com")
    browser = Client()
    spend(browser, mailed_token(browser, user.email))
    browser.login(username=user.email, password=NEW_PASSWORD)
    mailed_token(browser, "ADA@Example.com")
    return user


@pytest.fixture
def eve():
    user = UserFactory(email="eve@example.com")
    browser = Client()
    spend(browser, mailed_token(browser, user.email))
    browser.login(username=user.email, password=NEW_PASSWORD)
    return user


def kept_of(name):
    """Return the tables in which something of a person stands in any column."""
    found = set()
    for table in [model._meta.db_table for model in [*MODELS, LogEntry]]:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT * FROM {table}")
            if any(re.search(name, str(row), re.IGNORECASE) for row in cursor):
                found.add(table)
    return found


def counts():
    return {model: model.objects.count() for model in MODELS}


def test_of_a_user_all_tables_forget(ada, eve):
    services.erase(user_id=ada.pk)
    assert kept_of("ada@example") == set()
    for model in (PasswordResetToken, PasswordResetNotice, UserSession):
        assert not model.objects.filter(user=ada).exists()


def test_of_an_address_all_tables_forget_in_any_spelling(ada):
    assert len(kept_of("ada@example")) >= 4
    services.erase(email=" Ada@EXAMPLE.com ")
    assert kept_of("ada@example") == set()


def test_of_others_nothing_goes(ada, eve):
    before = [list(model.objects.order_by("pk").values()) for model in MODELS]
    hers = [
        [row for row in rows if eve.email in str(row) or row.get("user_id") == eve.pk]
        for rows in before
    ]
    services.erase(user_id=ada.pk, email=ada.email)
    after = [list(model.objects.order_by("pk").values()) for model in MODELS]
    assert after == hers
    assert any(hers)


def test_an_address_without_an_account_is_forgotten(client):
    ask(client, "nobody@example.com")
    assert services.erase(email="nobody@example.com").rows == {
        "password_reset_requests": 1
    }


def test_what_was_typed_for_a_person_goes_whatever_it_was(client, settings):
    """As where people may type a user name."""
    user = UserFactory(email="ada@example.com")
    settings.PASSWORD_RESET_USER_FINDER = lambda typed: [user]
    ask(client, "countess@lovelace.example")
    services.erase(email=user.email)
    assert not PasswordResetRequest.objects.exists()


def test_a_deleted_user_is_erased_by_the_address(ada):
    ada.delete()
    assert PasswordResetRequest.objects.exists()
    services.erase(email="ada@example.com")
    assert kept_of("ada@example") == set()


def test_a_link_of_somebody_erased_stops_working(ada, client):
    token = mailed_token(client, ada.email)
    services.erase(user_id=ada.pk)
    assert look(client, token).status_code == 404


def test_an_email_that_waits_is_not_sent(ada):
    PasswordResetRequest.objects.create(email=ada.email)
    services.erase(email=ada.email)
    mail.outbox.clear()
    services.process_due()
    assert mail.outbox == []


def test_the_account_stays_and_can_reset_again(ada, client):
    services.erase(user_id=ada.pk)
    assert spend(client, mailed_token(client, ada.email)).status_code == 302


def test_a_dry_run_counts_the_same_and_erases_nothing(ada):
    before = counts()
    would = services.erase(user_id=ada.pk, dry_run=True)
    assert counts() == before
    assert services.erase(user_id=ada.pk) == would


@pytest.mark.parametrize("nobody", [{}, {"email": ""}, {"email": "  "}])
def test_nobody_is_not_everybody(ada, nobody):
    before = counts()
    with pytest.raises(ValueError, match="Name"):
        services.erase(**nobody)
    assert counts() == before


@pytest.mark.parametrize("pattern", ["%", "_da@example.com", "ada@example", "@"])
def test_an_address_is_no_pattern(ada, pattern):
    before = counts()
    services.erase(email=pattern)
    assert counts() == before


def test_the_log_says_nothing_of_whom(ada, caplog):
    with caplog.at_level("INFO", "password_reset"):
        services.erase(email=ada.email)
    (record,) = [one for one in caplog.records if "erased" in one.message]
    assert "ada" not in str(vars(record))


def test_the_command_says_what_it_erased(ada):
    out = io.StringIO()
    call_command("erase_reset_data", "--email=ada@example.com", stdout=out)
    assert "Erased 2 of password_reset_requests." in out.getvalue()
    call_command("erase_reset_data", "--email=ada@example.com", stdout=out)
    assert "Nothing is kept" in out.getvalue()


@pytest.mark.parametrize("arguments", [[], ["--email="], ["--user=no-number"]])
def test_the_command_wants_somebody(arguments):
    with pytest.raises(CommandError, match="Name a user"):
        call_command("erase_reset_data", *arguments)


def test_what_went_to_an_address_of_old_goes_with_its_user(ada):
    """Whatever asked for the email: the account knows the new address alone."""
    new = UserFactory(email="ada.new@example.com")
    new.set_unusable_password()
    new.save()
    services.send_invitation(new)
    browser = superuser()
    PasswordResetNotice.objects.update(failed_at=timezone.now(), processed_at=None)
    act(browser, NOTICES, "retry", *PasswordResetNotice.objects.all())
    for user in (ada, new):
        user.email = f"{user.pk}@countess.example"
        user.save()
        services.erase(user_id=user.pk)
    assert kept_of("ada.new@example") == set()
    assert kept_of("ada@example") == set()


def erase_meanwhile(message, user, **kwargs):
    """Erase what is kept of a user while an email to them is on its way."""
    services.erase(user_id=user.pk)
    return message


def test_an_email_that_was_on_its_way_leaves_nothing_behind(client, settings):
    settings.PASSWORD_RESET_MAIL_MESSAGE = erase_meanwhile
    user = UserFactory(email="on.its.way@example.com")
    ask(client, user.email)
    assert [message.to for message in mail.outbox] == [[user.email]]
    assert kept_of("on.its.way@example") == set()


def test_who_has_invited_or_forced_others_is_forgotten_too(ada):
    eve = UserFactory(email="eve@example.com")
    services.force_reset([eve.pk], started_by=ada.email)
    eve.set_unusable_password()
    eve.save()
    row = services.send_invitation(eve, invited_by=ada.get_username())
    services.erase(user_id=ada.pk)
    assert kept_of("ada@example") == set()
    row.refresh_from_db()
    assert row.invited_by == "(erased)"


class TestInTheAdmin:
    def test_it_asks_first_and_shows_whom(self, ada):
        rows = PasswordResetRequest.objects.all()
        page = act(superuser(), REQUESTS, "erase", *rows).content.decode()
        assert "cannot be undone" in page
        assert "ada@example.com" in page
        assert PasswordResetRequest.objects.count() == 2

    def test_then_it_erases_and_logs_who_but_not_whom(self, ada):
        browser = superuser()
        act(browser, REQUESTS, "retry", *PasswordResetRequest.objects.all())
        rows = PasswordResetRequest.objects.all()
        response = act(
            browser, REQUESTS, "erase", *rows, confirmed="yes", address=ada.email
        )
        assert "rows were erased" in messages_of(response)
        assert kept_of("ada@example") == set()
        entry = LogEntry.objects.latest("pk")
        assert (entry.user_id, entry.object_repr) == (browser.actor.pk, "(erased)")

    def test_entries_that_named_the_address_do_no_more(self, ada):
        browser = superuser()
        PasswordResetRequest.objects.create(email=ada.email)
        act(browser, REQUESTS, "retry", *PasswordResetRequest.objects.all())
        PasswordResetRequest.objects.update(processed_at=None)
        assert "django_admin_log" in kept_of("ada@example")
        services.erase(email=ada.email)
        assert "django_admin_log" not in kept_of("ada@example")

    def test_without_its_permission_it_is_not_offered(self, ada):
        browser = staff("view_passwordresetrequest", "retry_passwordresetrequest")
        rows = PasswordResetRequest.objects.all()
        act(browser, REQUESTS, "erase", *rows, confirmed="yes", address=ada.email)
        assert PasswordResetRequest.objects.count() == 2

    def test_it_erases_what_was_shown_though_more_matches_by_now(self, ada):
        browser, shown = superuser(), PasswordResetRequest.objects.all()
        page = act(browser, REQUESTS, "erase", *shown, select_across="1")
        fields = re.findall(
            r'type="hidden" name="(address|confirmed)" value="([^"]*)"',
            page.content.decode(),
        )
        assert ("address", ada.email) in fields
        late = PasswordResetRequest.objects.create(email="late@example.com")
        act(
            browser,
            REQUESTS,
            "erase",
            *shown[:1],
            select_across="1",
            confirmed="yes",
            address=[value for name, value in fields if name == "address"] + ["\0"],
        )
        assert list(PasswordResetRequest.objects.all()) == [late]

    def test_it_takes_no_whole_table(self, ada):
        PasswordResetRequest.objects.bulk_create(
            PasswordResetRequest(email=f"{n}@example.com") for n in range(60)
        )
        rows = PasswordResetRequest.objects.all()
        every = rows.values_list("email", flat=True)
        for fields in ({}, {"confirmed": "yes", "address": list(every)}):
            response = act(
                superuser(),
                REQUESTS,
                "erase",
                *rows[:1],
                select_across="1",
                **fields,
            )
            assert "50 addresses" in messages_of(response)
        assert PasswordResetRequest.objects.count() == 62


def test_the_privacy_page_names_every_table():
    page = Path("docs/privacy.md").read_text()
    missing = [
        model._meta.db_table
        for model in MODELS
        if f"`{model._meta.db_table}`" not in page
    ]
    assert not missing


def test_deliveries_of_a_person_go_with_their_requests(ada):
    assert PasswordResetDelivery.objects.exists()
    services.erase(user_id=ada.pk)
    assert not PasswordResetDelivery.objects.filter(email=ada.email).exists()
