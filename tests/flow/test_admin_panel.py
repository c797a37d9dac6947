"""The page "Why can this person not reset?": its verdict, its buttons and its links."""

import re
from datetime import timedelta

import pytest
from django.contrib import admin
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from password_reset import services
from password_reset.deliveries import Delivery, PasswordResetDelivery, record
from password_reset.models import (
    PasswordResetNotice,
    PasswordResetRequest,
    PasswordResetToken,
)
from password_reset.outbox import MAX_ATTEMPTS
from tests.tools.factories import UserFactory
from tests.tools.staff import (
    REQUESTS,
    TOKENS,
    committed,
    link_of,
    messages_of,
    staff,
    superuser,
)
from tests.tools.walk import spend

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

WHY = f"{REQUESTS}why/"
EXPLAIN = "explain_passwordresetrequest"
#: Each button's permissions beside that to see the page.
BUTTONS = {
    "send": ("send_passwordresetrequest",),
    "retry": ("view_passwordresetrequest", "retry_passwordresetrequest"),
    "void": ("view_passwordresettoken", "void_passwordresettoken"),
}


@pytest.fixture
def user():
    return UserFactory(email="ada@example.com")


def page(browser=None, term="ada@example.com"):
    return (browser or superuser()).get(WHY, {"q": term})


def verdict(**query):
    found = page(**query).context["verdict"]
    return found.level, found.text


def buttons(browser, **query):
    """Return what the page offers, of accounts and requests."""
    text = page(browser, **query).content.decode()
    return re.findall(r'name="do" value="(\w+)"', text)


def press(browser, do, *rows, term="ada@example.com"):
    with committed():
        data = {"do": do, "key": [row.pk for row in rows]}
        return browser.post(f"{WHY}?q={term}", data, follow=True)


def asked(**values):
    return PasswordResetRequest.objects.create(email="ada@example.com", **values)


def given_up():
    values = {"attempts": MAX_ATTEMPTS, "last_error": "SMTPAuthenticationError 535"}
    return asked(failed_at=timezone.now(), **values)


def reported(state, reason=""):
    for row in PasswordResetDelivery.objects.filter(state=Delivery.ACCEPTED):
        record(row.message_id, row.email, state, timezone.now(), reason)


class TestVerdict:
    def test_two_emails_that_the_recipient_s_server_refused(self, client, user):
        link_of(client, user.email)
        link_of(client, user.email)
        reported(Delivery.BOUNCED, "no_mailbox 5.1.1")
        level, text = verdict()
        assert level == "error"
        assert text.startswith("Mailed 2 times, each with the same result: refused")

    def test_one_that_was_refused_says_why(self, client, user):
        link_of(client, user.email)
        reported(Delivery.BOUNCED, "no_mailbox 5.1.1")
        level, text = verdict()
        assert level == "error"
        assert "there is no such mailbox (5.1.1)" in text

    def test_a_trouble_that_is_over_is_not_counted(self, client, user):
        link_of(client, user.email)
        reported(Delivery.SOFT_BOUNCED, "mailbox_full 4.2.2")
        link_of(client, user.email)
        reported(Delivery.DELIVERED)
        level, text = verdict()
        assert (level, "mailed to ada@example.com; the link" in text) == (
            "success",
            True,
        )

    def test_the_switch_comes_before_all_else(self, user, settings):
        settings.PASSWORD_RESET_ENABLED = False
        assert "switched off" in verdict()[1]

    def test_nobody_is_known(self):
        assert "No account is known by this" in verdict()[1]

    def test_an_account_that_cannot_reset(self, client, user):
        link_of(client, user.email)
        type(user).objects.update(is_active=False)
        assert verdict() == ("error", "The account is not active.")

    def test_one_account_of_two_that_can(self, user):
        UserFactory(email="ADA@example.com", is_active=False)
        assert verdict()[1].startswith("2 accounts are known by this")

    def test_what_was_given_up(self, user):
        given_up()
        level, text = verdict()
        assert level == "error"
        assert "refuses our user name, password or key" in text

    def test_a_request_that_waits_for_a_worker(self, user):
        asked(created_at=timezone.now() - timedelta(minutes=6))
        assert "no worker has sent the mails that wait" in verdict()[1]

    def test_a_password_that_was_changed_since(self, client, user):
        with committed():
            spend(client, link_of(client, user.email))
        assert "the password was last changed by a link" in verdict()[1]

    def test_a_request_after_a_change(self, client, user):
        with committed():
            spend(client, link_of(client, user.email))
        given_up()
        assert "given up" in verdict()[1]

    def test_an_invitation(self, user):
        user.set_unusable_password()
        user.save()
        with committed():
            services.send_invitation(user, invited_by="boss")
        assert "invited by boss" in verdict()[1]

    def test_nothing_happened(self, user):
        assert verdict() == ("success", "Nothing is wrong with the account.")

    def test_a_sent_email_of_which_nothing_else_is_left(self, user):
        asked(processed_at=timezone.now(), mails_sent=1)
        assert verdict() == ("success", "sent")


