"""Staff invite, end passwords, and look at what became of it."""

from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.test import Client
from django.utils import timezone

from password_reset import services, users
from password_reset.campaigns import (
    ForcedPasswordReset,
    PasswordResetCampaign,
    PasswordResetInvitation,
)
from tests.tools.factories import OLD_PASSWORD, UserFactory
from tests.tools.staff import REQUESTS, act, committed, messages_of, staff, superuser
from tests.tools.walk import look, spend, token_in

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

USERS = "/admin/project/user/"
INVITATIONS = "/admin/password_reset/passwordresetinvitation/"
FORCED = "/admin/password_reset/forcedpasswordreset/"
CAMPAIGNS = "/admin/password_reset/passwordresetcampaign/"
INVITE = ("view_user", "send_passwordresetinvitation")
END = ("view_user", "start_forcedpasswordreset")


@pytest.fixture
def new(db):
    user = UserFactory(email="new@example.com")
    user.set_unusable_password()
    user.save()
    return user


def page_of(user):
    return f"{REQUESTS}invite/{user.pk}/"


def invite(browser, user):
    with committed():
        return browser.post(page_of(user), follow=True)


def fresh(user):
    return type(user).objects.get(pk=user.pk)


class TestInviting:
    """An invitation from a user's page or the list."""

    def test_the_page_asks_first_and_the_link_sets_a_password(self, client, new):
        browser = staff(*INVITE)
        assert "chooses a first password within 7 days" in browser.get(
            page_of(new)
        ).content.decode().replace("\n", " ")
        assert mail.outbox == []
        told = messages_of(invite(browser, new))
        assert told == "An invitation is on its way to 1 user."
        assert spend(client, token_in(mail.outbox[0].body)).status_code == 302
        row = PasswordResetInvitation.objects.get()
        assert row.invited_by == browser.actor.email
        assert LogEntry.objects.get().get_edited_object() == new

    def test_the_action_invites_those_who_can_be(self, new, user):
        browser = staff(*INVITE)
        asked = act(browser, USERS, "send_invitations", new, user)
        assert asked.context["users"] == [(new, "new@example.com", "")]
        assert mail.outbox == []
        told = messages_of(
            act(browser, USERS, "send_invitations", new, user, confirmed="yes")
        )
        assert "The account has a password" in told
        assert "An invitation is on its way to 1 user." in told
        assert [message.to for message in mail.outbox] == [["new@example.com"]]

    @pytest.mark.parametrize(
        "permissions", [(), ("view_user", "send_passwordresetrequest"), INVITE[1:]]
    )
    def test_who_lacks_the_right_neither_invites_nor_sees(self, permissions, new):
        browser = staff(*permissions)
        assert browser.get(page_of(new)).status_code == 403
        assert browser.post(page_of(new)).status_code == 403
        assert not PasswordResetInvitation.objects.exists()

    def test_staff_do_not_invite_staff(self, new):
        type(new).objects.update(is_staff=True)
        assert "only a superuser" in messages_of(invite(staff(*INVITE), new))
        assert mail.outbox == []
        invite(superuser(), new)
        assert len(mail.outbox) == 1

    def test_one_address_gets_no_more_of_them_than_links(self, new, settings):
        settings.RATELIMIT_ENABLE = True
        settings.PASSWORD_RESET_STAFF_RATE_PER_EMAIL = "2/h"
        browser = staff(*INVITE)
        told = [messages_of(invite(browser, new)) for _ in range(3)]
        assert len(mail.outbox) == 2
        assert "The limit of this address is reached" in told[2]

    def test_the_button_is_there_for_whom_it_is(self, new, user):
        browser = staff(*INVITE)
        assert page_of(new) in browser.get(f"{USERS}{new.pk}/change/").text
        assert page_of(user) not in browser.get(f"{USERS}{user.pk}/change/").text
        assert (
            page_of(new) not in staff("view_user").get(f"{USERS}{new.pk}/change/").text
        )

    def test_the_list_voids_them(self, client, new):
        invite(superuser(), new)
        raw = token_in(mail.outbox[0].body)
        row = PasswordResetInvitation.objects.get()
        view = ("view_passwordresetinvitation",)
        act(staff(*view), INVITATIONS, "void", row)
        assert look(client, raw).status_code == 200
        browser = staff(*view, "void_passwordresetinvitation")
        told = messages_of(act(browser, INVITATIONS, "void", row))
        assert told == "1 invitation was voided."
        assert look(client, raw).status_code == 410

    def test_the_list_says_what_became_of_each(self, client, new):
        browser = superuser()
        invite(browser, new)
        assert "sent; works until" in browser.get(INVITATIONS).text
        assert "sent; works until" in browser.get(f"{INVITATIONS}?q=new@").text
        assert "0 invitations" in browser.get(f"{INVITATIONS}?q=10.0.0.1").text
        long_ago = timezone.now() - timedelta(days=8)
        PasswordResetInvitation.objects.update(processed_at=long_ago)
        assert "expired at" in browser.get(INVITATIONS).text
        spend(client, token_in(mail.outbox[0].body))
        row = PasswordResetInvitation.objects.get()
        assert "accepted at" in browser.get(f"{INVITATIONS}{row.pk}/change/").text


