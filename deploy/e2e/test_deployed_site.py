"""The guide's manual checklist, done by a machine, against a deployed site."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.message import EmailMessage

import pytest
import requests
from browser import Browser
from mailbox_reader import Mailbox

LINK = r"https://\S+/reset-password\?token=([0-9a-f]{64})(?![0-9a-f])"


@pytest.fixture(scope="module")
def walk(
    base_url: str, ca: str | None, email: str, password: str, mailbox: Mailbox
) -> Walk:
    """One walk through the whole flow, for all tests that look at a part of it."""
    here, elsewhere = Browser(base_url, ca), Browser(base_url, ca)
    if not elsewhere.log_in(email, password):
        pytest.fail("the account cannot log in to begin with")
    known = mailbox.ids()
    asked = here.submit("/forgot-password", email=email)
    if asked.status_code == 429:
        pytest.fail(
            "three requests an hour are used up: try again later, or from another "
            "address"
        )
    mail = mailbox.wait_for_new(known)
    found = re.search(LINK, text_of(mail))
    link = found[0] if found else pytest.fail(f"no link in the mail:\n{text_of(mail)}")
    weak = here.submit(link, new_password1="123", new_password2="123")
    chosen = here.submit(link, new_password1=password, new_password2=password)
    notice = mailbox.wait_for_new(known | {str(mail["Message-ID"])})
    return Walk(asked, mail, link, weak, chosen, elsewhere.is_logged_in(), notice)


@dataclass(frozen=True)
class Walk:
    """What was met on the way."""

    asked: requests.Response
    mail: EmailMessage
    link: str
    weak: requests.Response
    chosen: requests.Response
    elsewhere_still_logged_in: bool
    notice: EmailMessage


def text_of(mail: EmailMessage, kind: str = "plain") -> str:
    part = mail.get_body((kind,))
    return part.get_content() if part else ""


# 1. Request password reset


def test_the_answer_does_not_name_the_address(
    walk: Walk, browser: Browser, email: str
) -> None:
    assert walk.asked.status_code == 302
    assert email not in browser.get(walk.asked.headers["Location"]).text


def test_an_address_must_be_one(browser: Browser) -> None:
    assert browser.submit("/forgot-password", email="not an address").status_code == 200


# 2. Email verification


def test_the_mail_has_a_sender_and_a_subject(walk: Walk) -> None:
    assert walk.mail["From"]
    assert walk.mail["Subject"].strip()


def test_the_mails_link_leads_to_this_site_in_text_and_html(
    walk: Walk, base_url: str
) -> None:
    assert walk.link.startswith(f"{base_url}/reset-password?token=")
    assert walk.link in text_of(walk.mail, "html")


# 3. Token verification


def test_the_mails_link_works_once(walk: Walk, browser: Browser) -> None:
    assert browser.get(walk.link).status_code == 410


def test_a_link_that_was_never_sent_opens_nothing(
    browser: Browser, unknown_token: str
) -> None:
    assert browser.get(f"/reset-password?token={unknown_token}").status_code in {
        404,
        429,
    }


def test_a_program_is_told_so_too(browser: Browser, unknown_token: str) -> None:
    answer = browser.post_json("/api/auth/verify-reset-token", {"token": unknown_token})
    assert answer.status_code in {404, 429}
    assert answer.headers["Content-Type"].startswith("application/problem+json")


# 4. Password reset


def test_a_weak_password_is_refused_in_place_and_a_good_one_taken(walk: Walk) -> None:
    assert walk.weak.status_code == 200
    assert walk.chosen.headers.get("Location") == "/reset-password/done"


def test_every_session_is_out_and_the_password_logs_in(
    walk: Walk, browser: Browser, email: str, password: str
) -> None:
    assert not walk.elsewhere_still_logged_in
    assert browser.log_in(email, password)


def test_a_second_mail_tells_of_the_change_and_has_no_link_with_a_token(
    walk: Walk,
) -> None:
    assert not re.search(LINK, text_of(walk.notice) + text_of(walk.notice, "html"))


# 5. Rate limiting


@pytest.mark.limits
def test_nobody_is_told_apart_and_the_fourth_request_is_refused(
    browser: Browser,
) -> None:
    answers = [
        browser.submit("/forgot-password", email=f"nobody-{n}@example.com")
        for n in range(4)
    ]
    statuses = [answer.status_code for answer in answers]
    assert statuses == sorted(statuses)
    assert statuses[-1] == 429
    assert int(answers[-1].headers["Retry-After"]) > 0


# 6. Security


def test_plain_http_leads_to_https(http_url: str) -> None:
    answer = requests.get(
        http_url + "/forgot-password", timeout=20, allow_redirects=False
    )
    assert answer.status_code in {301, 308}
    assert answer.headers["Location"].startswith("https://")


def test_pages_carry_the_security_headers(browser: Browser) -> None:
    headers = browser.get("/forgot-password").headers
    assert "max-age=" in headers["Strict-Transport-Security"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "strict-origin"
    assert headers["Cache-Control"].find("no-store") >= 0


def test_metrics_are_closed(browser: Browser) -> None:
    assert browser.get("/metrics").status_code == 404


def test_the_site_is_ready(browser: Browser) -> None:
    answer = browser.get("/health")
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
