"""A second factor behind the link, with django-otp as it is."""

import logging
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.core.cache import cache
from django.db import connection
from django.test import Client
from django.utils import timezone
from django_otp.plugins.otp_email.models import EmailDevice
from django_otp.plugins.otp_static.models import StaticToken
from django_otp.plugins.otp_totp.models import TOTPDevice

from password_reset import services
from password_reset.conf import conf
from password_reset.models import PasswordResetToken
from password_reset.ratelimit import RateLimited
from password_reset.signals import reset_completed, reset_rejected
from tests import ROOT
from tests.tools import second_factor as tools
from tests.tools.factories import NEW_PASSWORD, OLD_PASSWORD
from tests.tools.second_factor import (
    ADAPTER,
    code_of,
    recovery_codes,
    totp,
    wrong_code_of,
)
from tests.tools.staff import TOKENS, superuser
from tests.tools.threads import at_once
from tests.tools.walk import ask, call, look, mailed_token, token_in

pytestmark = pytest.mark.django_db(transaction=True)

FIELD = 'name="second_factor"'
WEAK = "12345678"


@pytest.fixture(autouse=True)
def switched_on(settings):
    settings.PASSWORD_RESET_SECOND_FACTOR = ADAPTER
    settings.PASSWORD_RESET_CONFIRM_RATE_PER_IP = None


@pytest.fixture
def app(user):
    return totp(user)


@pytest.fixture
def raw(client, user):
    return mailed_token(client, user.email)


def save(client, raw, code=None, password=NEW_PASSWORD, again=None):
    fields = {} if code is None else {"second_factor": code}
    return client.post(
        "/reset-password",
        {
            "token": raw,
            "new_password1": password,
            "new_password2": password if again is None else again,
            **fields,
        },
    )


def is_reset(user):
    user.refresh_from_db()
    return user.check_password(NEW_PASSWORD)


class TestForm:
    def test_who_has_none_sees_no_field_and_needs_no_code(self, client, user, raw):
        assert FIELD not in look(client, raw).text
        assert save(client, raw).status_code == 302
        assert is_reset(user)

    def test_who_has_one_sees_a_field_that_apps_and_readers_know(
        self, client, app, raw
    ):
        page = look(client, raw).text
        assert FIELD in page
        assert 'autocomplete="one-time-code"' in page
        assert 'aria-describedby="id_second_factor_helptext"' in page

    def test_no_page_before_the_link_tells(self, client, app, user):
        ask(client, user.email)
        for path in ("/forgot-password", "/forgot-password/done", "/reset-password"):
            assert FIELD not in client.get(path).text
        assert FIELD not in look(client, "0" * 64).text

    def test_a_dead_link_does_not_tell(self, client, app, raw):
        PasswordResetToken.objects.update(expires_at=timezone.now())
        assert FIELD not in look(client, raw).text

    def test_without_the_setting_nothing_changes(self, client, app, raw, settings):
        settings.PASSWORD_RESET_SECOND_FACTOR = None
        assert FIELD not in look(client, raw).text
        assert save(client, raw).status_code == 302

    def test_the_code_of_an_email_opens_the_form_with_it(
        self, client, app, user, settings
    ):
        settings.PASSWORD_RESET_CODES = True
        ask(client, user.email)
        text = mail.outbox[-1].body
        code = next(
            word for word in text.split() if word[4:5] == "-" and len(word) == 9
        )
        assert FIELD in client.post("/forgot-password/code", {"code": code}).text


