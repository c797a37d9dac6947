"""Where somebody was before survives the whole flow, and leads to this site only."""

import re
from datetime import timedelta
from urllib.parse import quote

import pytest
import time_machine
from django.core import mail, signing
from django.test import Client
from django.utils import timezone

from password_reset import redirects, services
from password_reset.models import PasswordResetRequest, PasswordResetToken
from password_reset.views import SAVED_COOKIE, SAVED_SALT
from tests.tools.factories import NEW_PASSWORD
from tests.tools.walk import call, look, spend, token_in

pytestmark = pytest.mark.django_db(transaction=True)

FORM, DONE, SAVED = "/forgot-password", "/forgot-password/done", "/reset-password/done"
SOMEWHERE = "/orders/7?tab=bill&sort=1"
CONTINUE = "Continue to where you were"
CODE = re.compile(r"[A-Z]{4}-[A-Z]{4}")
EVIL = [
    "https://evil.example/",
    "http://evil.example",
    "//evil.example/",
    "///evil.example/",
    "////evil.example",
    "/\\evil.example",
    "\\\\evil.example/",
    "https:evil.example",
    "https:///evil.example",
    "http:\\\\evil.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "java\tscript:alert(1)",
    " javascript:alert(1)",
    "data:text/html,x",
    "mailto:ann@example.com",
    "/\t/evil.example",
    "/\n/evil.example",
    "/\x00",
    "/\x1b[2J",
    "/\u202e/moc.live",
    "https://testserver//evil.example/",
    "https://testserver/\\evil.example",
    "https://testserver:80@evil.example/",
    "https://ann@testserver/",
    "https://testserver.evil.example/",
    "http://[",
    "somewhere",
    "?x",
    "#x",
    "..//evil.example",
    "/a b",
    "/" + "a" * redirects.LENGTH,
    "/" + "é" * 200,
]
#: Where nobody has any business who has just set a password.
BACK = [
    "/login",
    "/login?next=/login",
    "/login/",
    FORM,
    "/forgot%2Dpassword",
    DONE,
    "/reset-password?token=" + "0" * 64,
    "/reset-password/not-me?n=1",
]


def ask_from(client, where, email):
    """Ask on a page that says where its visitor was."""
    return client.post(FORM, {"email": email, "next": where})


def row():
    return PasswordResetRequest.objects.latest("pk")


def last_page(client, raw):
    """Set a password and return the page after it."""
    answer = spend(client, raw)
    assert answer["Location"] == SAVED
    return client.get(SAVED)


@pytest.mark.sqlite
def test_from_the_first_page_to_the_last(client, ada):
    page = client.get(FORM, {"next": SOMEWHERE})
    assert page.context["next"] == SOMEWHERE
    assert f'name="next" value="{SOMEWHERE.replace("&", "&amp;")}"' in page.text
    answer = ask_from(client, SOMEWHERE, ada.email)
    assert answer["Location"] == f"{DONE}?next={quote(SOMEWHERE)}"
    page = last_page(client, token_in(mail.outbox[-1].body))
    assert CONTINUE in page.text
    assert f'href="/login?next={quote(SOMEWHERE)}"' in page.text
    assert 'href="/login"' in page.text


def test_the_link_opened_on_another_device_leads_there_too(client, ada):
    ask_from(client, SOMEWHERE, ada.email)
    other = Client()
    page = last_page(other, token_in(mail.outbox[-1].body))
    assert page.context["continue_url"] == f"/login?next={quote(SOMEWHERE)}"


def test_it_is_in_neither_email_nor_link(client, ada):
    ask_from(client, "/a-secret-place", ada.email)
    spend(client, token_in(mail.outbox[-1].body))
    assert len(mail.outbox) == 2
    for message in mail.outbox:
        assert "secret-place" not in message.message().as_string()


def test_log_in_leads_there(client, ada):
    ask_from(client, SOMEWHERE, ada.email)
    page = last_page(client, token_in(mail.outbox[-1].body))
    link = page.context["continue_url"]
    assert client.get(link).context["next"] == SOMEWHERE
    answer = client.post(
        "/login", {"username": ada.email, "password": NEW_PASSWORD, "next": SOMEWHERE}
    )
    assert answer["Location"] == SOMEWHERE


def test_asking_again_keeps_it(client, ada):
    again = client.get(ask_from(client, SOMEWHERE, ada.email)["Location"]).text
    assert again.count(f'href="{FORM}?next={quote(SOMEWHERE)}"') >= 2
    assert f'name="next" value="{SOMEWHERE.replace("&", "&amp;")}"' in again


