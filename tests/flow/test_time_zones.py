"""Emails tell the time in their reader's time zone, where the host knows it."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
import time_machine
from django.core import mail
from django.utils import timezone as active

from password_reset import mailer
from password_reset.models import PasswordResetNotice, PasswordResetRequest
from tests.tools.factories import UserFactory
from tests.tools.walk import ask, mailed_token, spend

pytestmark = pytest.mark.django_db(transaction=True)

MOMENT = datetime(2026, 11, 22, 21, 41, tzinfo=UTC)
HERE = "tests.flow.test_time_zones."


def berlin(user):
    return "Europe/Berlin"


def kolkata(user):
    return ZoneInfo("Asia/Kolkata")


def kathmandu(user):
    return "Asia/Kathmandu"


def dubai(user):
    return "Asia/Dubai"


def west(user):
    return timezone(timedelta(hours=-3, minutes=-30))


def nothing(user):
    return None


def blank(user):
    return ""


def unknown(user):
    return "Europe/Atlantis"


def a_folder(user):
    return "Europe"


def a_path(user):
    return "../../etc/passwd"


def very_long(user):
    return "a" * 5000


def with_nul(user):
    return "Europe/\x00Berlin"


def a_number(user):
    return 2


def a_class(user):
    return ZoneInfo


def raises(user):
    raise RuntimeError(f"{user.email} is away")


KNOWN = [
    (berlin, "Nov. 22, 2026, 11:41 p.m. CET", "Nov. 22, 2026, 10:41 p.m. CET"),
    (kolkata, "Nov. 23, 2026, 4:11 a.m. IST", "Nov. 23, 2026, 3:11 a.m. IST"),
    (
        kathmandu,
        "Nov. 23, 2026, 4:26 a.m. UTC+05:45",
        "Nov. 23, 2026, 3:26 a.m. UTC+05:45",
    ),
    (dubai, "Nov. 23, 2026, 2:41 a.m. UTC+04", "Nov. 23, 2026, 1:41 a.m. UTC+04"),
    (
        west,
        "Nov. 22, 2026, 7:11 p.m. UTC-03:30",
        "Nov. 22, 2026, 6:11 p.m. UTC-03:30",
    ),
]
SITE = ("Nov. 22, 2026, 10:41 p.m. UTC", "Nov. 22, 2026, 9:41 p.m. UTC")
NONSENSE = [
    unknown,
    a_folder,
    a_path,
    very_long,
    with_nul,
    a_number,
    a_class,
    raises,
]


def parts(message):
    return message.body, str(message.alternatives[0][0])


def name(hook):
    return hook.__name__


@pytest.mark.sqlite
@pytest.mark.parametrize(("hook", "until", "asked"), KNOWN)
def test_the_reader_s_zone_where_the_host_knows_it(
    client, user, settings, hook, until, asked
):
    settings.PASSWORD_RESET_TIME_ZONE_OF = HERE + hook.__name__
    with time_machine.travel(MOMENT, tick=False):
        raw = mailed_token(client, user.email)
        for part in parts(mail.outbox[0]):
            assert f"until {until}." in part
            assert asked in part
            assert "10:41 p.m. UTC" not in part
        spend(client, raw)
    for part in parts(mail.outbox[1]):
        assert asked in part


@pytest.mark.parametrize("hook", [nothing, blank, *NONSENSE], ids=name)
def test_otherwise_the_site_s(client, user, settings, hook, caplog):
    settings.PASSWORD_RESET_TIME_ZONE_OF = hook
    with time_machine.travel(MOMENT, tick=False):
        ask(client, user.email)
    until, asked = SITE
    for part in parts(mail.outbox[0]):
        assert f"until {until}." in part
        assert asked in part
    said = "named no time zone" in caplog.text
    assert said == (hook in NONSENSE)
    assert f"{user.email} is away" not in caplog.text


def test_a_hook_that_is_not_there_stops_no_email(client, user, settings):
    settings.PASSWORD_RESET_TIME_ZONE_OF = "nothing.here"
    ask(client, user.email)
    assert len(mail.outbox) == 1


def test_what_the_requester_s_own_zone_is_does_not_matter(client, user):
    """Where the request itself sends, a middleware of the host may have set one."""
    with active.override("Asia/Tokyo"), time_machine.travel(MOMENT, tick=False):
        ask(client, user.email)
        assert active.get_current_timezone_name() == "Asia/Tokyo"
    assert f"until {SITE[0]}." in mail.outbox[0].body


def test_each_reader_has_their_own(client, settings):
    zones = {"ann@example.com": "Europe/Berlin", "ben@example.com": "Asia/Kolkata"}
    settings.PASSWORD_RESET_TIME_ZONE_OF = lambda user: zones[user.email]
    for address in zones:
        UserFactory(email=address)
        ask(client, address)
    said = {
        message.to[0]: ("CET" in message.body, "IST" in message.body)
        for message in mail.outbox
    }
    assert said == {"ann@example.com": (True, False), "ben@example.com": (False, True)}


@pytest.mark.parametrize(
    ("hook", "until", "asked"),
    [
        (nothing, "Nov. 22, 2026, 10:41 p.m. CET", "Nov. 22, 2026, 9:41 p.m. CET"),
        (kolkata, "Nov. 23, 2026, 3:11 a.m. IST", "Nov. 23, 2026, 2:11 a.m. IST"),
    ],
)
def test_a_site_without_time_zones_has_readers_with_one(
    settings, user, hook, until, asked
):
    settings.USE_TZ, settings.TIME_ZONE = False, "Europe/Berlin"
    settings.PASSWORD_RESET_TIME_ZONE_OF = hook
    naive = MOMENT.replace(tzinfo=None)
    caller = {"ip_address": None, "user_agent": "", "language": "en"}
    row = PasswordResetRequest(email=user.email, created_at=naive, **caller)
    message = mailer.reset_message(row, user, "0" * 64, naive + timedelta(hours=1))
    for part in parts(message):
        assert f"until {until}." in part
        assert asked in part
    explained = mailer.explanation_message(row, user)
    assert asked in explained.body
    notice = PasswordResetNotice(user=user, email=user.email, **caller)
    notice.created_at = naive
    assert asked in mailer.changed_message(notice).body