class TestEndingPasswords:
    """The action on a selection of users."""

    def end(self, browser, *chosen, confirmed="yes"):
        fields = {"confirmed": confirmed} if confirmed else {}
        return act(browser, USERS, "end_passwords", *chosen, **fields)

    def test_it_asks_first(self, ada, user):
        page = self.end(staff(*END), ada, user, confirmed="")
        assert [row[0] for row in page.context["users"]] == [ada, user]
        assert "cannot be brought back" in page.content.decode()
        assert not PasswordResetCampaign.objects.exists()

    def test_it_ends_the_passwords_and_mails_the_links(self, client, ada, user):
        browser = staff(*END)
        told = messages_of(self.end(browser, ada, user))
        assert told == "The passwords of 2 users have ended; emails are on their way."
        assert users.must_reset(fresh(ada))
        assert spend(client, token_in(mail.outbox[0].body)).status_code == 302
        campaign = PasswordResetCampaign.objects.get()
        assert campaign.started_by == browser.actor.email
        assert {entry.get_edited_object() for entry in LogEntry.objects.all()} == {
            ada,
            user,
        }

    def test_a_double_click_ends_them_once(self, ada, user):
        browser = staff(*END)
        page = self.end(browser, ada, user, confirmed="")
        shown_at = page.context["shown_at"]
        assert f'name="shown_at" value="{shown_at}"' in page.content.decode()
        chosen = {"confirmed": "yes", "shown_at": shown_at}
        told = [
            messages_of(act(browser, USERS, "end_passwords", ada, user, **chosen))
            for _ in range(2)
        ]
        assert told[0] == told[1]
        assert (len(mail.outbox), LogEntry.objects.count()) == (2, 2)
        assert PasswordResetCampaign.objects.count() == 1

    def test_they_end_once_more_when_staff_ask_once_more(self, ada):
        browser = staff(*END)
        for _ in range(2):
            page = self.end(browser, ada, confirmed="")
            chosen = {"confirmed": "yes", "shown_at": page.context["shown_at"]}
            act(browser, USERS, "end_passwords", ada, **chosen)
        assert PasswordResetCampaign.objects.count() == 2

    @pytest.mark.parametrize(
        "shown_at",
        ["", "now", "2026-02-31T00:00", "2026-02-01", "0001-01-01T00:00:00+23:59"],
    )
    def test_a_form_that_does_not_say_since_when_is_taken(self, ada, shown_at):
        chosen = {"confirmed": "yes", "shown_at": shown_at}
        act(staff(*END), USERS, "end_passwords", ada, **chosen)
        assert users.must_reset(fresh(ada))

    def test_who_lacks_the_right_ends_nothing(self, ada):
        self.end(staff("view_user", "change_user", *INVITE), ada)
        assert fresh(ada).check_password(OLD_PASSWORD)

    @pytest.mark.parametrize("rights", [{"is_staff": True}, {"is_superuser": True}])
    def test_staff_do_not_end_passwords_of_staff(self, rights):
        colleague = UserFactory(**rights)
        assert "only a superuser" in messages_of(self.end(staff(*END), colleague))
        assert fresh(colleague).check_password(OLD_PASSWORD)
        self.end(superuser(), colleague)
        assert users.must_reset(fresh(colleague))

    def test_nobody_locks_themselves_out(self):
        browser = superuser()
        assert "your own account" in messages_of(self.end(browser, browser.actor))
        assert not users.must_reset(fresh(browser.actor))

    def test_a_form_from_another_site_ends_nothing(self, ada):
        browser = Client(enforce_csrf_checks=True)
        browser.force_login(staff(*END).actor)
        fields = {"action": "end_passwords", "_selected_action": [ada.pk]}
        answer = browser.post(USERS, {**fields, "confirmed": "yes"})
        assert answer.status_code == 403
        assert fresh(ada).check_password(OLD_PASSWORD)

    def test_a_hundred_users_at_a_time_are_enough(self):
        model = UserFactory._meta.model
        emails = [f"person{number}@example.com" for number in range(101)]
        people = model.objects.bulk_create([model(email=email) for email in emails])
        told = self.end(superuser(), *people)
        assert messages_of(told) == "Choose at most 100 users at a time."
        assert not PasswordResetCampaign.objects.exists()

    def test_the_lists_say_how_far_it_is(self, ada, user):
        browser = superuser()
        self.end(browser, ada, user)
        assert "2 of 2" in browser.get(CAMPAIGNS).text
        assert "2 sent, 0 waiting" in browser.get(CAMPAIGNS).text
        campaign = PasswordResetCampaign.objects.get()
        assert "2 of 2" in browser.get(f"{CAMPAIGNS}{campaign.pk}/change/").text
        rows = browser.get(f"{FORCED}?campaign__exact={campaign.pk}").text
        assert ada.email in rows
        assert "2 forced resets" in rows

    def test_what_was_given_up_is_tried_again(self, ada, settings):
        settings.PASSWORD_RESET_TASK_BACKEND = None
        browser = superuser()
        self.end(browser, ada)
        ForcedPasswordReset.objects.update(failed_at=timezone.now())
        told = messages_of(
            act(browser, FORCED, "retry", *ForcedPasswordReset.objects.all())
        )
        assert told.startswith("1 mail is due at once.")
        services.process_due()
        assert len(mail.outbox) == 1


def test_the_panel_says_what_the_site_has_sent(ada, new):
    browser = superuser()
    invite(browser, new)
    panel = f"{REQUESTS}why/"
    assert (
        "to choose a password: sent; works until"
        in browser.get(panel, {"user": new.pk}).content.decode()
    )
    act(browser, USERS, "end_passwords", ada, confirmed="yes")
    text = browser.get(panel, {"user": ada.pk}).content.decode()
    assert "The site has ended the password" in text
    assert "the site ended the password (forced resets" in text
