"""Invitations: a link that sets the first password, and nothing else."""

import io
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from password_reset import services, tokens, users, worker
from password_reset.campaigns import PasswordResetCampaign, PasswordResetInvitation
from password_reset.mail_connection import MailConnection
from password_reset.models import PasswordResetNotice, PasswordResetToken
from password_reset.purposes import Purpose
from password_reset.signals import user_invited
from tests.tools.factories import NEW_PASSWORD, UserFactory
from tests.tools.staff import committed, link_of
from tests.tools.walk import ask, call, look, spend, token_in

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]

WEEK = timedelta(days=7)


def newcomer(**fields):
    """Return a user as an import makes one: without a password, and never logged in."""
    user = UserFactory(**fields)
    user.password = fields.get("password", "!none")
    user.save(update_fields=["password"])
    return user


@pytest.fixture
def new(db):
    return newcomer(email="new@example.com", first_name="Nia")


def invite(user, **options):
    """Invite a user and return the secret of the link that comes."""
    with committed():
        services.send_invitation(user, **options)
    return token_in(mail.outbox[-1].body)


def state(user):
    return PasswordResetInvitation.objects.get(user=user)


def invite_users(*arguments, **options):
    """Run the command and return what it says."""
    said = io.StringIO()
    with committed():
        call_command("invite_users", *arguments, stdout=said, stderr=said, **options)
    return said.getvalue()


def test_an_invited_user_sets_a_first_password_and_logs_in(client, new):
    raw = invite(new, invited_by="import")
    assert "Choose your first password" in look(client, raw).text
    assert spend(client, raw).status_code == 302
    assert Client().login(username=new.email, password=NEW_PASSWORD)
    assert state(new).accepted_at
    assert PasswordResetNotice.objects.filter(user=new).exists()


def test_the_email_says_who_invites_what_happens_and_when_it_ends(new, settings):
    settings.PASSWORD_RESET_SUPPORT_EMAIL = "help@example.com"
    settings.PASSWORD_RESET_APP_NAME = "The Library"
    invite(new.pk)
    message = mail.outbox[0]
    html = message.alternatives[0][0]
    assert message.to == ["new@example.com"]
    assert message.subject == "Your account at The Library: choose a password"
    for text in (message.body, html):
        assert "The Library has made an account for you (new@example.com)" in text
        assert "works once, for 7 days" in text
        assert "help@example.com" in text
        assert "Hello Nia," in text


@pytest.mark.parametrize(
    ("field", "name"),
    [
        (None, "new@example.com"),
        ("first_name", "Nia"),
        ("last_name", "new@example.com"),  # which she has not
    ],
)
def test_email_and_form_say_what_is_typed_to_log_in(client, settings, field, name):
    settings.PASSWORD_RESET_LOGIN_FIELD = field
    raw = invite(newcomer(email="new@example.com", first_name="Nia", last_name=""))
    message = mail.outbox[-1]
    assert f"Afterwards you log in with: {name}" in message.body
    assert f"<bdi>{name}</bdi>" in message.alternatives[0][0]
    page = look(client, raw).text
    assert f"<bdi>{name}</bdi>" in page
    assert f'name="username" value="{name}" autocomplete="username"' in page


@time_machine.travel("2027-01-15 14:10:00Z", tick=False)
def test_an_invitation_works_for_its_own_lifetime(client, new, settings):
    settings.PASSWORD_RESET_INVITATION_LIFETIME = timedelta(days=3)
    raw = invite(new)
    with time_machine.travel("2027-01-18 14:09:59Z", tick=False):
        assert look(client, raw).status_code == 200
    with time_machine.travel("2027-01-18 14:10:00Z", tick=False):
        assert look(client, raw).status_code == 410


def test_an_expired_invitation_says_whom_to_ask_and_sends_a_new_one(
    client, new, settings
):
    settings.PASSWORD_RESET_APP_NAME = "The Library"
    raw = invite(new)
    PasswordResetToken.objects.update(expires_at=timezone.now())
    page = look(client, raw)
    assert page.status_code == 410
    assert "This invitation has expired" in page.text
    assert "your account at The Library is still there" in page.text
    assert "ask whoever invited you to The Library" in page.text
    with committed():
        client.post("/forgot-password", {"token": raw})
    fresh = token_in(mail.outbox[-1].body)
    assert mail.outbox[-1].subject == mail.outbox[0].subject
    assert spend(client, fresh).status_code == 302


def test_who_lost_the_email_asks_for_a_link_as_everybody_does(client, new):
    invite(new)
    raw = link_of(client, new.email)
    assert PasswordResetToken.objects.last().purpose == Purpose.INVITATION
    assert spend(client, raw).status_code == 302


