"""A code beside the link: asked on one device, read on another, typed on the first."""

import re
from datetime import timedelta

import pytest
from django.core import mail
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from password_reset import codes, services
from password_reset.models import (
    PasswordResetCode,
    PasswordResetRequest,
    PasswordResetToken,
)
from tests.tools.factories import NEW_PASSWORD, UserFactory
from tests.tools.threads import at_once
from tests.tools.walk import CODE, ask, call, code_in, enter, spend, token_in

pytestmark = pytest.mark.django_db(transaction=True)

WRONG = "BBBB-BBBB"


@pytest.fixture(autouse=True)
def switched_on(settings):
    settings.PASSWORD_RESET_CODES = True
    settings.PASSWORD_RESET_CONFIRM_RATE_PER_IP = None


def mailed_code(client, email):
    ask(client, email)
    return code_in(mail.outbox[-1].body)


def hidden_token(response):
    return re.search(r'name="token" value="([0-9a-f]{64})"', response.text)[1]


@pytest.mark.sqlite
def test_a_code_opens_the_form_of_the_link_where_it_was_asked_for(client, user):
    page = enter(client, mailed_code(client, user.email))
    assert "Choose a new password" in page.text
    assert spend(client, hidden_token(page)).status_code == 302
    user.refresh_from_db()
    assert user.check_password(NEW_PASSWORD)


def test_the_page_has_a_field_for_it_in_the_browser_that_asked(client, user):
    assert "one-time-code" not in Client().get("/forgot-password/done").text
    ask(client, user.email)
    assert 'autocomplete="one-time-code"' in client.get("/forgot-password/done").text


@pytest.mark.parametrize(
    "spelt",
    [str.lower, lambda c: c.replace("-", ""), lambda c: f" {' '.join(c)}\n"],
    ids=["case", "no-dash", "spaces"],
)
def test_case_dash_and_spaces_are_forgiven(client, user, spelt):
    page = enter(client, spelt(mailed_code(client, user.email)))
    assert "Choose a new password" in page.text


def test_full_width_letters_are_forgiven():
    assert codes.clean("ＢＣＤＦ－ＧＨＪＫ") == "BCDFGHJK"


@pytest.mark.parametrize("typed", ["", "BCD", "BCDFGHJKL", "12345678", "\x00" * 9])
def test_what_is_no_code_says_so_and_counts_no_try(client, user, typed):
    ask(client, user.email)
    page = enter(client, typed)
    assert page.status_code == 200
    assert 'aria-invalid="true"' in page.text
    assert PasswordResetRequest.objects.get().code_tries == 0


@pytest.mark.sqlite
def test_a_code_works_once(client, user):
    code = mailed_code(client, user.email)
    assert "Choose a new password" in enter(client, code).text
    assert "not the code" in enter(client, code).text
    assert PasswordResetToken.objects.filter(sent_at__isnull=True).count() == 1


def test_a_code_lives_for_ten_minutes(client, user):
    code = mailed_code(client, user.email)
    rows = PasswordResetCode.objects.all()
    assert rows.get().expires_at - rows.get().created_at <= timedelta(minutes=10)
    rows.update(expires_at=timezone.now())
    assert "not the code" in enter(client, code).text


@pytest.mark.sqlite
def test_after_five_tries_the_right_code_is_refused_too(client, user):
    code = mailed_code(client, user.email)
    left = [enter(client, WRONG).text for _ in range(5)]
    assert "4 tries left" in left[0]
    assert "1 try left" in left[3]
    assert "No code works here any more" in left[4]
    assert "No code works here any more" in enter(client, code).text


def test_the_link_works_on_when_the_tries_are_used_up(client, user):
    ask(client, user.email)
    for _ in range(6):
        enter(client, WRONG)
    assert spend(client, token_in(mail.outbox[-1].body)).status_code == 302


def test_a_code_works_in_no_other_browser(client, user):
    code = mailed_code(client, user.email)
    stranger = Client()
    ask(stranger, "nobody@example.com")
    assert "not the code" in enter(stranger, code).text
    assert "No code works here" in enter(Client(), code).text
    assert "Choose a new password" in enter(client, code).text


@pytest.mark.parametrize("forged", ["", "1", "MQ:1abc:xyz", "ü", "a" * 5000])
def test_a_forged_cookie_names_no_request(client, user, forged):
    code = mailed_code(client, user.email)
    client.cookies["password_reset_request"] = forged
    assert "No code works here" in enter(client, code).text


def test_what_one_browser_asked_uses_up_no_tries_of_another(client, user):
    code = mailed_code(client, user.email)
    attacker = Client()
    ask(attacker, user.email, REMOTE_ADDR="203.0.113.9")
    for _ in range(6):
        enter(attacker, WRONG, REMOTE_ADDR="203.0.113.9")
    assert "Choose a new password" in enter(client, code).text


