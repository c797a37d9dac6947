"""Staff send a reset link to a user, and never see it (ASVS 6.4.6)."""

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.core import mail
from django.test import Client

from password_reset.models import PasswordResetRequest
from tests.tools.factories import UserFactory
from tests.tools.staff import REQUESTS, act, committed, messages_of, staff, superuser
from tests.tools.walk import ask, spend, token_in

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

USERS = "/admin/project/user/"
SEND = ("view_user", "send_passwordresetrequest")


@pytest.fixture
def user():
    return UserFactory(email="ada@example.com")


def page_of(user):
    return f"{REQUESTS}send/{user.pk}/"


def send(browser, user):
    with committed():
        return browser.post(page_of(user), follow=True)


def test_a_link_goes_to_the_address_on_file_and_works(client, user):
    response = send(staff(*SEND), user)
    assert messages_of(response) == "A link is on its way to 1 user."
    assert mail.outbox[0].to == ["ada@example.com"]
    assert spend(client, token_in(mail.outbox[0].body)).status_code == 302


def test_the_page_asks_first(user):
    response = staff(*SEND).get(page_of(user))
    assert (
        "A mail with a link goes to the address on file." in response.content.decode()
    )
    assert mail.outbox == []


def test_staff_come_back_to_the_user_s_page(user):
    assert send(staff(*SEND), user).redirect_chain == [
        (f"{USERS}{user.pk}/change/", 302)
    ]


def test_no_page_of_it_shows_the_link(user):
    browser = superuser()
    pages = [
        send(browser, user),
        browser.get(REQUESTS),
        browser.get(f"{USERS}{user.pk}/history/"),
    ]
    raw = token_in(mail.outbox[0].body)
    assert not any(raw in page.content.decode() for page in pages)


def test_the_request_says_that_it_is_staff_s_and_not_where_staff_sit(user):
    send(staff(*SEND), user)
    row = PasswordResetRequest.objects.get()
    assert (row.source, row.ip_address, row.user_agent) == ("admin", None, "")
    assert "127.0.0.1" not in mail.outbox[0].body.replace("http://127.0.0.1:8000", "")


@pytest.mark.parametrize(("language", "word"), [("de", "Passwort"), ("", "password")])
def test_the_mail_is_in_the_user_s_language_or_the_site_s_and_not_in_staff_s(
    language, word, user
):
    type(user).objects.update(language=language)
    browser = staff(*SEND)
    browser.cookies["django_language"] = "fr"
    send(browser, user)
    assert word in mail.outbox[0].subject


def test_it_is_in_the_log_of_the_user(user):
    browser = staff(*SEND)
    send(browser, user)
    entry = LogEntry.objects.get()
    assert (entry.user, entry.get_edited_object()) == (browser.actor, user)
    assert entry.change_message == "Sent a link to reset the password."


def test_a_form_from_another_site_sends_nothing(user):
    browser = Client(enforce_csrf_checks=True)
    browser.force_login(staff(*SEND).actor)
    assert browser.post(page_of(user)).status_code == 403
    assert mail.outbox == []


@pytest.mark.parametrize(
    "permissions", [(), ("view_user", "change_user"), ("send_passwordresetrequest",)]
)
def test_who_lacks_a_permission_neither_sends_nor_sees(permissions, user):
    browser = staff(*permissions)
    assert [
        browser.get(page_of(user)).status_code,
        browser.post(page_of(user)).status_code,
    ] == [403, 403]
    assert mail.outbox == []


@pytest.mark.parametrize("rights", [{"is_staff": True}, {"is_superuser": True}])
def test_staff_do_not_send_links_to_staff(rights, user):
    colleague = UserFactory(**rights)
    assert "only a superuser" in messages_of(send(staff(*SEND), colleague))
    assert mail.outbox == []
    send(superuser(), colleague)
    assert len(mail.outbox) == 1