class TestButtons:
    def test_what_was_given_up_is_sent(self, user):
        row, browser = given_up(), superuser()
        response = press(browser, "retry", row)
        assert "1 mail is due at once." in messages_of(response)
        assert [message.to for message in mail.outbox] == [["ada@example.com"]]
        entry = LogEntry.objects.get(user=browser.actor)
        assert entry.get_edited_object() == row

    def test_a_link_is_sent(self, client, user):
        response = press(staff(EXPLAIN, *BUTTONS["send"]), "send", user)
        assert messages_of(response) == "A link is on its way to 1 user."
        assert response.redirect_chain == [(f"{WHY}?q=ada@example.com", 302)]
        assert len(mail.outbox) == 1
        assert LogEntry.objects.get().get_edited_object() == user

    def test_a_link_is_voided(self, client, user):
        raw = link_of(client, user.email)
        token = PasswordResetToken.objects.get()
        response = press(superuser(), "void", token)
        assert messages_of(response) == "1 link was voided."
        assert spend(client, raw).status_code == 410
        assert LogEntry.objects.get().get_edited_object() == token

    def test_an_invitation_is_sent(self, user):
        user.set_unusable_password()
        user.save()
        press(superuser(), "invite", user)
        assert len(mail.outbox) == 1

    @pytest.mark.parametrize("do", ["send", "retry", "void", "invite", "delete", ""])
    def test_who_may_only_look_does_nothing(self, do, client, user):
        raw, row = link_of(client, user.email), given_up()
        browser = staff(EXPLAIN, "view_passwordresetrequest", "view_passwordresettoken")
        rows = [user, row, PasswordResetToken.objects.get()]
        assert buttons(browser) == []
        assert press(browser, do, *rows).status_code == 403
        assert (len(mail.outbox), spend(client, raw).status_code) == (1, 302)

    @pytest.mark.parametrize("do", ["retry", "void"])
    def test_an_action_asks_for_its_list_too(self, do, client, user):
        link_of(client, user.email)
        given_up()
        browser = staff(EXPLAIN, *BUTTONS[do][1:])
        assert do not in buttons(browser)
        assert press(browser, do, given_up()).status_code == 403
        assert do in buttons(staff(EXPLAIN, *BUTTONS[do]))

    def test_without_the_page_s_own_permission_no_button_works(self, user):
        row = given_up()
        every = [name for names in BUTTONS.values() for name in names]
        assert press(staff(*every), "retry", row).status_code == 403
        assert mail.outbox == []

    def test_a_form_from_another_site_does_nothing(self, user):
        row = given_up()
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(superuser().actor)
        assert press(browser, "retry", row).status_code == 403
        assert mail.outbox == []

    @pytest.mark.parametrize("do", ["send", "retry", "void"])
    def test_what_is_of_somebody_else_cannot_be_named(self, do, client, user):
        other = UserFactory(email="bob@example.com")
        raw = link_of(client, other.email)
        row = PasswordResetRequest.objects.create(
            email=other.email, failed_at=timezone.now()
        )
        rows = {"send": other, "retry": row, "void": PasswordResetToken.objects.get()}
        press(superuser(), do, rows[do])
        assert len(mail.outbox) == 1
        assert spend(client, raw).status_code == 302

    def test_a_hidden_user_s_rows_cannot_be_named(self, client, user, monkeypatch):
        raw = link_of(client, user.email)
        site_admin = type(admin.site.get_model_admin(get_user_model()))
        others = get_user_model().objects.exclude(pk=user.pk)
        monkeypatch.setattr(site_admin, "get_queryset", lambda *args: others)
        browser = staff(EXPLAIN, *sum(BUTTONS.values(), ()))
        assert buttons(browser) == []
        press(browser, "void", PasswordResetToken.objects.get())
        press(browser, "send", user)
        assert (len(mail.outbox), spend(client, raw).status_code) == (1, 302)