def test_known_and_unknown_addresses_cannot_be_told_apart(client, user):
    answers = {}
    for email in (user.email, "nobody@example.com"):
        browser = Client()
        ask(browser, email)
        pages = []
        for _ in range(6):
            with CaptureQueriesContext(
                connection,
            ) as queries:
                page = enter(browser, WRONG)
            statements = [re.sub(r"\d+|'[^']*'", "?", q["sql"]) for q in queries]
            csrf_free = re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", page.text)
            pages.append((page.status_code, csrf_free, statements))
        answers[email] = pages
    assert answers[user.email] == answers["nobody@example.com"]


@pytest.mark.parametrize(
    "change",
    [
        lambda user: user.set_password("changed-elsewhere-meanwhile"),
        lambda user: setattr(user, "email", "moved@example.com"),
        lambda user: setattr(user, "is_active", False),
    ],
    ids=["password", "address", "deactivated"],
)
def test_a_code_dies_with_what_its_link_dies_with(client, user, change):
    code = mailed_code(client, user.email)
    change(user)
    user.save()
    assert "not the code" in enter(client, code).text


def test_a_reset_kills_the_codes_of_the_account(client, user):
    code = mailed_code(client, user.email)
    spend(Client(), token_in(mail.outbox[-1].body))
    assert "not the code" in enter(client, code).text
    assert not PasswordResetCode.objects.usable().exists()


def test_two_accounts_on_one_address_have_a_code_each(client, user):
    UserFactory.create(email=user.email.upper())
    ask(client, user.email)
    first, second = (code_in(message.body) for message in mail.outbox)
    assert "Choose a new password" in enter(client, first).text
    assert "Choose a new password" in enter(client, second).text


def test_staff_who_send_a_link_send_no_code(user):
    services.request_reset(
        user.email, ip_address=None, user_agent="", language="", source="admin"
    )
    services.process_due()
    assert not PasswordResetCode.objects.exists()


def test_without_the_setting_there_is_no_code(client, user, settings):
    settings.PASSWORD_RESET_CODES = False
    response = ask(client, user.email)
    assert "password_reset_request" not in response.cookies
    assert CODE.search(mail.outbox[-1].body) is None
    assert enter(client, WRONG)["Location"] == "/forgot-password/done"