class TestCodes:
    @pytest.mark.sqlite
    def test_the_right_code_lets_the_link_set_the_password(
        self, client, app, user, raw
    ):
        assert save(client, raw, code_of(app)).status_code == 302
        assert is_reset(user)

    def test_spaces_and_full_width_digits_are_forgiven(self, client, app, user, raw):
        code = code_of(app)
        wide = "".join(chr(ord(digit) + 0xFEE0) for digit in code)
        assert save(client, raw, f" {wide[:3]} {wide[3:]} ").status_code == 302

    @pytest.mark.sqlite
    @pytest.mark.parametrize("code", [None, "", "  ", "wrong", "x" * 65, "½", "\x00"])
    def test_without_the_right_one_the_password_stays(
        self, client, app, user, raw, code
    ):
        page = save(client, raw, code)
        assert page.status_code == 200
        assert 'id="id_second_factor_error"' in page.text
        assert not is_reset(user)

    @pytest.mark.parametrize(
        "code", ["-1", "1e5", "1_0_0", "٠" * 6, "🙂" * 6, "%s", "' OR 1=1 --", "nan"]
    )
    def test_an_odd_code_is_a_wrong_one(self, client, app, user, raw, code):
        recovery_codes(user, "abcd2345")
        page = save(client, raw, code)
        assert (page.status_code, "This code is not right" in page.text) == (200, True)

    def test_a_wrong_code_never_burns_the_link(self, client, app, user, raw):
        page = save(client, raw, wrong_code_of(app)).text
        assert "This code is not right" in page
        assert page.count('role="alert"') == 2
        with time_machine.travel(timezone.now() + timedelta(seconds=60)):
            assert save(client, raw, code_of(app)).status_code == 302
        assert is_reset(user)

    def test_after_a_wrong_code_the_empty_passwords_are_asked_for(
        self, client, app, raw
    ):
        page = save(client, raw, wrong_code_of(app)).text
        assert "in both fields once more" in page
        assert page.index('id="id_new_password1_error"') < page.index(FIELD)

    def test_a_code_of_another_account_is_none(self, client, app, raw, ada):
        assert save(client, raw, code_of(totp(ada))).status_code == 200

    def test_a_device_that_is_not_confirmed_is_none(self, client, user, raw):
        totp(user, confirmed=False)
        assert save(client, raw).status_code == 302

    def test_one_set_up_while_the_form_was_open_is_asked_for(self, client, user, raw):
        look(client, raw)
        totp(user)
        page = save(client, raw)
        assert FIELD in page.text
        assert not is_reset(user)

    def test_the_app_stays_and_nobody_is_logged_in(self, client, app, user, raw):
        save(client, raw, code_of(app))
        after = TOTPDevice.objects.get()
        assert (after.key, after.confirmed, after.user) == (app.key, True, user)
        assert "_auth_user_id" not in client.session


class TestTogether:
    @pytest.mark.sqlite
    def test_a_refused_password_does_not_use_the_code_up(self, client, app, user, raw):
        code = code_of(app)
        page = save(client, raw, code, WEAK).text
        assert 'id="id_new_password1_error"' in page
        assert 'id="id_second_factor_error"' not in page
        assert f'value="{code}"' in page
        assert PasswordResetToken.objects.get().second_factor_tries == 0
        assert save(client, raw, code).status_code == 302

    @pytest.mark.parametrize(
        ("password", "again"), [(WEAK, WEAK), ("", ""), (NEW_PASSWORD, "another")]
    )
    def test_what_is_wrong_with_both_is_said_at_once(
        self, client, app, raw, password, again
    ):
        page = save(client, raw, "", password, again).text
        assert 'id="id_new_password1_error"' in page
        assert "Enter your verification code." in page

    def test_two_passwords_that_differ_do_not_use_it_up(self, client, app, raw):
        code = code_of(app)
        save(client, raw, code, again="another")
        assert save(client, raw, code).status_code == 302