class TestOffers:
    """What would be refused has no button."""

    def test_a_healthy_account(self, user):
        assert buttons(superuser()) == ["send"]

    def test_a_link_that_works_is_voided_from_the_account_and_the_row(
        self, client, user
    ):
        link_of(client, user.email)
        assert buttons(superuser()) == ["send", "void", "void"]

    def test_an_account_that_may_not_be_sent_a_link(self, user):
        type(user).objects.filter(pk=user.pk).update(is_active=False)
        assert buttons(superuser()) == []

    def test_staff_s_limit_of_an_address(self, user):
        browser = superuser()
        for _ in range(3):
            press(browser, "send", user)
        assert "send" not in buttons(browser)
        PasswordResetToken.objects.all().delete()
        response = press(browser, "send", user)
        assert "The limit of this address is reached" in messages_of(response)

    def test_a_flow_that_is_switched_off(self, user, settings):
        given_up()
        settings.PASSWORD_RESET_ENABLED = False
        assert buttons(superuser()) == []

    def test_what_a_worker_holds(self, user):
        asked()
        PasswordResetRequest.objects.claim(1)
        assert buttons(superuser()) == ["send"]

    def test_what_is_settled(self, user):
        asked(processed_at=timezone.now())
        assert buttons(superuser()) == ["send"]

    def test_what_waits(self, user):
        asked(attempts=3, next_attempt_at=timezone.now() + timedelta(hours=1))
        assert buttons(superuser()) == ["send", "retry"]


def test_what_is_said_leads_to_the_rows(client, user):
    with committed():
        spend(client, link_of(client, user.email))
    request, token = (
        PasswordResetRequest.objects.get(),
        PasswordResetToken.objects.get(),
    )
    notice = PasswordResetNotice.objects.get()
    text = page().content.decode()
    for address in (
        f"{REQUESTS}{request.pk}/change/",
        f"{TOKENS}{token.pk}/change/",
        f"/admin/password_reset/passwordresetnotice/{notice.pk}/change/",
        f"/admin/project/user/{user.pk}/change/",
    ):
        assert f'href="{address}"' in text
    assert "/change/" not in page(staff(EXPLAIN)).content.decode()


def test_each_row_has_the_colour_of_its_worst_news(client, user):
    link_of(client, user.email)
    given_up()
    levels = re.findall(r'<tr class="pr-(\w+)"', page().content.decode())
    assert levels == ["error", "success"]


def test_the_way_back_is_above_each_of_our_pages(client, user):
    browser = superuser()
    for address in (WHY, f"{REQUESTS}send/{user.pk}/"):
        text = browser.get(address).content.decode()
        way = text[text.index('class="breadcrumbs"') :].partition("</div>")[0]
        links = re.findall(r'href="([^"]+)"', way)
        assert links == ["/admin/", "/admin/password_reset/", REQUESTS]


@pytest.mark.parametrize("address", ["/admin/", "/admin/password_reset/"])
def test_both_index_pages_lead_to_it(address):
    link = f'href="{WHY}"'
    assert superuser().get(address).content.decode().count(link) == 1
    other = staff("view_passwordresetrequest").get(address).content.decode()
    assert link not in other


@pytest.mark.parametrize("address", ["/admin/", "/admin/password_reset/", REQUESTS])
def test_what_waits_is_said_once(address):
    asked(created_at=timezone.now() - timedelta(minutes=6))
    text = superuser().get(address).content.decode()
    assert text.count("no worker is sending") == 1


def test_the_page_asks_no_more_for_more_requests(client, user):
    def count():
        with CaptureQueriesContext(connection) as queries:
            page(browser)
        return len(queries)

    link_of(client, user.email)
    browser = superuser()
    few = count()
    for _ in range(2):
        link_of(client, user.email)
    assert count() == few
