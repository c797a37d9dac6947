"""The page that tells support why a person cannot reset."""

import re
from datetime import timedelta

import pytest
import time_machine
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core import mail
from django.utils import timezone

from password_reset.admin.reasons import in_words
from password_reset.models import PasswordResetRequest
from password_reset.ratelimit import enforce_request_limits
from tests.tools.factories import UserFactory
from tests.tools.staff import REQUESTS, link_of, staff, superuser
from tests.tools.walk import spend

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

WHY = f"{REQUESTS}why/"


@pytest.fixture
def user():
    return UserFactory(email="ada@example.com")


def why(term="ada@example.com", browser=None, **query):
    """Return what the page says of a person."""
    response = (browser or staff("explain_passwordresetrequest")).get(
        WHY, query or {"q": term}
    )
    assert response.status_code == 200
    return " ".join(response.content.decode().split())


def test_without_its_permission_nobody_is_told(user):
    assert (
        staff("view_passwordresetrequest", "view_user")
        .get(WHY, {"q": user.email})
        .status_code
        == 403
    )


def test_a_healthy_account_is_called_so(user):
    assert "Nothing is wrong with the account." in why()


def test_nobody_is_known_by_it():
    assert "No account is known by this." in why("nobody@example.com")


def test_what_is_wrong_with_an_account_is_named(user):
    type(user).objects.update(is_active=False)
    assert "not active" in why()


def test_several_accounts_of_an_address_are_counted(user):
    UserFactory(email="ADA@example.com")
    assert "2 accounts are known by this" in why()


@time_machine.travel("2027-01-15 14:10:00Z", tick=False)
def test_a_limited_address_says_until_when(user):
    for _ in range(3):
        enforce_request_limits("203.0.113.9", user.email)
    waits = why(user.email.upper())
    assert "is limited until" in waits
    assert "p.m." in waits


def test_a_request_that_others_kept_from_mailing_says_so(user):
    PasswordResetRequest.objects.create(
        email=user.email, processed_at=timezone.now(), last_error="mailbox_limit"
    )
    assert "others have asked for this address so often" in why()
    rows = staff("view_passwordresetrequest").get(REQUESTS)
    assert "not sent: limit of the address" in rows.content.decode()


def test_looking_counts_nothing(client, user):
    for _ in range(5):
        why()
    assert "is limited" not in why()


def test_a_mail_that_left_is_told_with_what_became_of_its_link(client, user):
    raw = link_of(client, user.email)
    assert "mailed to ada@example.com; the link: usable until" in why()
    assert "1 link in a mail still works." in why()
    spend(client, raw)
    assert "used or voided at" in why()
    assert "the password was last changed by a link." in why()


def test_a_mail_that_waits_is_told_with_its_next_attempt(user):
    later = timezone.now() + timedelta(minutes=20)
    PasswordResetRequest.objects.create(
        email=user.email,
        attempts=3,
        next_attempt_at=later,
        last_error="ConnectionRefusedError",
    )
    text = why()
    assert (
        "Attempt 3 of 12 failed: the mail server does not answer "
        "(ConnectionRefusedError)." in text
    )
    assert "Waits to be sent; next attempt:" in text


def test_a_mail_that_was_given_up_is_told_with_its_reason(user):
    PasswordResetRequest.objects.create(
        email=user.email,
        failed_at=timezone.now(),
        last_error="SMTPAuthenticationError 535",
    )
    assert (
        "refuses our user name, password or key (SMTPAuthenticationError 535)" in why()
    )


def test_a_request_that_found_nobody_is_told(user):
    PasswordResetRequest.objects.create(
        email="nobody@example.com", processed_at=timezone.now()
    )
    assert "Nothing was mailed: no account that may be reset was found." in why(
        "nobody@example.com"
    )


def test_a_request_in_another_spelling_is_found_by_its_link(client, user):
    link_of(client, "Ada@Example.com")
    assert "<td>Ada@Example.com</td>" in why()


def test_the_switch_is_named(user, settings):
    settings.PASSWORD_RESET_ENABLED = False
    assert "switched off" in why()