def test_an_invitation_is_used_once(client, new):
    raw = invite(new)
    assert spend(client, raw).status_code == 302
    assert spend(client, raw, "another-pass-phrase-of-mine").status_code == 410
    new.refresh_from_db()
    assert new.check_password(NEW_PASSWORD)


def test_an_invitation_never_replaces_a_password(client, new):
    raw = invite(new)
    new.set_password(NEW_PASSWORD)
    new.save()
    # As if the fingerprint were of the account as it is now.
    PasswordResetToken.objects.update(
        fingerprint=tokens.fingerprint(*users.identity(new), purpose="invitation")
    )
    assert look(client, raw).status_code == 410
    assert spend(client, raw, "another-pass-phrase-of-mine").status_code == 410
    new.refresh_from_db()
    assert new.check_password(NEW_PASSWORD)


def test_a_reset_link_is_no_invitation(client, new, ada):
    raw = link_of(client, ada.email)
    ada.set_unusable_password()
    ada.save()
    PasswordResetToken.objects.update(
        purpose=Purpose.INVITATION,
        fingerprint=tokens.fingerprint(*users.identity(ada)),
    )
    assert spend(client, raw).status_code == 410


def test_an_invitation_is_no_reset_link(client, new):
    raw = invite(new)
    PasswordResetToken.objects.update(purpose=Purpose.RESET)
    assert spend(client, raw).status_code == 410


def test_an_invitation_of_one_opens_nothing_for_another(client, new):
    raw = invite(new)
    other = newcomer()
    PasswordResetToken.objects.update(user=other)
    assert spend(client, raw).status_code == 410
    other.refresh_from_db()
    assert not other.has_usable_password()


@pytest.mark.parametrize(
    "change", [{"email": "moved@example.com"}, {"is_active": False}]
)
def test_an_invitation_dies_with_a_change_of_the_account(client, change, new):
    raw = invite(new)
    type(new).objects.filter(pk=new.pk).update(**change)
    assert look(client, raw).status_code == 410
    assert spend(client, raw).status_code == 410


def test_the_api_takes_an_invitation_for_a_first_password(client, new):
    raw = invite(new)
    answer = call(client, "reset-password", {"token": raw, "password": NEW_PASSWORD})
    assert answer.status_code == 200
    assert state(new).accepted_at


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"is_active": False}, "inactive"),
        ({"email": ""}, "no_address"),
        ({"password": "md5$x$y"}, "has_password"),
        ({"password": users.MUST_RESET + "x"}, "must_reset"),
        ({"last_login": timezone.now()}, "has_logged_in"),
    ],
)
def test_who_cannot_be_invited_is_refused_with_a_reason(fields, reason):
    with pytest.raises(services.InvitationRefused) as refused:
        services.send_invitation(newcomer(**fields))
    assert refused.value.reason == reason
    assert not PasswordResetInvitation.objects.exists()


def test_who_has_logged_in_is_invited_where_everybody_may_set_a_password(settings):
    settings.PASSWORD_RESET_ACCOUNTS_WITHOUT_PASSWORD = "invite"
    invite(newcomer(last_login=timezone.now()))


def test_one_that_waits_is_not_asked_for_again(new, settings):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    services.send_invitation(new)
    with pytest.raises(services.InvitationRefused, match="waiting"):
        services.send_invitation(new)
    services.process_due()
    assert len(mail.outbox) == 1


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"is_active": False}, "inactive"),
        ({"email": ""}, "no_address"),
        ({"password": "md5$x$y"}, "has_password"),
    ],
)
def test_what_has_changed_before_the_email_leaves_stops_it(change, code, new, settings):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    services.send_invitation(new)
    type(new).objects.filter(pk=new.pk).update(**change)
    services.process_due()
    assert mail.outbox == []
    assert (state(new).last_error, state(new).mails_sent) == (code, 0)


def test_an_email_follows_a_new_address(new, settings):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    services.send_invitation(new)
    type(new).objects.filter(pk=new.pk).update(email="moved@example.com")
    services.process_due()
    assert mail.outbox[0].to == ["moved@example.com"]


def test_a_resend_sends_another_link_and_the_first_still_works(client, new):
    first, second = invite(new), invite(new)
    assert first != second
    assert look(client, first).status_code == look(client, second).status_code == 200
    assert PasswordResetInvitation.objects.count() == 1


def test_a_void_invitation_opens_nothing_and_is_not_renewed(client, new):
    raw = invite(new)
    assert services.void_invitation(new)
    assert not services.void_invitation(new)
    assert look(client, raw).status_code == 410
    with committed():
        client.post("/forgot-password", {"token": raw})
    assert mail.outbox[-1].subject.startswith("How to log in")