class TestRecoveryCodes:
    @pytest.mark.sqlite
    @pytest.mark.parametrize("typed", ["abcd2345", "ABCD 2345", " abcd-2345 "])
    def test_a_recovery_code_works_once(self, client, app, user, raw, typed):
        recovery_codes(user, "abcd2345", "other234")
        assert save(client, raw, typed).status_code == 302
        assert [each.token for each in StaticToken.objects.all()] == ["other234"]
        app.refresh_from_db()
        assert app.throttling_failure_count == 0

    def test_one_in_capitals_with_dashes_works_as_it_is(self, client, user, raw):
        recovery_codes(user, "AB-CD-23")
        assert save(client, raw, "AB-CD-23").status_code == 302

    def test_one_is_used_up_even_where_the_reset_fails(
        self, client, user, raw, settings
    ):
        recovery_codes(user, "abcd2345", "other234")
        settings.PASSWORD_RESET_REVOKERS = [lambda user: 1 // 0]
        assert save(client, raw, "abcd2345").status_code == 503
        settings.PASSWORD_RESET_REVOKERS = []
        assert save(client, raw, "abcd2345").status_code == 200
        with time_machine.travel(timezone.now() + timedelta(seconds=5)):
            assert save(client, raw, "other234").status_code == 302


class TestDevicesThatSendFirst:
    def test_an_email_device_of_the_same_mailbox_is_none(self, client, user, raw):
        EmailDevice.objects.create(user=user, email=user.email.upper())
        EmailDevice.objects.create(user=user)
        assert save(client, raw).status_code == 302

    def test_one_of_another_mailbox_is_asked_for_and_cannot_be_typed(
        self, client, user, raw
    ):
        device = EmailDevice.objects.create(user=user, email="other@example.com")
        device.generate_token()
        assert "does not work on this page" in look(client, raw).text
        assert save(client, raw, device.token).status_code == 200
        device.refresh_from_db()
        assert device.throttling_failure_count == 0
        assert not is_reset(user)

    def test_beside_an_app_the_app_is_enough(self, client, app, user, raw):
        EmailDevice.objects.create(user=user, email="other@example.com")
        assert save(client, raw, code_of(app)).status_code == 302


class TestGuessing:
    @pytest.fixture(autouse=True)
    def unthrottled(self, settings):
        settings.OTP_TOTP_THROTTLE_FACTOR = 0

    @pytest.mark.sqlite
    def test_an_account_has_five_codes_an_hour_whatever_the_link(
        self, client, app, user, settings
    ):
        links = [mailed_token(client, user.email) for _ in range(2)]
        wrong = wrong_code_of(app)
        statuses = [save(Client(), links[n % 2], wrong).status_code for n in range(6)]
        assert statuses == [200] * 5 + [429]
        answer = save(Client(), links[1], code_of(app))
        assert answer.status_code == 429
        assert int(answer["Retry-After"]) > 0
        assert not is_reset(user)

    def test_in_the_next_hour_the_link_still_works(self, client, app, user, settings):
        settings.PASSWORD_RESET_TOKEN_LIFETIME = timedelta(hours=3)
        raw = mailed_token(client, user.email)
        for _ in range(6):
            save(client, raw, wrong_code_of(app))
        with time_machine.travel(timezone.now() + timedelta(hours=1, minutes=1)):
            assert save(client, raw, code_of(app)).status_code == 302

    def test_no_stranger_can_use_them_up(self, client, app, user, raw):
        for number in range(9):
            save(Client(), f"{number:064x}", "000000")
        assert save(client, raw, code_of(app)).status_code == 302

    def test_those_of_one_account_are_not_those_of_another(self, client, app, raw, ada):
        for _ in range(6):
            save(client, raw, wrong_code_of(app))
        other = totp(ada)
        link = mailed_token(client, ada.email)
        assert save(client, link, code_of(other)).status_code == 302

    def test_a_missing_code_counts_as_none(self, client, app, raw):
        for _ in range(9):
            save(client, raw, "")
        assert save(client, raw, code_of(app)).status_code == 302

    def test_fifty_guesses_at_once_are_five(self, app, raw):
        acts = [lambda: reset(raw, wrong_code_of(app))] * 50
        at_once(acts)
        assert PasswordResetToken.objects.get().second_factor_tries <= 5

    def test_what_nobody_counts_is_not_taken(self, client, app, user, raw, settings):
        settings.RATELIMIT_USE_CACHE = "dead"
        settings.CACHES = {
            **settings.CACHES,
            "dead": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": "redis://127.0.0.1:1/0",
            },
        }
        assert save(client, raw, code_of(app)).status_code == 503
        assert not is_reset(user)

    def test_what_an_app_that_is_throttled_asks_for_is_a_wait(
        self, client, app, user, raw, settings
    ):
        settings.OTP_TOTP_THROTTLE_FACTOR = 100
        save(client, raw, wrong_code_of(app))
        answer = save(client, raw, code_of(app))
        assert answer.status_code == 429
        assert 90 <= int(answer["Retry-After"]) <= 101
        assert not is_reset(user)

    @pytest.mark.parametrize(
        ("right", "of"), [(3, 10**6), (1, 10**6), (10, 10**8), (10, 32**8)]
    )
    def test_the_chance_of_a_guess_is_that_of_the_docs(self, right, of):
        assert conf.second_factor_rate == ("5/h", "10/d")
        assert TOTPDevice(key="00").tolerance == 1
        text = (ROOT / "docs" / "security.md").read_text()
        assert f"| {right} in {of:,} | 1 in {of // (10 * right):,} |" in text

    def test_of_forty_guesses_five_are_judged(self, app, user, raw, settings):
        guesses = [f"{code:06d}" for code in range(50) if code != int(code_of(app))]
        results = [attempt(raw, guess) for guess in guesses[:40]]
        assert results.count("invalid") == 5
        assert results[5:] == ["limited"] * 35


