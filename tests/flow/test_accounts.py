"""What the owner of each kind of account sees and gets; for whoever sees the pages only
they are all the same.
"""

import re

import pytest
import time_machine
from django.contrib.auth.hashers import make_password
from django.core import mail
from django.test import Client

from password_reset import services
from password_reset.models import PasswordResetRequest, PasswordResetToken
from tests.tools.factories import NEW_PASSWORD, UserFactory
from tests.tools.staff import REQUESTS, committed, messages_of, staff
from tests.tools.walk import TOKEN, ask, look, spend

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

ADA = "ada@example.com"
SEND = ("view_user", "send_passwordresetrequest", "explain_passwordresetrequest")
LINK = "Your link to a new password"
LOGIN = "How to log in"
#: The accounts on the address, what ACCOUNTS_WITHOUT_PASSWORD says, and the subjects of
#: the emails that come.
TABLE = {
    "usual": ([{}], "explain", [LINK]),
    "unknown": ([], "explain", []),
    "inactive": ([{"is_active": False}], "explain", []),
    "no password, explained": ([{"password": None}], "explain", [LOGIN]),
    "no password, invited": ([{"password": None}], "invite", [LINK]),
    "no password, silent": ([{"password": None}], "silent", []),
    "inactive, no password": (
        [{"is_active": False, "password": None}],
        "invite",
        [],
    ),
    "two on one address": ([{}, {"email": ADA.upper()}], "explain", [LINK, LINK]),
    "two, one without a password": (
        [{}, {"email": ADA.upper(), "password": None}],
        "explain",
        [LINK, LOGIN],
    ),
    "superuser": ([{"is_staff": True, "is_superuser": True}], "explain", [LINK]),
}
MASKS = re.compile(rb'name="csrfmiddlewaretoken" value="\w+"|csrftoken=\w+')


def add(accounts):
    return [UserFactory(**{"email": ADA} | account) for account in accounts]


def pages_of_asking():
    """Return all that a visitor sees who asks and follows."""
    client = Client(HTTP_X_REQUEST_ID="the-same-each-time")
    asked = ask(client, ADA)
    done = client.get(asked["Location"])
    return [
        (page.status_code, page.serialize_headers(), MASKS.sub(b"...", page.content))
        for page in (asked, done)
    ]


@pytest.fixture
def of_nobody(db):
    with time_machine.travel("2026-11-22T12:00:00Z", tick=False):
        return pages_of_asking()


@pytest.fixture
def passwordless(db):
    return UserFactory(email=ADA, password=None)


@pytest.mark.parametrize("kind", TABLE)
def test_what_an_account_gets_and_that_no_page_tells(kind, settings, of_nobody):
    accounts, setting, subjects = TABLE[kind]
    settings.PASSWORD_RESET_ACCOUNTS_WITHOUT_PASSWORD = setting
    add(accounts)
    with time_machine.travel("2026-11-22T12:00:00Z", tick=False):
        assert pages_of_asking() == of_nobody
        found = sorted(message.subject for message in mail.outbox)
        assert list(map(kind_of, found)) == sorted(subjects)
        assert links_open_a_form() == subjects.count(LINK)


def kind_of(subject):
    return next(kind for kind in (LINK, LOGIN) if subject.startswith(kind))


def links_open_a_form():
    """Return how many mailed links open the form, which none but them do."""
    tokens = [TOKEN.search(message.body) for message in mail.outbox]
    statuses = [look(Client(), found[1]).status_code for found in tokens if found]
    assert set(statuses) <= {200}
    return len(statuses)