def test_the_cookie_is_kept_from_scripts_and_names_no_account(client, user):
    cookie = ask(client, user.email).cookies["password_reset_request"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert cookie["path"] == "/forgot-password"
    assert user.email not in cookie.value


def test_the_code_is_in_both_parts_of_the_email_and_in_no_row(client, user):
    code = mailed_code(client, user.email)
    html = mail.outbox[-1].alternatives[0].content
    assert code in html
    letters = code.replace("-", "")
    with connection.cursor() as cursor:
        cursor.execute("SELECT t::text FROM password_reset_codes t")
        assert not any(letters in row for (row,) in cursor.fetchall())


def test_a_new_key_keeps_codes_that_the_old_one_made(client, user, settings):
    code = mailed_code(client, user.email)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-key-" * 5
    assert "Choose a new password" in enter(client, code).text


def test_who_has_asked_for_nothing_has_the_tries_of_the_network(client, settings):
    settings.PASSWORD_RESET_CONFIRM_RATE_PER_IP = "2/m"
    assert [enter(client, WRONG).status_code for _ in range(3)] == [200, 200, 429]


def test_unknown_links_that_a_neighbour_opens_stop_no_code(client, user, settings):
    settings.PASSWORD_RESET_CONFIRM_RATE_PER_IP = "5/m"
    code = mailed_code(client, user.email)
    for number in range(6):
        Client().get("/reset-password", {"token": f"{number:064x}"})
    assert "Choose a new password" in enter(client, code).text


def test_a_request_is_kept_for_as_long_as_its_code_may_be_tried(client, settings):
    """A row that is gone has no tries left, which would tell who has no account."""
    settings.PASSWORD_RESET_UNMAILED_RETENTION = timedelta(0)
    ask(client, "nobody@example.com")
    services.purge()
    assert "4 tries left" in enter(client, WRONG).text


def test_the_purge_takes_dead_codes(client, user):
    ask(client, user.email)
    PasswordResetCode.objects.update(expires_at=timezone.now())
    assert services.purge(dry_run=False).codes == 1


class TestJson:
    def answer(self, client, email, code, **extra):
        body = {"email": email, "code": code}
        return call(client, "verify-reset-code", body, **extra)

    def test_a_code_becomes_a_token(self, client, user):
        call(client, "request-password-reset", {"email": user.email})
        answer = self.answer(client, user.email, code_in(mail.outbox[-1].body))
        assert answer.status_code == 200
        assert set(answer.json()) == {"token", "expires_at"}
        body = {"token": answer.json()["token"], "password": NEW_PASSWORD}
        assert call(client, "reset-password", body).status_code == 200

    def test_wrong_codes_are_answered_alike_for_everybody(self, client, user):
        answers = []
        for email in (user.email, "nobody@example.com"):
            call(client, "request-password-reset", {"email": email})
            answers.append([self.answer(client, email, WRONG).json() for _ in range(6)])
        assert answers[0] == answers[1]
        assert [answer["tries_left"] for answer in answers[0]] == [4, 3, 2, 1, 0, 0]
        assert answers[0][0]["code"] == "token_invalid"

    def test_a_stranger_elsewhere_uses_up_no_tries(self, client, user):
        call(client, "request-password-reset", {"email": user.email})
        code = code_in(mail.outbox[-1].body)
        elsewhere = {"REMOTE_ADDR": "203.0.113.9"}
        for _ in range(6):
            assert (
                self.answer(client, user.email, WRONG, **elsewhere).status_code == 404
            )
        assert self.answer(client, user.email, code).status_code == 200

    def test_a_neighbour_uses_up_no_tries_of_a_browser(self, client, user):
        code = mailed_code(client, user.email)
        for _ in range(5):
            assert self.answer(Client(), user.email, WRONG).json()["tries_left"] == 0
        assert "Choose a new password" in enter(client, code).text

    def test_the_code_of_a_browser_is_nobody_else_s(self, client, user):
        code = mailed_code(client, user.email)
        assert self.answer(Client(), user.email, code).status_code == 404

    def test_requests_of_others_bury_no_code(self, client, user, settings):
        settings.PASSWORD_RESET_REQUEST_RATE_PER_IPV6_48 = None
        call(client, "request-password-reset", {"email": user.email})
        code = code_in(mail.outbox[-1].body)
        rows = [
            PasswordResetRequest(
                email=user.email, source="api", ip_address=f"2001:db8:1:{number:x}::1"
            )
            for number in range(120)
        ]
        PasswordResetRequest.objects.bulk_create(rows)
        assert self.answer(client, user.email, code).status_code == 200

    @pytest.mark.parametrize("code", ["", "BCD", 5, None, ["BCDF-GHJK"]])
    def test_what_is_no_code_is_a_clear_error(self, client, user, code):
        answer = self.answer(client, user.email, code)
        assert answer.status_code == 400
        assert answer.json()["code"] == "invalid_request"

    def test_without_the_setting_there_is_no_code(self, client, user, settings):
        settings.PASSWORD_RESET_CODES = False
        assert self.answer(client, user.email, WRONG).status_code == 404


@pytest.mark.sqlite
def test_of_fifty_right_codes_at_once_one_wins(client, user):
    code = mailed_code(client, user.email).replace("-", "")
    row = PasswordResetRequest.objects.get()
    acts = [
        lambda: codes.redeem(row.pk, code, ip_address=None, user_agent="")
        for _ in range(50)
    ]
    results = at_once(acts)
    assert sum(isinstance(each, codes.OpenedLink) for each in results) == 1
    row.refresh_from_db()
    assert row.code_tries == codes.TRIES


def test_of_a_link_and_a_code_at_once_one_resets(client, user):
    code = mailed_code(client, user.email)
    opened = hidden_token(enter(client, code))
    mailed = token_in(mail.outbox[-1].body)

    def reset(raw, password):
        return services.reset_password(raw, password, ip_address=None, user_agent="")

    results = at_once(
        [
            lambda: reset(mailed, "first-of-two-pass-phrases"),
            lambda: reset(opened, "second-of-two-pass-phrases"),
        ]
    )
    assert sum(isinstance(each, services.ResetResult) for each in results) == 1


def test_the_chance_of_a_guess_is_tries_by_codes():
    """docs/security.md computes with these numbers."""
    assert len(codes.ALPHABET) ** codes.LENGTH == 25_600_000_000
    assert codes.TRIES == 5


def test_a_guesser_has_no_more_than_that_chance(client, user, settings, monkeypatch):
    """Codes of one letter, so that hits can be counted: 5 tries in 20 codes are right
    for a quarter of the requests.
    """
    settings.PASSWORD_RESET_REQUEST_RATE_PER_IP = None
    settings.PASSWORD_RESET_REQUEST_RATE_PER_EMAIL = None
    monkeypatch.setattr(codes, "LENGTH", 1)
    hits = 0
    for _ in range(80):
        ask(client, user.email)
        row = PasswordResetRequest.objects.latest("pk")
        for guess in codes.ALPHABET:
            try:
                codes.redeem(row.pk, guess, ip_address=None, user_agent="")
            except codes.CodeError:
                continue
            hits += 1
    # Binomial, 80 times 0.25: less than one run in a hundred thousand is outside.
    assert 4 <= hits <= 38
