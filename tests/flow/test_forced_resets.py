"""Passwords that the site ends: each person once, and nobody left without a way back."""

import io
import time

import pytest
import time_machine
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import is_password_usable
from django.core import mail
from django.core.management import CommandError, call_command
from django.db.models.signals import pre_save
from django.test import Client
from django.utils import timezone
from rest_framework.authtoken.models import Token

from password_reset import (
    forced_resets,
    pacing,
    people,
    revokers,
    services,
    users,
    worker,
)
from password_reset.campaigns import ForcedPasswordReset, PasswordResetCampaign
from password_reset.models import PasswordResetRequest, PasswordResetToken
from password_reset.outbox import MAX_ATTEMPTS
from password_reset.purposes import Purpose
from password_reset.signals import reset_forced
from tests.tools.factories import NEW_PASSWORD, OLD_PASSWORD, UserFactory
from tests.tools.staff import committed, link_of
from tests.tools.walk import call, look, spend, token_in

pytestmark = [pytest.mark.django_db, pytest.mark.sqlite]


def force(*arguments, **options):
    """Run the command and return what it says."""
    said = io.StringIO()
    with committed():
        call_command(
            "force_password_reset", *arguments, stdout=said, stderr=said, **options
        )
    return said.getvalue()


def without_password(**fields):
    user = UserFactory(**fields)
    user.set_unusable_password()
    user.save()
    return user


def fresh(user):
    return type(user).objects.get(pk=user.pk)


def outcome(user):
    row = ForcedPasswordReset.objects.get(user=user)
    return row.mails_sent, row.last_error


def test_the_old_password_ends_and_the_link_sets_a_new_one(client, ada):
    force(ada.email)
    assert authenticate(username=ada.email, password=OLD_PASSWORD) is None
    raw = token_in(mail.outbox[0].body)
    assert "Choose a new password" in look(client, raw).text
    assert spend(client, raw).status_code == 302
    assert authenticate(username=ada.email, password=NEW_PASSWORD) == ada


def test_the_email_is_calm_and_says_what_to_do(ada, settings):
    settings.PASSWORD_RESET_APP_NAME = "The Library"
    force(str(ada.pk))
    message = mail.outbox[0]
    assert message.subject == "Please choose a new password for The Library"
    for text in (message.body, message.alternatives[0][0]):
        assert "we have ended its password and logged everybody out" in text
        assert "works once, for 24 hours" in text
        assert "/forgot-password" in text


def test_sessions_api_tokens_and_open_links_end(client, ada):
    browser = Client()
    browser.login(username=ada.email, password=OLD_PASSWORD)
    Token.objects.create(user=ada)
    raw = link_of(client, ada.email)
    force(ada.email)
    assert browser.get("/account").status_code == 302
    assert not Token.objects.exists()
    assert look(client, raw).status_code == 410
    assert ForcedPasswordReset.objects.get().sessions_deleted == 2
    assert PasswordResetToken.objects.usable().get().purpose == Purpose.FORCED


def test_forgot_password_still_works_for_them(client, ada):
    force(ada.email)
    raw = link_of(client, ada.email)
    assert PasswordResetToken.objects.last().purpose == Purpose.RESET
    assert spend(client, raw).status_code == 302
    assert not users.must_reset(fresh(ada))


@pytest.mark.parametrize("answer", ["explain", "invite", "silent"])
def test_whatever_the_site_answers_accounts_without_a_password(
    answer, client, ada, settings
):
    settings.PASSWORD_RESET_ACCOUNTS_WITHOUT_PASSWORD = answer
    force(ada.email)
    assert spend(client, link_of(client, ada.email)).status_code == 302


def test_who_has_no_password_gets_none_and_their_sessions_end(client):
    user = without_password()
    browser = Client()
    browser.force_login(user)
    force(user.email)
    assert browser.get("/account").status_code == 302
    assert not users.must_reset(fresh(user))
    assert outcome(user) == (0, "no_password")
    with committed():
        call(client, "request-password-reset", {"email": user.email})
    assert mail.outbox[-1].subject.startswith("How to log in")