class TestOutage:
    @pytest.mark.parametrize("adapter", [tools.Broken, tools.Forgetful])
    def test_where_nobody_knows_who_has_one_all_wait(
        self, client, user, raw, settings, adapter
    ):
        settings.PASSWORD_RESET_SECOND_FACTOR = adapter
        for answer in (look(client, raw), save(client, raw)):
            assert answer.status_code == 503
            assert answer["Retry-After"] == "60"
        settings.PASSWORD_RESET_SECOND_FACTOR = ADAPTER
        assert save(client, raw).status_code == 302

    @pytest.mark.parametrize("adapter", [tools.BrokenLater, tools.TakesAll])
    def test_a_code_that_cannot_be_judged_opens_nothing(
        self, client, user, raw, settings, adapter
    ):
        settings.PASSWORD_RESET_SECOND_FACTOR = adapter
        assert save(client, raw, "738241").status_code == 503
        assert not is_reset(user)
        settings.PASSWORD_RESET_SECOND_FACTOR = None
        assert save(client, raw).status_code == 302

    def test_the_log_says_what_failed_and_not_the_code(
        self, client, user, raw, settings, caplog
    ):
        settings.PASSWORD_RESET_SECOND_FACTOR = tools.BrokenLater
        save(client, raw, "738241")
        assert "The second factor cannot be checked: ValueError" in caplog.text
        assert "738241" not in caplog.text
        assert NEW_PASSWORD not in caplog.text

    def test_the_tables_of_the_package_are_not_there(self, client, user, raw):
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE otp_totp_totpdevice RENAME TO away")
        try:
            assert save(client, raw).status_code == 503
        finally:
            with connection.cursor() as cursor:
                cursor.execute("ALTER TABLE away RENAME TO otp_totp_totpdevice")
        assert save(client, raw).status_code == 302

    def test_the_code_of_an_email_is_not_lost(self, client, user, settings):
        settings.PASSWORD_RESET_CODES = True
        settings.PASSWORD_RESET_SECOND_FACTOR = tools.Broken
        ask(client, user.email)
        text = mail.outbox[-1].body
        code = next(
            word for word in text.split() if word[4:5] == "-" and len(word) == 9
        )
        page = client.post("/forgot-password/code", {"code": code})
        assert page.status_code == 200
        assert FIELD in page.text