def test_a_refused_address_keeps_it(client):
    page = ask_from(client, SOMEWHERE, "nobody")
    assert page.context["form"].errors
    assert page.context["next"] == SOMEWHERE


def test_having_to_wait_keeps_it(client, ada, settings):
    settings.PASSWORD_RESET_REQUEST_RATE_PER_IP = "1/h"
    form = client.get(FORM, {"next": SOMEWHERE}).text
    action = f"{FORM}?next={quote(SOMEWHERE)}"
    assert f'action="{action}"' in form
    for status in (302, 429):
        answer = client.post(action, {"email": ada.email})
        assert answer.status_code == status
    assert f'href="/login?next={quote(SOMEWHERE)}"' in answer.text


def test_a_code_leads_there_and_a_wrong_one_keeps_it(client, ada, settings):
    settings.PASSWORD_RESET_CODES = True
    ask_from(client, SOMEWHERE, ada.email)
    wrong = client.post(f"{FORM}/code", {"code": "BBBB-BBBB", "next": SOMEWHERE})
    assert wrong.context["next"] == SOMEWHERE
    code = CODE.search(mail.outbox[-1].body)[0]
    opened = client.post(f"{FORM}/code", {"code": code})
    raw = opened.context["form"].initial["token"]
    assert last_page(client, raw).context["continue_url"].endswith(quote(SOMEWHERE))


def test_a_new_link_for_a_dead_one_leads_there(client, ada):
    ask_from(client, SOMEWHERE, ada.email)
    PasswordResetToken.objects.all().void()
    client.post(FORM, {"token": token_in(mail.outbox[-1].body)})
    assert row().next_url == SOMEWHERE
    page = last_page(client, token_in(mail.outbox[-1].body))
    assert page.context["continue_url"] == f"/login?next={quote(SOMEWHERE)}"


def test_a_link_whose_request_is_gone_leads_to_the_log_in(client, ada):
    ask_from(client, SOMEWHERE, ada.email)
    raw = token_in(mail.outbox[-1].body)
    PasswordResetRequest.objects.all().delete()
    page = last_page(client, raw)
    assert CONTINUE not in page.text
    assert 'href="/login"' in page.text


def test_a_site_without_a_log_in_page_leads_there_at_once(client, ada, settings):
    settings.LOGIN_URL = "nothing-of-this-name"
    ask_from(client, SOMEWHERE, ada.email)
    page = last_page(client, token_in(mail.outbox[-1].body))
    assert page.context["continue_url"] == SOMEWHERE


def test_a_log_in_page_elsewhere_is_told_the_whole_url(client, ada, settings):
    settings.LOGIN_URL = "https://sso.example.com/login?a=1"
    settings.PASSWORD_RESET_BASE_URL = "https://www.example.com"
    ask_from(client, "/orders/7", ada.email)
    page = last_page(client, token_in(mail.outbox[-1].body))
    assert page.context["continue_url"] == (
        "https://sso.example.com/login?a=1&next=https%3A//www.example.com/orders/7"
    )


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize("where", EVIL, ids=ascii)
def test_what_leads_elsewhere_is_dropped(client, ada, where, method):
    if method == "get":
        page = client.get(FORM, {"next": where})
        assert (page.status_code, page.context["next"]) == (200, "")
        assert "evil" not in page.text
    else:
        assert ask_from(client, where, ada.email)["Location"] == DONE
        assert row().next_url == ""


@pytest.mark.parametrize("where", BACK)
def test_what_leads_back_into_the_flow_is_dropped(client, ada, where):
    assert ask_from(client, where, ada.email)["Location"] == DONE
    assert row().next_url == ""


@pytest.mark.parametrize("here", ["", "/de", "/fr"])
@pytest.mark.parametrize("there", ["", "/de", "/fr"])
def test_in_whichever_language(client, settings, here, there):
    settings.ROOT_URLCONF = "tests.flow.languages_in_urls"
    kept = {
        where: client.get(f"{here}{FORM}", {"next": there + where}).context["next"]
        for where in ("/login", FORM, "/reset-password?token=1", "/orders")
    }
    assert kept.pop("/orders") == f"{there}/orders"
    assert set(kept.values()) == {""}


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        ("http://testserver/orders", "/orders"),
        ("https://www.example.com/orders?a=1#b", "/orders?a=1#b"),
        ("https://www.example.com", ""),
        ("/", "/"),
        ("/café/?q=ü", "/caf%C3%A9/?q=%C3%BC"),
        ("/app#/inbox", "/app#/inbox"),
        ('/"><script>alert(1)</script>', "/%22%3E%3Cscript%3Ealert(1)%3C/script%3E"),
    ],
)
def test_what_is_kept_is_a_path(client, settings, where, kept):
    settings.PASSWORD_RESET_BASE_URL = "https://www.example.com"
    page = client.get(FORM, {"next": where})
    assert page.context["next"] == kept
    assert "<script>alert" not in page.text