class TestExplained:
    def test_the_email_says_how_to_log_in_and_has_no_link_to_a_password(
        self, client, passwordless
    ):
        ask(client, ADA)
        [message] = mail.outbox
        text, html = message.body, message.alternatives[0][0]
        assert message.to == [ADA]
        for part in (text, html):
            assert "This account has no password" in part
            assert "http://127.0.0.1:8000/login" in part
            assert "token=" not in part
        assert not PasswordResetToken.objects.exists()

    def test_the_host_names_the_provider(self, client, passwordless, settings):
        settings.PASSWORD_RESET_LOGIN_PROVIDERS = lambda user: ["Example <ID>"]
        ask(client, ADA)
        assert "Log in with Example <ID>, as you did before:" in mail.outbox[0].body
        assert "Example &lt;ID&gt;" in mail.outbox[0].alternatives[0][0]

    def test_an_account_that_cannot_be_explained_repeats_no_other_email(
        self, client, passwordless, settings
    ):
        second = UserFactory(email=ADA.upper(), password=None)

        def providers(user):
            if user == second:
                raise LookupError("no such user in the directory")
            return ["Example ID"]

        settings.PASSWORD_RESET_LOGIN_PROVIDERS = providers
        ask(client, ADA)
        for _ in range(3):
            PasswordResetRequest.objects.update(next_attempt_at=None)
            services.process_due()
        assert len(mail.outbox) <= 1

    def test_it_is_counted_and_kept_on_the_row(self, client, passwordless):
        ask(client, ADA)
        row = PasswordResetRequest.objects.get()
        assert (row.mails_sent, row.explained_at is not None) == (1, True)

    def test_the_limit_of_the_address_counts_it(self, client, passwordless):
        assert [ask(client, ADA).status_code for _ in range(4)] == [302] * 3 + [429]
        assert len(mail.outbox) == 3

    def test_a_later_attempt_does_not_say_it_again(
        self, client, passwordless, smtp, settings
    ):
        """Where two share an address and the link of one fails, only that is tried
        again.
        """
        UserFactory(email=ADA.upper())
        smtp.replies[ADA.upper()] = "451 Try later"
        ask(client, ADA)
        smtp.replies.clear()
        PasswordResetRequest.objects.update(next_attempt_at=None)
        services.process_due()
        assert sorted(one.recipients[0] for one in smtp.deliveries) == sorted(
            [ADA, ADA.upper()]
        )
        assert PasswordResetRequest.objects.get().mails_sent == 2


class TestInvited:
    @pytest.fixture(autouse=True)
    def invite(self, settings, passwordless):
        settings.PASSWORD_RESET_ACCOUNTS_WITHOUT_PASSWORD = "invite"

    def token(self):
        ask(Client(), ADA)
        return TOKEN.search(mail.outbox[0].body)[1]

    def test_the_link_sets_the_first_password_once(self, client):
        raw = self.token()
        assert "has none yet" in mail.outbox[0].body
        assert [spend(client, raw).status_code for _ in range(2)] == [302, 410]
        assert Client().login(username=ADA, password=NEW_PASSWORD)

    def test_it_dies_when_the_site_no_longer_invites(self, client, settings):
        raw = self.token()
        settings.PASSWORD_RESET_ACCOUNTS_WITHOUT_PASSWORD = "explain"
        assert look(client, raw).status_code == 410
        assert spend(client, raw).status_code == 410

    def test_it_dies_with_the_account_s_unusable_hash(self, client, passwordless):
        raw = self.token()
        type(passwordless).objects.update(password=make_password(None))
        assert spend(client, raw).status_code == 410


def test_a_finder_of_the_host_s_own_brings_nobody_inactive_a_mail(client, settings):
    users = add([{"is_active": False}, {"email": "b@example.com", "password": None}])
    settings.PASSWORD_RESET_USER_FINDER = lambda email: users
    ask(client, ADA)
    assert [one.to for one in mail.outbox] == [["b@example.com"]]


class TestStaff:
    def send(self, user):
        with committed():
            return staff(*SEND).post(f"{REQUESTS}send/{user.pk}/", follow=True)

    def test_are_told_what_goes_out_and_it_does(self, passwordless):
        page = staff(*SEND).get(f"{REQUESTS}send/{passwordless.pk}/")
        assert "is told how to log in" in page.text
        assert "told by email how to log in" in messages_of(self.send(passwordless))
        assert mail.outbox[0].subject.startswith(LOGIN)

    @pytest.mark.parametrize(
        ("setting", "words", "is_offered"),
        [
            ("explain", "whoever asks is told by email how to log in", True),
            ("invite", "a link lets its owner set a first one", True),
            ("silent", "The account has no password to reset", False),
        ],
    )
    def test_see_why_and_are_offered_only_what_is_not_refused(
        self, setting, words, is_offered, passwordless, settings
    ):
        settings.PASSWORD_RESET_ACCOUNTS_WITHOUT_PASSWORD = setting
        text = staff(*SEND).get(f"{REQUESTS}why/", {"q": ADA}).text
        assert words in " ".join(text.split())
        assert ('value="send"' in text) is is_offered
        user_page = staff(*SEND).get(f"/admin/project/user/{passwordless.pk}/change/")
        assert (f"/send/{passwordless.pk}/" in user_page.text) is is_offered

    def test_are_refused_where_the_site_is_silent(self, passwordless, settings):
        settings.PASSWORD_RESET_ACCOUNTS_WITHOUT_PASSWORD = "silent"
        assert "no password to reset" in messages_of(self.send(passwordless))
        assert not PasswordResetRequest.objects.exists()

    def test_see_that_it_was_explained(self, client, passwordless):
        ask(client, ADA)
        text = staff(*SEND).get(f"{REQUESTS}why/", {"q": ADA}).text
        assert "told how to log in." in text