def test_staff_do_not_send_links_to_staff_who_share_a_user_s_address(user, settings):
    UserFactory(email="ADA@example.com", is_superuser=True)
    assert "only a superuser" in messages_of(send(staff(*SEND), user))
    assert mail.outbox == []


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"is_active": False}, "not active"),
        ({"email": ""}, "no mail address"),
    ],
)
def test_what_an_account_has_against_it_is_said(values, words, user):
    type(user).objects.filter(pk=user.pk).update(**values)
    browser = staff(*SEND)
    assert words in browser.get(page_of(user)).content.decode()
    assert words in messages_of(send(browser, user))
    assert not PasswordResetRequest.objects.exists()


def test_what_the_site_s_own_rule_has_against_it_is_said(user, settings):
    settings.PASSWORD_RESET_USER_FINDER = lambda email: []
    assert "PASSWORD_RESET_USER_FINDER" in messages_of(send(staff(*SEND), user))


def test_nothing_is_sent_while_the_flow_is_switched_off(user, settings):
    settings.PASSWORD_RESET_ENABLED = False
    assert "switched off" in messages_of(send(staff(*SEND), user))
    assert not PasswordResetRequest.objects.exists()


@time_machine.travel("2027-01-15 14:10:00Z", tick=False)
def test_staff_have_three_links_an_hour_for_an_address(user):
    browser = staff(*SEND)
    responses = [send(browser, user) for _ in range(4)]
    assert "The limit of this address is reached; until" in messages_of(responses[-1])
    assert (len(mail.outbox), LogEntry.objects.count()) == (3, 3)


def test_staff_s_links_leave_the_form_its_own(client, user):
    for _ in range(3):
        send(staff(*SEND), user)
    with committed():
        ask(client, user.email)
    assert len(mail.outbox) == 4


def test_counters_that_are_away_are_a_sentence(user, settings):
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}
    }
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    assert "counters cannot be reached" in messages_of(send(staff(*SEND), user))
    assert not PasswordResetRequest.objects.exists()


@pytest.mark.parametrize("key", ["0", "no-number", "99999999999999999999", "_2F"])
def test_an_unknown_user_is_not_found(key):
    assert superuser().get(f"{REQUESTS}send/{key}/").status_code == 404


def test_the_user_s_page_has_the_buttons_for_whom_they_are(user):
    address = f"{USERS}{user.pk}/change/"
    assert page_of(user) in staff(*SEND).get(address).content.decode()
    assert page_of(user) not in staff("view_user").get(address).content.decode()
    assert f"{REQUESTS}why/?user={user.pk}" in superuser().get(address).content.decode()


def test_the_user_s_page_keeps_all_that_it_has(user):
    text = superuser().get(f"{USERS}{user.pk}/change/").content.decode()
    assert "History" in text
    assert 'name="first_name"' in text
    assert superuser().get(f"{USERS}add/").status_code == 200


def test_links_are_sent_to_the_users_chosen_in_the_list(user):
    inactive = UserFactory(is_active=False)
    browser = staff(*SEND)
    asked = act(browser, USERS, "send_reset_links", user, inactive)
    assert asked.context["users"] == [(user, "ada@example.com", "")]
    told = messages_of(
        act(browser, USERS, "send_reset_links", user, inactive, confirmed="yes")
    )
    assert "not active" in told
    assert "A link is on its way to 1 user." in told
    assert [message.to for message in mail.outbox] == [["ada@example.com"]]


def test_the_list_of_users_offers_it_only_with_its_permission(user):
    assert (
        "send_reset_links"
        not in staff("view_user", "change_user").get(USERS).content.decode()
    )


def test_a_hundred_users_at_a_time_are_enough(user):
    UserFactory.create_batch(101)
    told = act(
        staff(*SEND),
        USERS,
        "send_reset_links",
        user,
        select_across="1",
        confirmed="yes",
    )
    assert messages_of(told) == "Choose at most 100 users at a time."
    assert mail.outbox == []
