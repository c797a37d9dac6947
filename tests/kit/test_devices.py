"""One person, two devices: asked on one, read on the other."""

from functools import partial

import pytest
from django.core import mail
from django.test import Client

from password_reset.models import PasswordResetToken
from tests.kit.browser import SITE, open_mail
from tests.tools.factories import NEW_PASSWORD
from tests.tools.threads import at_once
from tests.tools.walk import code_in, token_in

pytestmark = pytest.mark.django_db(transaction=True)

ANOTHER = "a-third-good-pass-phrase"
PHONE = {"viewport": {"width": 360, "height": 700}, "has_touch": True}


@pytest.fixture
def desk(windows, strict):
    strict.PASSWORD_RESET_CODES = True
    return windows()


@pytest.fixture
def phone(windows):
    return windows(**PHONE)


def read_code():
    return code_in(mail.outbox[-1].body)


def type_code(window, code):
    window.page.locator("[name=code]").fill(code)
    with window.page.expect_event("load"):
        window.page.locator("[name=code]").press("Enter")


def knows(user, password):
    user.refresh_from_db()
    return user.check_password(password)


def test_asked_at_the_desk_read_on_the_phone_typed_at_the_desk(
    desk, phone, mailbox, user
):
    desk.ask(user.email)
    phone.page.goto(mailbox.url)
    code = code_in(phone.page.inner_text("body"))
    type_code(desk, code.lower().replace("-", " "))
    desk.choose(NEW_PASSWORD)
    assert desk.page.url.endswith("/reset-password/done")
    assert knows(user, NEW_PASSWORD)


def test_the_link_opens_on_the_phone_as_ever(desk, phone, mailbox, user):
    desk.ask(user.email)
    open_mail(phone, mailbox)
    phone.choose(NEW_PASSWORD)
    assert phone.page.url.endswith("/reset-password/done")
    assert knows(user, NEW_PASSWORD)


def test_a_code_typed_on_another_device_opens_nothing(desk, phone, user):
    """It is for the browser that asked, whoever reads it aloud to somebody else."""
    desk.ask(user.email)
    phone.page.goto("/forgot-password/done")
    assert phone.page.locator("[name=code]").count() == 0
    phone.ask("somebody-else@example.com")
    type_code(phone, read_code())
    assert phone.page.locator("[name=new_password1]").count() == 0
    assert phone.page.locator("[name=code][aria-invalid=true]").count() == 1


def test_forms_of_both_are_open_and_the_first_to_save_wins(desk, phone, mailbox, user):
    desk.ask(user.email)
    open_mail(phone, mailbox)
    type_code(desk, read_code())
    phone.choose(NEW_PASSWORD)
    desk.choose(ANOTHER)
    assert (phone.status, desk.status) == (200, 410)
    assert knows(user, NEW_PASSWORD)


def test_both_at_once_are_one_success(desk, user):
    desk.ask(user.email)
    code, link = read_code(), token_in(mail.outbox[-1].body)
    type_code(desk, code)
    typed = desk.page.locator("[name=token]").input_value()
    acts = [partial(post, typed, NEW_PASSWORD), partial(post, link, ANOTHER)]
    assert sorted(at_once(acts)) == [302, 410]
    assert sum(knows(user, each) for each in (NEW_PASSWORD, ANOTHER)) == 1
    assert PasswordResetToken.objects.usable().count() == 0


def post(token, password):
    client = Client(SERVER_NAME=SITE)
    fields = dict.fromkeys(["new_password1", "new_password2"], password)
    sent = {"token": token} | fields
    return client.post("/reset-password", sent, secure=True).status_code