def test_an_ended_password_is_none_for_django_either(ada):
    force(ada.email)
    assert not is_password_usable(fresh(ada).password)
    assert len(fresh(ada).password) < 128


@pytest.mark.parametrize(
    ("fields", "code"),
    [({"is_active": False}, "inactive"), ({"email": ""}, "no_address")],
)
def test_who_cannot_be_mailed_is_forced_all_the_same(fields, code):
    user = UserFactory(**fields)
    force(str(user.pk))
    assert users.must_reset(fresh(user))
    assert outcome(user) == (0, code)
    assert mail.outbox == []


def test_who_has_chosen_a_new_password_meanwhile_is_not_mailed(ada, settings):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    force(ada.email)
    ada.set_password(NEW_PASSWORD)
    ada.save()
    services.process_due()
    assert mail.outbox == []
    assert outcome(ada) == (0, "has_password")


def test_no_email_leaves_before_the_password_has_ended(ada):
    kind, digest = "forced", forced_resets.selection_of([ada.pk])
    forced_resets.campaign_of(kind, digest, [ada.pk])
    assert services.process_due() == 0
    assert mail.outbox == []


def test_a_campaign_that_was_killed_goes_on_and_forces_nobody_twice(settings):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    crowd = UserFactory.create_batch(5)
    keys = [user.pk for user in crowd]
    campaign = forced_resets.campaign_of(
        "forced", forced_resets.selection_of(keys), keys
    )
    for row in ForcedPasswordReset.objects.all()[:2]:
        forced_resets._end_password(row)
    before = {user.pk: fresh(user).password for user in crowd[:2]}
    said = force(*map(str, keys))
    assert f"{campaign}: 5 people." in said
    assert "Ended the passwords of 3 people." in said
    assert {user.pk: fresh(user).password for user in crowd[:2]} == before
    services.process_due()
    assert len(mail.outbox) == len({message.to[0] for message in mail.outbox}) == 5


def test_the_same_people_again_within_a_day_is_refused(ada):
    force(ada.email)
    with pytest.raises(CommandError, match="within a day: nothing is done"):
        force(ada.email)
    assert len(mail.outbox) == 1
    force(ada.email, "--again")
    assert len(mail.outbox) == 2


def test_another_campaign_waits_until_the_first_is_completed(ada, user):
    campaign = forced_resets.campaign_of("forced", "x", [ada.pk])
    with pytest.raises(CommandError, match=f"--resume {campaign.pk} goes on with it"):
        force(user.email)
    assert "1 person" in force("--resume", str(campaign.pk))
    force(user.email)
    assert {message.to[0] for message in mail.outbox} == {ada.email, user.email}


def test_of_two_at_the_same_row_one_ends_the_password(ada):
    forced_resets.campaign_of("forced", "x", [ada.pk])
    row, same = ForcedPasswordReset.objects.get(), ForcedPasswordReset.objects.get()
    assert forced_resets._end_password(row)
    ended = fresh(ada).password
    assert not forced_resets._end_password(same)
    assert fresh(ada).password == ended


def test_two_commands_at_once_share_one_campaign(ada):
    one = forced_resets.campaign_of("forced", "x", [ada.pk])
    assert forced_resets.campaign_of("forced", "x", [ada.pk]) == one
    assert ForcedPasswordReset.objects.count() == 1


def test_superusers_keep_their_passwords_unless_they_are_asked_for(ada):
    boss = UserFactory(is_superuser=True)
    said = force("--all")
    assert "Left out: 1 person with all rights" in said
    assert boss.check_password(OLD_PASSWORD)
    assert fresh(boss).password == boss.password
    assert users.must_reset(fresh(ada))
    with pytest.raises(CommandError, match="Nobody is named"):
        force(boss.email)
    force("--all", "--include-superusers")
    assert users.must_reset(fresh(boss))