def test_one_that_is_voided_while_a_worker_has_it_opens_nothing(client, new, settings):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    services.send_invitation(new)
    (job,) = worker._jobs(worker.INVITATIONS, worker.INVITATIONS.claim(1))
    services.void_invitation(new)
    worker._work(job, MailConnection())
    raw = token_in(mail.outbox[-1].body)
    assert look(client, raw).status_code == 410
    assert spend(client, raw).status_code == 410
    assert state(new).voided_at


def test_a_void_invitation_that_waits_is_never_sent(new, settings):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    services.send_invitation(new)
    services.void_invitation(new)
    services.process_due()
    assert mail.outbox == []


def test_a_signal_names_the_invitation(new):
    heard = []

    def hear(row, **kwargs):
        heard.append(row.user_id)

    user_invited.connect(hear)
    invite(new)
    user_invited.disconnect(hear)
    assert heard == [new.pk]


def test_a_worker_that_died_after_the_email_does_not_send_it_again(new):
    invite(new)
    PasswordResetInvitation.objects.update(
        processed_at=None, mails_sent=0, next_attempt_at=timezone.now()
    )
    services.process_due()
    assert len(mail.outbox) == 1
    assert state(new).mails_sent == 1


class TestCommand:
    """`manage.py invite_users`."""

    def test_it_invites_by_key_address_and_file(self, tmp_path):
        one, two, three = newcomer(), newcomer(), newcomer()
        file = tmp_path / "people.txt"
        file.write_text(f"# the new ones\n{three.email.upper()}\n\n{one.pk}\n")
        said = invite_users(str(one.pk), two.email, file=str(file))
        assert said == "Invited 3 people.\n"
        assert {message.to[0] for message in mail.outbox} == {
            one.email,
            two.email,
            three.email,
        }

    def test_everybody_without_a_password_is_those_who_can_be_invited(self, user):
        fit = newcomer()
        newcomer(is_active=False)
        newcomer(email="")
        newcomer(last_login=timezone.now())
        newcomer(password=users.MUST_RESET + "x")
        assert invite_users("--without-password") == "Invited 1 person.\n"
        assert mail.outbox[0].to == [fit.email]

    def test_again_it_invites_nobody_twice(self):
        newcomer()
        invite_users("--without-password")
        said = invite_users("--without-password")
        assert "Invited 0 people." in said
        assert "1 person invited before: see --resend" in said
        assert len(mail.outbox) == 1

    def test_a_resend_is_done_once_a_day(self):
        newcomer()
        invite_users("--without-password")
        invite_users("--without-password", "--resend")
        assert len(mail.outbox) == 2
        with pytest.raises(CommandError, match="within a day: nothing is done"):
            invite_users("--without-password", "--resend")
        assert len(mail.outbox) == 2

    def test_a_dry_run_says_the_same_and_changes_nothing(self, user):
        newcomer()
        said = invite_users("--without-password", user.email, "--dry-run")
        assert "Would invite 1 person." in said
        assert "Not invited: 1 person with a password." in said
        assert not PasswordResetInvitation.objects.exists()

    def test_who_is_unknown_stops_it_unless_ignored(self, new):
        with pytest.raises(CommandError, match=r"1 of 2 name no user: who@example.com"):
            invite_users(new.email, "who@example.com")
        assert not PasswordResetInvitation.objects.exists()
        assert "Invited 1 person" in invite_users(
            new.email, "who@example.com", "--ignore-unknown"
        )

    @pytest.mark.parametrize("arguments", [(), ("--file", "/no/such/file")])
    def test_nobody_and_a_file_that_is_not_there_are_errors(self, arguments):
        with pytest.raises(CommandError):
            invite_users(*arguments)

    @pytest.mark.parametrize("rate", ["0/s", "fast", "5/y", "-1/s"])
    def test_a_rate_that_is_none_is_refused(self, rate):
        with pytest.raises(CommandError, match="is not a rate"):
            invite_users("--without-password", f"--rate={rate}")

    def test_switched_off_it_invites_nobody(self, new, settings):
        settings.PASSWORD_RESET_ENABLED = False
        with pytest.raises(CommandError, match="switched off"):
            invite_users(new.email)

    def test_the_pace_and_who_ran_it_are_kept(self, new):
        invite_users(new.email, "--rate", "600/m")
        campaign = PasswordResetCampaign.objects.get()
        assert (campaign.rate, campaign.open_key) == (10.0, None)
        assert campaign.started_by.startswith("manage.py")


def test_a_request_for_an_invited_address_gets_the_same_answer(client, new):
    invite(new)
    known, unknown = ask(client, new.email), ask(client, "nobody@example.com")
    assert known.status_code == unknown.status_code == 302
    assert known["Location"] == unknown["Location"]