def test_a_sleeping_worker_is_named(user):
    PasswordResetRequest.objects.create(
        email=user.email, created_at=timezone.now() - timedelta(minutes=6)
    )
    assert "no worker has sent the mails that wait" in why()


def test_counters_that_are_away_are_named(user, settings):
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}
    }
    assert "The counters cannot be reached" in why()


def test_a_person_is_found_by_number_and_from_their_page(user):
    assert "Nothing is wrong" in why(str(user.pk))
    assert "Nothing is wrong" in why(user=str(user.pk))


@pytest.mark.parametrize(
    "query", [{}, {"q": ""}, {"q": "\0"}, {"user": "x"}, {"user": ""}, {"q": "a" * 400}]
)
def test_an_odd_question_is_no_error(query, user):
    assert superuser().get(WHY, query).status_code == 200


def test_a_name_of_a_user_cannot_write_the_page(user):
    PasswordResetRequest.objects.create(email="<script>alert(1)</script>@example.com")
    assert "<script>alert" not in why("<script>alert(1)</script>@example.com")


def test_looking_sends_nothing(user):
    why()
    assert mail.outbox == []


def test_no_link_is_offered_to_who_may_not_send(user):
    assert 'value="send"' not in why()
    assert 'value="send"' in why(browser=superuser())


MASKED = re.compile(r'value="\w{64}"')


class TestTenants:
    """The host's own admin of users hides those of another tenant."""

    HIDDEN = "bob@example.com"

    @pytest.fixture(params=["get_queryset", "has_view_permission"])
    def tenant(self, request, monkeypatch):
        """Hide one user as a host does, from staff who may look at users."""
        site_admin = type(admin.site.get_model_admin(get_user_model()))

        def get_queryset(model_admin, request):
            return get_user_model().objects.exclude(email=self.HIDDEN)

        def has_view_permission(model_admin, request, obj=None):
            return obj is None or obj.email != self.HIDDEN

        rule = {
            "get_queryset": get_queryset,
            "has_view_permission": has_view_permission,
        }[request.param]
        monkeypatch.setattr(site_admin, request.param, rule)
        return staff("explain_passwordresetrequest", "view_user")

    def test_a_hidden_user_looks_as_nobody_does(self, client, tenant):
        hidden = UserFactory(email=self.HIDDEN)
        with_link = link_of(client, hidden.email)
        assert with_link
        pages = {
            MASKED.sub("", why(term, tenant)).replace(term, "")
            for term in (hidden.email, "nobody@example.com")
        }
        assert len(pages) == 1
        assert "No account that you may see is known by this." in pages.pop()

    def test_neither_by_number_nor_from_a_page(self, tenant):
        hidden = UserFactory(email=self.HIDDEN)
        assert self.HIDDEN not in why(str(hidden.pk), tenant)
        assert self.HIDDEN not in why(browser=tenant, user=str(hidden.pk))

    def test_no_link_can_be_sent_to_one(self, tenant):
        hidden = UserFactory(email=self.HIDDEN)
        sender = Permission.objects.get(codename="send_passwordresetrequest")
        tenant.actor.user_permissions.add(sender)
        page = f"{REQUESTS}send/{hidden.pk}/"
        assert tenant.post(page).status_code in {403, 404}

    def test_others_are_explained_as_before(self, tenant, user):
        assert "Nothing is wrong with the account." in why(browser=tenant)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("SMTPRecipientsRefused 550", "the recipient's address is refused"),
        ("SMTPRecipientsRefused 450", "the recipient's mail server puts us off"),
        ("SMTPDataError 421", "takes no more mails from us at present"),
        ("AnymailSendGridAPIError 401", "refuses our user name, password or key"),
        ("AnymailAPIError 503", "has trouble of its own"),
        ("crashed", "the worker was ended"),
        ("SomethingNew", "something failed"),
    ],
)
def test_a_code_becomes_words_and_stays_readable(code, words):
    assert words in in_words(code)
    assert code in in_words(code)
