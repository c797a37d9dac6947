"""What was asked for at one brand opens nothing at another, whichever way it is tried.

At another brand it is as what nobody has: a sentence that says where it belongs would
tell whoever found it that it works, and which sites share their accounts.
"""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.urls import reverse
from django.utils import timezone

from password_reset.models import PasswordResetRequest, PasswordResetToken
from tests.brands import FIG, GARDEN, PLUM
from tests.tools.factories import NEW_PASSWORD, OLD_PASSWORD, UserFactory
from tests.tools.walk import ask, call, look, mailed_token, spend, token_in

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.sqlite]

CODE = re.compile(r"^([A-Z]{4}-[A-Z]{4})$", re.MULTILINE)
NUMBER = re.compile(r"not-me\?n=(\S+)")
UNKNOWN = "0" * 64
COOKIE = "password_reset_request"


@pytest.fixture
def link(plum, ada):
    """The secret of a link that Plum has mailed."""
    return mailed_token(plum, ada.email)


def has_old_password(person):
    person.refresh_from_db()
    return person.check_password(OLD_PASSWORD)


def without_csrf(response):
    """Return the words of a page, without what differs from visit to visit."""
    text = response.content.decode()
    return re.sub(r'(csrfmiddlewaretoken|name="token)" value="\w+"', "", text)


def test_a_link_is_unknown_at_another_brand_to_the_letter(link, fig):
    theirs, nobodys = look(fig, link), look(fig, UNKNOWN)
    assert theirs.status_code == nobodys.status_code == 404
    assert without_csrf(theirs) == without_csrf(nobodys)
    assert "Plum" not in theirs.content.decode()


def test_nor_does_it_open_at_the_default_brand(link, garden):
    assert look(garden, link).status_code == 404


def test_nor_does_the_default_brand_s_link_open_at_a_brand(garden, fig, ada):
    assert look(fig, mailed_token(garden, ada.email)).status_code == 404


def test_a_form_that_is_sent_to_another_brand_sets_no_password(link, plum, fig, ada):
    assert spend(fig, link).status_code == 404
    assert has_old_password(ada)
    assert spend(plum, link).status_code == 302  # and did not burn it


def test_the_api_of_another_brand_does_not_know_the_token(link, fig):
    theirs = call(fig, "verify-reset-token", {"token": link})
    nobodys = call(fig, "verify-reset-token", {"token": UNKNOWN})
    assert theirs.status_code == 404
    assert theirs.json() == nobodys.json()


def test_the_api_of_another_brand_sets_no_password(link, fig, ada):
    body = {"token": link, "password": NEW_PASSWORD}
    assert call(fig, "reset-password", body).json()["code"] == "token_invalid"
    assert has_old_password(ada)


def test_a_code_that_is_typed_at_another_brand(plum, fig, ada):
    ask(plum, ada.email)
    code = CODE.search(mail.outbox[0].body)[1]
    fig.cookies[COOKIE] = plum.cookies[COOKIE].value
    refused = fig.post("/forgot-password/code", {"code": code})
    assert "No code works here any more" in refused.content.decode()
    assert PasswordResetRequest.objects.get().code_tries == 0
    opened = plum.post("/forgot-password/code", {"code": code})
    assert "new_password1" in opened.content.decode()


def test_a_code_that_is_sent_to_another_brand_s_api(plum, fig, ada):
    call(plum, "request-password-reset", {"email": ada.email})
    body = {"email": ada.email, "code": CODE.search(mail.outbox[0].body)[1]}
    fig.defaults["REMOTE_ADDR"] = plum.defaults["REMOTE_ADDR"]
    assert call(fig, "verify-reset-code", body).status_code == 404
    assert call(plum, "verify-reset-code", body).status_code == 200


def test_the_link_that_a_code_became_is_spent_at_another_brand(plum, fig, ada):
    ask(plum, ada.email)
    code = CODE.search(mail.outbox[0].body)[1]
    opened = plum.post("/forgot-password/code", {"code": code}).content.decode()
    raw = re.search(r'name="token" value="(\w{64})"', opened)[1]
    assert spend(fig, raw).status_code == 404
    assert has_old_password(ada)


def test_it_was_not_me_is_pressed_at_another_brand(link, plum, fig):
    signed = NUMBER.search(mail.outbox[0].body)[1]
    assert fig.get("/reset-password/not-me", {"n": signed}).status_code == 404
    assert fig.post("/reset-password/not-me", {"n": signed}).status_code == 404
    assert PasswordResetToken.objects.usable().exists()
    assert plum.post("/reset-password/not-me", {"n": signed}).status_code == 200
    assert not PasswordResetToken.objects.usable().exists()


def test_it_was_not_me_of_a_change_is_pressed_at_another_brand(link, plum, fig, ada):
    spend(plum, link)
    signed = NUMBER.search(mail.outbox[1].body)[1]
    assert fig.post("/reset-password/not-me", {"n": signed}).status_code == 404
    ada.refresh_from_db()
    assert ada.check_password(NEW_PASSWORD)
    assert len(mail.outbox) == 2


def test_a_dead_link_is_renewed_at_another_brand(link, plum, fig):
    PasswordResetToken.objects.update(expires_at=timezone.now() - timedelta(1))
    assert fig.post("/forgot-password", {"token": link}).status_code == 404
    assert len(mail.outbox) == 1
    assert plum.post("/forgot-password", {"token": link}).status_code == 302
    assert len(mail.outbox) == 2


@pytest.mark.parametrize("field", ["brand", "BRAND", "host"])
def test_a_form_field_chooses_no_brand(plum, ada, field):
    plum.post(f"/forgot-password?{field}=fig", {"email": ada.email, field: "fig"})
    assert f"http://{PLUM}/" in mail.outbox[0].body
    assert FIG not in mail.outbox[0].body


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_X_FORWARDED_HOST": PLUM},
        {"HTTP_FORWARDED": f"host={PLUM}"},
        {"HTTP_X_HOST": PLUM, "HTTP_ORIGIN": f"http://{PLUM}"},
    ],
)
def test_a_header_beside_the_host_chooses_no_brand(garden, link, headers):
    assert garden.get("/reset-password", {"token": link}, **headers).status_code == 404


@pytest.mark.parametrize("host", ["evil.example", "plum.example.evil.example"])
def test_a_host_of_a_stranger_has_the_default_brand_at_most(
    browser_at, three_brands, ada, host
):
    three_brands.ALLOWED_HOSTS = ["*"]
    ask(browser_at(host), ada.email)
    assert f"http://{GARDEN}/" in mail.outbox[0].body
    assert host not in mail.outbox[0].message().as_string()


def test_a_host_that_the_site_does_not_accept_mails_nobody(browser_at, ada):
    assert ask(browser_at("evil.example"), ada.email).status_code == 400
    assert not mail.outbox


def test_a_link_that_staff_send_opens_at_their_own_brand_only(plum, fig, ada):
    plum.force_login(UserFactory(is_staff=True, is_superuser=True))
    send = reverse("admin:password_reset_passwordresetrequest_send", args=[ada.pk])
    assert plum.post(send).status_code == 302
    raw = token_in(mail.outbox[0].body)
    assert look(fig, raw).status_code == 404
    assert look(plum, raw).status_code == 200


def test_links_are_guessed_at_another_brand_no_faster(link, fig):
    answers = [look(fig, link).status_code for _ in range(6)]
    assert answers == [404] * 5 + [429]
