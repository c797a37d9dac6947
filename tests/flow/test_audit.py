"""The export of what happened to accounts."""

import csv
import io
import json
import stat
import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core import mail
from django.core.management import CommandError, call_command
from django.utils import timezone

from password_reset import audit, invitations, services
from password_reset.audit_formats import COLUMNS, harmless
from password_reset.models import PasswordResetNotice, PasswordResetRequest
from tests.tools.walk import TOKEN, ask, spend

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

DAY = timedelta(days=1)


def export(*arguments, since="2020-01-01"):
    out = io.StringIO()
    call_command("export_reset_events", f"--since={since}", *arguments, stdout=out)
    return out.getvalue()


def events(*arguments, **options):
    return [json.loads(line) for line in export(*arguments, **options).splitlines()]


def rows(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


@pytest.fixture
def newcomer(user):
    user.set_unusable_password()
    user.save()
    return user


@pytest.fixture
def reset(client, user, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        token = None
        ask(client, user.email, REMOTE_ADDR="192.0.2.7", HTTP_USER_AGENT="Firefox")
    token = TOKEN.search(mail.outbox[-1].body)[1]
    with django_capture_on_commit_callbacks(execute=True):
        spend(client, token)
    return user


def test_a_reset_is_three_events(reset):
    found = [(one["activity_id"], one["status"], one["message"]) for one in events()]
    assert found == [
        (4, "Requested", "A reset link was asked for"),
        (4, "Mailed", "The email was sent"),
        (3, "Success", "The password was changed by a link"),
    ]


def test_a_forced_reset_is_in_it_with_what_became_of_the_email(
    user, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        services.force_reset([user.pk])
    found = [(one["activity_id"], one["status"], one["message"]) for one in events()]
    assert found == [
        (4, "Success", "The site ended the password"),
        (4, "Mailed", "The email was sent"),
    ]
    assert {one["user"]["uid"] for one in events()} == {str(user.pk)}


def said():
    return [(e["activity_name"], e["status"], e["message"]) for e in events()]


def test_an_invitation_is_in_it_until_it_is_accepted(
    client, newcomer, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        invitations.send_invitation(newcomer)
    with django_capture_on_commit_callbacks(execute=True):
        spend(client, TOKEN.search(mail.outbox[-1].body)[1])
    assert said() == [
        ("Password Change", "Success", "The password was changed by a link"),
        ("Invitation", "Requested", "The site asked for a first password to be chosen"),
        ("Invitation", "Mailed", "The email was sent"),
        ("Invitation", "Success", "A first password was chosen by the invitation"),
    ]


def test_an_invitation_that_is_sent_again_is_another_event(newcomer):
    invitations.send_invitation(newcomer)
    first = [one["metadata"]["uid"] for one in events()]
    invitations.void_invitation(newcomer)
    with time_machine.travel(timezone.now() + timedelta(days=2)):
        invitations.send_invitation(newcomer)
        again = [one["metadata"]["uid"] for one in events()]
    assert len(first) == len(again) == 1
    assert first != again


def test_a_voided_invitation_says_so(newcomer):
    invitations.send_invitation(newcomer)
    invitations.void_invitation(newcomer)
    assert [(one[0], one[1]) for one in said()] == [
        ("Invitation", "Requested"),
        ("Invitation", "Failure"),
        ("Invitation Voided", "Success"),
    ]


def test_an_event_is_an_account_change_of_ocsf(reset):
    """The attributes that the class requires, by ocsf-schema 1.1.0."""
    changed = events()[-1]
    assert (changed["class_uid"], changed["category_uid"]) == (3001, 3)
    assert changed["type_uid"] == 300103
    assert changed["severity_id"] == 1
    assert changed["metadata"]["version"] == "1.1.0"
    assert changed["metadata"]["product"]["vendor_name"] == "django-resetkit"
    assert changed["user"] == {
        "email_addr": reset.email,
        "type": "User",
        "type_id": 1,
        "uid": str(reset.pk),
    }
    moment = datetime.fromtimestamp(changed["time"] / 1000, tz=UTC)
    assert timezone.now() - moment < timedelta(minutes=1)


def test_an_event_says_from_where(reset):
    asked = events()[0]
    assert asked["src_endpoint"] == {"ip": "192.0.2.7"}
    assert asked["http_request"] == {"user_agent": "Firefox"}


def test_no_secret_is_in_it(client, user, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        token = "0123456789abcdef" * 4
        ask(client, f"{token}@example.com", HTTP_USER_AGENT=f"curl {token}")
    assert token not in export()
    assert token not in export("--format=csv")


FATES = {
    "given up": ({"failed_at": 1, "last_error": "crashed"}, "Failure", "crashed"),
    "nobody": ({"processed_at": 1}, "Failure", "no_account"),
    "held": (
        {"processed_at": 1, "last_error": "mailbox_limit"},
        "Failure",
        "mailbox_limit",
    ),
    "mailed": ({"processed_at": 1, "mails_sent": 1}, "Mailed", None),
}


@pytest.mark.parametrize(("fields", "status", "code"), FATES.values(), ids=FATES)
def test_what_became_of_a_request_is_an_event(fields, status, code):
    now = timezone.now()
    fields = {
        name: now if name.endswith("_at") else value for name, value in fields.items()
    }
    PasswordResetRequest.objects.create(email="ada@example.com", **fields)
    last = events()[-1]
    assert (last["status"], last.get("status_code")) == (status, code)


def test_what_waits_is_no_event_yet():
    PasswordResetRequest.objects.create(email="ada@example.com")
    assert [one["status"] for one in events()] == ["Requested"]


def test_whoever_says_it_was_not_me_is_an_event(user):
    now = timezone.now()
    PasswordResetNotice.objects.create(user=user, email=user.email, disowned_at=now)
    last = events()[-1]
    assert (last["activity_name"], last["severity"]) == ("Disowned", "High")
    assert last["type_name"] == "Account Change: Other"


def test_an_event_is_in_the_window_of_its_own_moment():
    """A request of Monday that was given up on Wednesday is an event of each day."""
    monday = timezone.now() - 9 * DAY
    PasswordResetRequest.objects.create(
        email="ada@example.com", created_at=monday, failed_at=monday + 2 * DAY
    )
    on = [
        events(
            f"--until={monday + (n + 1) * DAY:%Y-%m-%dT%H:%M:%S.%f%z}",
            since=f"{monday + n * DAY:%Y-%m-%dT%H:%M:%S.%f%z}",
        )
        for n in range(3)
    ]
    assert [[one["status"] for one in found] for found in on] == [
        ["Requested"],
        [],
        ["Failure"],
    ]


def test_exports_that_overlap_name_an_event_alike(reset):
    first, second = events(), events(since="2021-01-01")
    assert [one["metadata"]["uid"] for one in first] == [
        one["metadata"]["uid"] for one in second
    ]
    assert len({one["metadata"]["uid"] for one in first}) == len(first)


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1"]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_formula_is_a_text(text):
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", ["", "ada@example.com", "1-1", "Firefox"])
def test_a_text_stays_as_it_is(text):
    assert harmless(text) == text


def test_a_visitor_s_formula_is_one_cell_of_text():
    agent = '=cmd|"/c calc"!A1",@x\r\n"=2'
    PasswordResetRequest.objects.create(
        email="=HYPERLINK(1)@example.com", user_agent=agent
    )
    (row,) = rows(export("--format=csv"))
    assert row["user.email_addr"] == "'=HYPERLINK(1)@example.com"
    assert row["http_request.user_agent"] == f"'{agent}"


def test_a_file_only_grows(reset, tmp_path):
    path = tmp_path / "events.csv"
    for _run in range(2):
        export("--format=csv", f"--output={path}")
    text = path.read_text()
    assert len(rows(text)) == 6
    assert text.count(COLUMNS[-2]) == 1
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_memory_stays_flat(monkeypatch):
    PasswordResetRequest.objects.bulk_create(
        PasswordResetRequest(email=f"{n}@example.com", user_agent="x" * 400)
        for n in range(6000)
    )
    monkeypatch.setattr(audit, "CHUNK", 200)
    now = timezone.now()

    def peak(count):
        tracemalloc.start()
        found = audit.events(now - DAY, now + DAY)
        taken = sum(1 for _event, _n in zip(found, range(count), strict=False))
        size = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return taken, size

    (_few, small), (many, large) = peak(300), peak(6000)
    assert many == 6000
    assert large < 2 * small


def test_rows_of_one_moment_are_all_read(monkeypatch):
    monkeypatch.setattr(audit, "CHUNK", 2)
    now = timezone.now()
    PasswordResetRequest.objects.bulk_create(
        PasswordResetRequest(email=f"{n}@example.com", created_at=now) for n in range(7)
    )
    found = audit.events(now, now + DAY)
    assert len({one["user"]["email_addr"] for one in found}) == 7


@pytest.mark.parametrize("since", ["yesterday", "2026-13-01", "", "2026-02-30T00:00"])
def test_what_is_no_time_is_refused(since):
    with pytest.raises(CommandError, match="is not a time"):
        export(since=since)


def test_a_window_that_ends_before_it_begins_is_refused():
    with pytest.raises(CommandError, match="not before"):
        export("--until=2019-01-01")


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(CommandError, match="Is a directory"):
        export(f"--output={tmp_path}")


def test_the_export_changes_nothing(reset):
    before = services.backlog(), PasswordResetRequest.objects.count()
    export()
    assert (services.backlog(), PasswordResetRequest.objects.count()) == before