def reset(raw, code="", password=NEW_PASSWORD):
    return services.reset_password(
        raw, password, ip_address=None, user_agent="", second_factor=code
    )


def attempt(raw, code):
    try:
        reset(raw, code)
    except services.SecondFactorError as error:
        return error.reason
    except RateLimited:
        return "limited"
    return "reset"


@pytest.mark.sqlite
def test_of_fifty_posts_with_one_code_one_resets(app, user, raw):
    code = code_of(app)
    results = at_once([lambda: reset(raw, code) for _ in range(50)])
    assert sum(isinstance(each, services.ResetResult) for each in results) == 1
    assert is_reset(user)


def test_of_two_links_with_one_code_one_resets(client, app, user):
    links = [mailed_token(client, user.email) for _ in range(2)]
    code = code_of(app)
    results = at_once([lambda raw=raw: reset(raw, code) for raw in links])
    assert sum(isinstance(each, services.ResetResult) for each in results) == 1


def test_a_service_is_told_what_is_missing(app, raw, user):
    with pytest.raises(services.SecondFactorError) as caught:
        reset(raw)
    assert caught.value.reason == "required"
    with pytest.raises(services.SecondFactorError) as caught:
        reset(raw, wrong_code_of(app))
    assert caught.value.reason == "invalid"
    user.refresh_from_db()
    assert user.check_password(OLD_PASSWORD)


class TestJson:
    def test_verify_says_whether_a_code_is_asked(self, client, user, raw):
        answer = call(client, "verify-reset-token", {"token": raw})
        assert answer.json()["second_factor"] is False
        totp(user)
        answer = call(client, "verify-reset-token", {"token": raw})
        assert answer.json()["second_factor"] is True

    def test_without_the_setting_clients_see_no_change(self, client, raw, settings):
        settings.PASSWORD_RESET_SECOND_FACTOR = None
        answer = call(client, "verify-reset-token", {"token": raw})
        assert set(answer.json()) == {"valid", "expires_at"}

    def test_a_reset_takes_the_code(self, client, app, user, raw):
        body = {"token": raw, "password": NEW_PASSWORD, "second_factor": code_of(app)}
        assert call(client, "reset-password", body).status_code == 200
        assert is_reset(user)

    @pytest.mark.parametrize(
        ("member", "code"),
        [
            ({}, "second_factor_required"),
            ({"second_factor": ""}, "second_factor_required"),
            ({"second_factor": " "}, "second_factor_required"),
            ({"second_factor": "wrong"}, "second_factor_invalid"),
            ({"second_factor": None}, "invalid_request"),
            ({"second_factor": 123456}, "invalid_request"),
            ({"second_factor": ["123456"]}, "invalid_request"),
            ({"second_factor": "1" * 65}, "invalid_request"),
            ({"second_factor": "\x00"}, "invalid_request"),
        ],
    )
    def test_without_it_a_problem_says_so(self, client, app, user, raw, member, code):
        body = {"token": raw, "password": NEW_PASSWORD, **member}
        answer = call(client, "reset-password", body)
        assert (answer.status_code, answer.json()["code"]) == (400, code)
        assert not is_reset(user)

    def test_the_password_is_judged_first(self, client, app, raw):
        body = {"token": raw, "password": WEAK, "second_factor": "wrong"}
        answer = call(client, "reset-password", body)
        assert answer.json()["code"] == "weak_password"
        assert PasswordResetToken.objects.get().second_factor_tries == 0

    def test_an_outage_is_an_outage(self, client, raw, settings):
        settings.PASSWORD_RESET_SECOND_FACTOR = tools.Broken
        answer = call(client, "verify-reset-token", {"token": raw})
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")

    @pytest.mark.parametrize("adapter", [ADAPTER, tools.Broken])
    def test_a_code_of_an_email_says_so_too(self, client, app, user, settings, adapter):
        settings.PASSWORD_RESET_CODES = True
        settings.PASSWORD_RESET_SECOND_FACTOR = adapter
        call(client, "request-password-reset", {"email": user.email})
        text = mail.outbox[-1].body
        code = next(
            word for word in text.split() if word[4:5] == "-" and len(word) == 9
        )
        body = {"email": user.email, "code": code}
        assert call(client, "verify-reset-code", body).json()["second_factor"] is True