def test_on_https_a_plain_url_is_dropped(client):
    page = client.get(FORM, {"next": "http://testserver/orders"}, secure=True)
    assert page.context["next"] == ""
    page = client.get(FORM, {"next": "https://testserver/orders"}, secure=True)
    assert page.context["next"] == "/orders"


def test_the_host_header_is_no_reason_to_trust_a_host(client):
    page = client.get(
        FORM, {"next": "http://evil.example/x"}, headers={"host": "evil.example"}
    )
    assert page.status_code == 400


@pytest.mark.parametrize(
    "where",
    [
        "https://evil.example/",
        "//evil.example/",
        "javascript:alert(1)",
        "/\\evil",
        FORM,
    ],
)
def test_a_row_is_not_believed_either(client, ada, where):
    ask_from(client, SOMEWHERE, ada.email)
    PasswordResetRequest.objects.update(next_url=where)
    page = last_page(client, token_in(mail.outbox[-1].body))
    assert page.context["continue_url"] == ""
    assert CONTINUE not in page.text


def forged(where):
    return signing.dumps(where, key="somebody else's", salt=SAVED_SALT)


def of_another_purpose(where):
    return signing.dumps(where, salt="password_reset.codes.handle")


def plain(where):
    return where


def evil_but_signed(where):
    return signing.dumps("//evil.example", salt=SAVED_SALT)


def no_text(where):
    return signing.dumps([where], salt=SAVED_SALT)


@pytest.mark.parametrize(
    "cookie", [forged, of_another_purpose, plain, evil_but_signed, no_text]
)
def test_a_cookie_that_somebody_else_has_set_leads_nowhere(client, cookie):
    client.cookies[SAVED_COOKIE] = cookie(SOMEWHERE)
    page = client.get(SAVED)
    assert (page.status_code, page.context["continue_url"]) == (200, "")


def test_the_cookie_leads_there_for_ten_minutes(client, ada):
    ask_from(client, SOMEWHERE, ada.email)
    spend(client, token_in(mail.outbox[-1].body))
    assert client.get(SAVED).context["continue_url"]
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        assert not client.get(SAVED).context["continue_url"]


def test_the_address_of_the_last_page_is_not_asked(client):
    page = client.get(SAVED, {"next": SOMEWHERE})
    assert page.context["continue_url"] == ""
    assert quote(SOMEWHERE) not in page.text


def test_a_link_does_not_say_where(client, ada):
    ask_from(client, SOMEWHERE, ada.email)
    raw = token_in(mail.outbox[-1].body)
    assert (
        client.get("/reset-password", {"token": raw, "next": "/x"}).status_code == 200
    )
    client.post(
        "/reset-password",
        {
            "token": raw,
            "next": "/x",
            "new_password1": NEW_PASSWORD,
            "new_password2": NEW_PASSWORD,
        },
    )
    assert client.get(SAVED).context["continue_url"].endswith(quote(SOMEWHERE))


def test_nobody_and_somebody_are_led_alike(client, ada):
    answers = [
        ask_from(Client(), SOMEWHERE, email)["Location"]
        for email in (ada.email, "nobody@example.com")
    ]
    assert len(set(answers)) == 1


def test_nothing_is_logged(client, ada, caplog):
    caplog.set_level("DEBUG", "password_reset")
    ask_from(client, "/a-secret-place", ada.email)
    look(client, token_in(mail.outbox[-1].body))
    assert caplog.records
    assert "secret-place" not in caplog.text
    assert not [one for one in caplog.records if "secret-place" in str(vars(one))]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (SOMEWHERE, SOMEWHERE),
        ("https://www.example.com/orders", "/orders"),
        *((where, "") for where in EVIL if "testserver" not in where),
    ],
)
def test_code_of_the_host_can_say_it_too(ada, settings, said, kept):
    settings.PASSWORD_RESET_BASE_URL = "https://www.example.com"
    services.request_reset(
        ada.email, ip_address=None, user_agent="", language="", next_url=said
    )
    assert row().next_url == kept


def test_staff_and_programs_lead_nowhere(client, ada):
    call(client, "request-password-reset", {"email": ada.email, "next": SOMEWHERE})
    services.request_reset(ada.email, ip_address=None, user_agent="", language="")
    assert not PasswordResetRequest.objects.exclude(next_url="").exists()