def test_all_are_all_the_inactive_too(ada):
    UserFactory(is_active=False)
    assert "2 people" in force("--all")


def test_a_dry_run_changes_nothing(ada):
    assert force("--all", "--dry-run") == "Would end the passwords of 1 person.\n"
    assert not PasswordResetCampaign.objects.exists()
    assert fresh(ada).check_password(OLD_PASSWORD)


def breached():
    return people.all_users().filter(first_name="Breached")


def test_switched_off_the_passwords_end_and_the_emails_wait(ada, settings):
    settings.PASSWORD_RESET_ENABLED = False
    assert "the emails leave when it is on again" in force("--all")
    assert users.must_reset(fresh(ada))
    assert mail.outbox == []
    settings.PASSWORD_RESET_ENABLED = True
    services.process_due()
    assert len(mail.outbox) == 1


def test_a_queryset_of_the_host_chooses(ada):
    chosen = UserFactory(first_name="Breached")
    force("--queryset", f"{__name__}.breached")
    assert users.must_reset(fresh(chosen))
    assert not users.must_reset(fresh(ada))


@pytest.mark.parametrize("name", ["no.such.function", "password_reset.conf.conf"])
def test_a_queryset_that_is_none_is_an_error(name):
    with pytest.raises(CommandError, match="is no function"):
        force("--queryset", name)


def test_nobody_is_an_error():
    with pytest.raises(CommandError, match="Nobody is named"):
        force()


def test_a_revoker_that_fails_leaves_that_person_as_they_were(ada, user, monkeypatch):
    def fail(someone):
        if someone.pk == ada.pk:
            raise OSError("the token service is down")
        return 0

    monkeypatch.setattr(revokers, "revokers", lambda: [fail])
    with pytest.raises(CommandError, match="1 person could not be forced"):
        force("--all")
    assert fresh(ada).check_password(OLD_PASSWORD)
    assert users.must_reset(fresh(user))
    monkeypatch.undo()
    assert "Ended the passwords of 1 person." in force("--all")
    assert users.must_reset(fresh(ada))


def test_one_user_who_cannot_be_saved_keeps_nobody_else_unforced(ada, user, caplog):
    def fail(instance, **kwargs):
        if instance.pk == ada.pk:
            raise ValueError("a rule of the host")

    pre_save.connect(fail, sender=type(ada))
    try:
        with pytest.raises(CommandError, match="1 person could not be forced"):
            force("--all")
    finally:
        pre_save.disconnect(fail, sender=type(ada))
    assert fresh(ada).check_password(OLD_PASSWORD)
    assert users.must_reset(fresh(user))
    assert "a rule of the host" in caplog.text
    assert "Ended the passwords of 1 person." in force("--all")


def test_one_user_who_cannot_be_judged_keeps_no_email_of_others(
    ada, user, settings, monkeypatch
):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    force("--all")

    def fail(self):
        if self.pk == ada.pk:
            raise ValueError("a rule of the host")
        return False

    monkeypatch.setattr(type(ada), "has_usable_password", fail)
    services.process_due()
    assert [message.to for message in mail.outbox] == [[user.email]]
    assert outcome(ada) == (0, "ValueError")


def test_a_worker_that_died_after_the_email_does_not_send_it_again(ada):
    force(ada.email)
    ForcedPasswordReset.objects.update(
        processed_at=None, mails_sent=0, next_attempt_at=timezone.now()
    )
    services.process_due()
    assert len(mail.outbox) == 1


def test_the_status_counts_people_and_emails(ada):
    UserFactory(is_active=False)
    force("--all")
    assert (
        "2 of 2 dealt with; emails: 1 sent, 0 waiting, 1 not needed or not possible, "
        "0 given up." in force("--status")
    )


def test_a_service_does_it_for_code_of_the_host(ada):
    with committed():
        campaign = services.force_reset([ada.pk], started_by="a job")
    assert (campaign.started_by, len(mail.outbox)) == ("a job", 1)