class TestStaff:
    def test_the_row_says_what_was_typed_and_when_it_passed(self, client, app, raw):
        save(client, raw, "wrong")
        row = PasswordResetToken.objects.get()
        assert (row.second_factor_tries, row.second_factor_at) == (1, None)
        save(client, raw, code_of(app))
        row.refresh_from_db()
        assert row.second_factor_tries == 2
        assert abs(row.second_factor_at - row.used_at) < timedelta(seconds=5)

    def test_the_page_of_a_link_says_it_in_words(self, client, app, user, raw):
        page = f"{TOKENS}{PasswordResetToken.objects.get().pk}/change/"
        staff = superuser()
        assert "not asked for" in staff.get(page).text
        save(client, raw, "wrong")
        assert "asked for; 1 code was typed, and none was right" in staff.get(page).text
        save(client, raw, code_of(app))
        assert "passed at" in staff.get(page).text

    def test_the_explanation_says_it_too(self, client, app, user, raw):
        def why():
            page = superuser().get(
                "/admin/password_reset/passwordresetrequest/why/", {"q": user.email}
            )
            return " ".join(page.text.split())

        assert "A link asks for a second factor" in why()
        for _ in range(5):
            save(client, raw, "wrong")
        assert "5 codes were typed, and none was right" in why()
        assert "none is taken until" in why()

    def test_an_outage_is_said(self, user, settings):
        settings.PASSWORD_RESET_SECOND_FACTOR = tools.Broken
        page = superuser().get(
            "/admin/password_reset/passwordresetrequest/why/", {"q": user.email}
        )
        assert "The second factor cannot be checked" in page.text


class TestTraces:
    def test_a_refusal_is_logged_and_announced_without_the_code(
        self, client, app, user, raw, caplog
    ):
        heard = []

        def hear(reason, **rest):
            heard.append(reason)

        reset_rejected.connect(hear)
        with caplog.at_level(logging.INFO, "password_reset"):
            save(client, raw, "wr0ng-c0de")
            save(client, raw, code_of(app))
        reset_rejected.disconnect(hear)
        messages = {"Invalid second factor attempt", "Second factor passed"}
        told = [one for one in caplog.records if one.message in messages]
        assert [one.userId for one in told] == [str(user.pk)] * 2
        assert heard == ["second_factor"]
        assert not [one for one in caplog.records if "wr0ng-c0de" in str(vars(one))]

    def test_a_reset_tells_its_receivers(self, client, app, raw):
        heard = []

        def hear(token, **rest):
            heard.append(token.second_factor_at)

        reset_completed.connect(hear)
        save(client, raw, code_of(app))
        reset_completed.disconnect(hear)
        assert heard[0] is not None

    def test_no_row_and_no_key_of_the_cache_holds_a_code(self, client, app, raw):
        code = code_of(app)
        save(client, raw, code)
        with connection.cursor() as cursor:
            cursor.execute("SELECT t::text FROM password_reset_tokens t")
            digits = [row.replace(".", "") for (row,) in cursor.fetchall()]
        assert not [row for row in digits if f",{code}," in row]
        assert not [key for key in cache.keys("*") if code in key]


def test_a_token_is_told_of_in_the_email_s_way(client, app, user):
    """The email says nothing of it: who only reads the mailbox learns no more."""
    raw = mailed_token(client, user.email)
    assert "factor" not in mail.outbox[-1].body
    assert token_in(mail.outbox[-1].body) == raw
