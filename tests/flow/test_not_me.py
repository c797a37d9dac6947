"""The page behind "it was not me" in both emails."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.core import mail, signing
from django.test import Client
from django.utils import timezone

from password_reset import services, tokens
from password_reset.models import (
    PasswordResetCode,
    PasswordResetNotice,
    PasswordResetRequest,
    PasswordResetToken,
)
from password_reset.signals import reset_disowned
from tests.tools.factories import NEW_PASSWORD, OLD_PASSWORD, UserFactory
from tests.tools.staff import NOTICES, REQUESTS, superuser
from tests.tools.walk import ask, look, mailed_token, spend, token_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

PAGE = "/reset-password/not-me"
N = re.compile(r"/reset-password/not-me\?n=(\S+)")


def number_in(message):
    return N.search(message.body)[1]


def say(client, number, **extra):
    """Press the button."""
    return client.post(PAGE, {"n": number}, **extra)


@pytest.fixture
def asked(client, link):
    """The signed number in an email with a link."""
    return number_in(mail.outbox[-1])


@pytest.fixture
def changed(client, link):
    """The signed number in the email that tells of a change by somebody else."""
    assert spend(client, link).status_code == 302
    return number_in(mail.outbox[-1])


@pytest.fixture
def heard():
    """What the signal says."""
    said = []

    def receiver(**arguments):
        said.append(arguments)

    reset_disowned.connect(receiver)
    yield said
    reset_disowned.disconnect(receiver)


def everything():
    """Return every value of every row that the button could change."""
    models = (
        PasswordResetRequest,
        PasswordResetNotice,
        PasswordResetToken,
        get_user_model(),
    )
    return [list(model.objects.order_by("pk").values()) for model in models]


class TestAsks:
    @pytest.mark.parametrize("email", ["asked", "changed"])
    def test_a_scanner_that_opens_it_twenty_times_changes_nothing(
        self, client, email, request
    ):
        number = request.getfixturevalue(email)
        before = everything()
        for method in [client.get, client.head] * 10:
            assert method(PAGE, {"n": number}).status_code == 200
        assert everything() == before

    def test_it_names_no_account_and_may_not_be_kept(self, client, ada, asked):
        page = client.get(PAGE, {"n": asked})
        assert ada.email not in page.text
        assert "It was not me" in page.text
        assert page["Cache-Control"] == "no-store"
        assert page["Referrer-Policy"] == "strict-origin"
        assert page["X-Frame-Options"] == "DENY"
        assert "default-src 'none'" in page["Content-Security-Policy"]

    def test_the_number_names_a_row_and_no_account(self, ada, asked, changed):
        assert asked.startswith("request.")
        assert changed.startswith("notice.")
        assert "ada" not in asked + changed

    def test_a_form_from_another_site_is_refused(self, asked):
        client = Client(enforce_csrf_checks=True)
        assert say(client, asked).status_code == 403
        assert not PasswordResetRequest.objects.filter(disowned_at__isnull=False)

    def test_switched_off_it_is_503(self, client, asked, settings):
        settings.PASSWORD_RESET_ENABLED = False
        assert client.get(PAGE, {"n": asked}).status_code == 503
        assert say(client, asked).status_code == 503
        assert not PasswordResetRequest.objects.filter(disowned_at__isnull=False)


class TestARequest:
    def test_the_links_of_the_account_die(self, client, ada, asked, link, heard):
        second = mailed_token(client, ada.email)
        assert "Thank you for telling us" in say(client, asked).text
        assert [look(client, raw).status_code for raw in (link, second)] == [410, 410]
        [said] = heard
        assert (said["row"].email, said["links_voided"]) == (ada.email, 2)
        assert said["sessions_deleted"] == 0

    def test_links_of_others_and_the_password_live(self, client, ada, asked):
        other = UserFactory(email="ben@example.com")
        raw = mailed_token(client, other.email)
        say(client, asked)
        assert look(client, raw).status_code == 200
        assert Client().login(username=ada.email, password=OLD_PASSWORD)

    def test_after_the_purge_a_later_link_of_the_address_dies_too(
        self, client, ada, asked
    ):
        PasswordResetToken.objects.all().delete()
        later = mailed_token(client, ada.email)
        say(client, asked)
        assert look(client, later).status_code == 410

    def test_a_replay_is_harmless_and_the_owner_can_ask_anew(
        self, client, ada, asked, heard
    ):
        say(client, asked)
        raw = mailed_token(client, ada.email)
        assert "You have told us already" in say(client, asked).text
        assert "You have told us already" in client.get(PAGE, {"n": asked}).text
        assert len(heard) == 1
        assert spend(client, raw).status_code == 302

    def test_staff_see_it(self, client, ada, asked):
        say(client, asked)
        browser = superuser()
        words = "its reader said: it was not me"
        assert words in browser.get(REQUESTS).text
        why = browser.get(f"{REQUESTS}why/", {"q": ada.email}).text
        assert "the reader said: it was not me" in why

    def test_the_codes_of_the_account_die_in_every_spelling(
        self, client, ada, settings
    ):
        settings.PASSWORD_RESET_CODES = True
        for spelling in (ada.email.upper(), ada.email):
            ask(Client(), spelling)
        say(client, number_in(mail.outbox[-1]))
        assert not PasswordResetCode.objects.usable().exists()


class TestAChange:
    def test_sessions_and_the_password_of_the_thief_end(self, client, ada, changed):
        thief = Client()
        assert thief.login(username=ada.email, password=NEW_PASSWORD)
        say(client, changed)
        assert thief.get("/account").status_code == 302
        assert not Client().login(username=ada.email, password=NEW_PASSWORD)

    def test_a_fresh_link_goes_to_the_address_on_file_and_works(
        self, client, ada, changed
    ):
        say(client, changed)
        message = mail.outbox[-1]
        assert message.to == [ada.email]
        assert "You told us that it was not you" in message.body
        assert not N.search(message.body)
        raw = token_in(message.body)
        assert spend(client, raw, OLD_PASSWORD).status_code == 302
        assert Client().login(username=ada.email, password=OLD_PASSWORD)

    def test_and_to_the_one_before_where_the_host_knows_it(
        self, client, ada, changed, settings
    ):
        settings.PASSWORD_RESET_PREVIOUS_ADDRESS = lambda user: "before@example.com"
        before = len(mail.outbox)
        say(client, changed)
        fresh = mail.outbox[before:]
        assert [one.to for one in fresh] == [[ada.email], ["before@example.com"]]
        first, second = (token_in(one.body) for one in fresh)
        assert spend(client, second).status_code == 302
        assert spend(client, first).status_code == 410

    def test_of_two_addresses_only_the_failed_one_is_tried_again(
        self, client, ada, changed, settings, smtp
    ):
        settings.PASSWORD_RESET_PREVIOUS_ADDRESS = lambda user: "before@example.com"
        smtp.replies["before@example.com"] = "451 Try later"
        say(client, changed)
        smtp.replies.clear()
        PasswordResetNotice.objects.update(next_attempt_at=None)
        services.process_due()
        found = sorted(one.recipients[0] for one in smtp.deliveries)
        assert found == sorted([ada.email, "before@example.com"])

    def test_a_revoker_that_fails_changes_nothing(self, client, ada, changed, settings):
        settings.PASSWORD_RESET_REVOKERS = [lambda user: 1 / 0]
        assert say(client, changed).status_code == 503
        assert not PasswordResetNotice.objects.filter(disowned_at__isnull=False)
        assert Client().login(username=ada.email, password=NEW_PASSWORD)
        settings.PASSWORD_RESET_REVOKERS = []
        assert "Thank you" in say(client, changed).text

    def test_a_replay_is_harmless_and_the_owner_can_ask_anew(
        self, client, ada, changed, heard
    ):
        say(client, changed)
        assert spend(client, token_in(mail.outbox[-1].body)).status_code == 302
        count = len(mail.outbox)
        assert "You have told us already" in say(client, changed).text
        assert (len(heard), len(mail.outbox)) == (1, count)
        assert Client().login(username=ada.email, password=NEW_PASSWORD)
        assert look(client, mailed_token(client, ada.email)).status_code == 200

    def test_who_is_inactive_gets_no_fresh_link(self, client, ada, changed):
        type(ada).objects.update(is_active=False)
        count = len(mail.outbox)
        assert say(client, changed).status_code == 200
        assert len(mail.outbox) == count

    def test_who_has_no_password_gets_none_by_it(self, client, ada, changed):
        ada.set_unusable_password()
        ada.save()
        say(client, changed)
        ada.refresh_from_db()
        assert not ada.has_usable_password()

    def test_staff_see_it(self, client, ada, changed):
        say(client, changed)
        browser = superuser()
        assert "its reader said: it was not me" in browser.get(NOTICES).text
        why = browser.get(f"{REQUESTS}why/", {"q": ada.email}).text
        assert "the owner said that it was somebody else" in why


def of_another_purpose(pk):
    """Return the same number, signed by this site for something else."""
    return signing.TimestampSigner(salt="something.else").sign(f"request.{pk}")


class TestUnknown:
    def refused(self, client, number):
        before = everything()
        pages = [client.get(PAGE, {"n": number}), say(client, number)]
        assert [page.status_code for page in pages] == [404, 404]
        assert all("This link no longer works" in page.text for page in pages)
        assert everything() == before

    @pytest.mark.parametrize(
        "number", ["", "1", "request.1", "request.1:x:y", "\x00", "ä:b:c", "a" * 9000]
    )
    def test_forged_numbers_are_all_alike(self, client, asked, number):
        self.refused(client, number)

    def test_another_row_s_number_under_the_same_seal(self, client, ada, asked):
        pk = PasswordResetRequest.objects.get().pk
        PasswordResetNotice.objects.create(pk=pk, user=ada, email=ada.email)
        self.refused(client, asked.replace("request.", "notice."))

    def test_what_is_signed_for_another_purpose(self, client, asked):
        self.refused(client, of_another_purpose(PasswordResetRequest.objects.get().pk))

    def test_a_row_that_is_gone(self, client, asked):
        PasswordResetToken.objects.all().delete()
        PasswordResetRequest.objects.all().delete()
        self.refused(client, asked)

    def test_a_number_of_two_weeks_ago(self, client, ada):
        with time_machine.travel(timezone.now() - timedelta(days=15)):
            old = tokens.sign_row("request", 1)
        PasswordResetRequest.objects.create(pk=1, email=ada.email)
        self.refused(client, old)

    def test_it_works_under_a_key_that_has_since_been_replaced(
        self, client, asked, settings
    ):
        settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
        settings.SECRET_KEY = "another"
        assert client.get(PAGE, {"n": asked}).status_code == 200


def test_the_button_is_counted_as_an_attempt(client, asked):
    assert [say(client, asked).status_code for _ in range(6)] == [200] * 5 + [429]


def test_a_site_without_the_pages_sends_mails_without_the_link(client, ada, settings):
    settings.PASSWORD_RESET_LINK_TEMPLATE = "https://app.example.com/#{token}"
    settings.ROOT_URLCONF = "password_reset.api_urls"
    services.request_reset(ada.email, ip_address=None, user_agent="", language="")
    assert "Nobody gets into your account" in mail.outbox[0].body
    assert "not-me" not in mail.outbox[0].body


def test_ask_stays_open_to_all(client, asked):
    say(client, asked)
    assert ask(client, "nobody@example.com").status_code == 302