def test_a_signal_names_the_user(ada):
    heard = []

    def hear(user, row, sessions_deleted, **kwargs):
        heard.append((user, row.user_id, sessions_deleted))

    reset_forced.connect(hear)
    force(ada.email)
    reset_forced.disconnect(hear)
    assert heard == [(ada, ada.pk, 0)]


def test_no_more_emails_leave_than_the_pace_allows(settings):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    UserFactory.create_batch(6)
    with time_machine.travel("2027-01-15 14:10:00Z", tick=False):
        force("--all", "--rate", "4/s")
        assert services.process_due(None) == 2
        assert services.process_due(None) == 0
    with time_machine.travel("2027-01-15 14:10:00.5Z", tick=False):
        assert services.process_due(None) == 2
        assert services.process_due(None) == 0
    PasswordResetCampaign.objects.update(next_slot_at=timezone.now())
    # A worker that may stay sends the rest, slot by slot.
    assert services.process_due(None, linger=5) == 2
    assert PasswordResetCampaign.objects.get().finished_at


def test_what_dead_workers_left_is_given_up_while_a_campaign_goes_on(
    settings, monkeypatch
):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    monkeypatch.setattr(worker, "SETTLE_EVERY", 0)
    UserFactory.create_batch(4)
    force("--all", "--rate", "4/s")
    left = {"attempts": MAX_ATTEMPTS, "next_attempt_at": timezone.now()}

    def die(done):
        PasswordResetRequest.objects.get_or_create(email="a@example.com", defaults=left)

    assert services.process_due(None, linger=5, progress=die) == 4
    assert PasswordResetRequest.objects.get().last_error == "crashed"


def test_campaigns_take_turns_and_one_invitation_waits_for_none(settings):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    UserFactory.create_batch(9)
    force("--all")
    new = without_password()
    call_command("invite_users", new.email)
    services.send_invitation(without_password(email="single@example.com"))
    services.process_due(1)
    assert mail.outbox[0].to == ["single@example.com"]
    PasswordResetCampaign.objects.update(next_slot_at=timezone.now())
    services.process_due(9)
    assert new.email in {message.to[0] for message in mail.outbox}
    assert len(mail.outbox) == 10


def test_a_campaign_is_not_over_while_its_emails_are_too_young(settings):
    """The embedded worker takes no row before it has reached a random age."""
    settings.PASSWORD_RESET_TASK_BACKEND = None
    UserFactory.create_batch(2)
    force("--all")
    worker._work_off(None, 1, lambda: False, age=lambda: 60.0)
    assert mail.outbox == []
    services.process_due()
    assert len(mail.outbox) == 2
    assert PasswordResetCampaign.objects.get().finished_at


def test_who_waits_for_rows_of_an_age_does_not_ask_the_database_all_the_time(
    ada, settings
):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    force(ada.email, "--rate", "1/s")
    campaign = PasswordResetCampaign.objects.get()
    assert pacing.claim(campaign, ForcedPasswordReset.objects.none(), 1) == []
    began = time.monotonic()
    assert pacing.wait_for_slot(1.0, lambda: False)
    assert time.monotonic() - began >= pacing.DOZE


def test_what_was_given_up_is_sent_when_staff_have_it_tried_again(ada, settings):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    force(ada.email)
    ForcedPasswordReset.objects.update(failed_at=timezone.now())
    services.process_due()
    assert PasswordResetCampaign.objects.get().finished_at
    assert ForcedPasswordReset.objects.all().requeue() == 1
    services.process_due()
    assert len(mail.outbox) == 1


def test_what_people_ask_for_comes_first(client, ada, settings):
    settings.PASSWORD_RESET_TASK_BACKEND = None
    UserFactory.create_batch(3)
    force("--all")
    call(client, "request-password-reset", {"email": ada.email})
    services.process_due(1)
    assert mail.outbox[0].subject.startswith("Your link to a new password")
