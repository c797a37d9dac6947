"""Every state in which a page of the flow can be seen, and how to get there."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import mail
from django.utils import timezone
from django_otp.plugins.otp_email.models import EmailDevice

from password_reset import services
from password_reset.models import PasswordResetToken
from tests.kit.browser import Window
from tests.tools.second_factor import ADAPTER, totp
from tests.tools.walk import code_in, token_in

FORM, RESET = "/forgot-password", "/reset-password"
UNKNOWN = "0" * 64
NOT_ME = re.compile(r"/reset-password/not-me\?n=\S+")


class Stage:
    """A window, the account that it is about, and the settings that a state needs."""

    def __init__(self, window: Window, user: Any, host: Any = settings) -> None:
        self.window, self.user, self.host = window, user, host

    def link(self) -> str:
        """Return the path of the link in a new mail."""
        self.window.ask(self.user.email)
        return f"{RESET}?token={token_in(mail.outbox[-1].body)}"

    def goto(self, path: str) -> None:
        self.window.page.goto(path)


def form(stage: Stage) -> None:
    stage.goto(FORM)


def form_with_an_error(stage: Stage) -> None:
    stage.window.ask("anna at example.com")


def form_with_a_slip(stage: Stage) -> None:
    form(stage)
    stage.window.page.locator("[name=email]").press_sequentially("ada@gmial.com")
    stage.window.page.get_by_role("button", name="ada@gmail.com").wait_for()


def done(stage: Stage) -> None:
    stage.window.ask(stage.user.email)


def done_of_a_known_mailbox(stage: Stage) -> None:
    stage.window.ask("ada@gmail.com")


def done_with_a_code(stage: Stage) -> None:
    stage.host.PASSWORD_RESET_CODES = True
    stage.window.ask(stage.user.email)


def type_code(stage: Stage, code: str) -> None:
    stage.window.page.locator("[name=code]").fill(code)
    with stage.window.page.expect_event("load"):
        stage.window.page.locator("[name=code]").press("Enter")


def code_wrong(stage: Stage) -> None:
    done_with_a_code(stage)
    type_code(stage, "BBBB-BBBB")


def code_right(stage: Stage) -> None:
    done_with_a_code(stage)
    type_code(stage, code_in(mail.outbox[-1].body))


def done_opened_directly(stage: Stage) -> None:
    stage.goto(f"{FORM}/done")


def reset(stage: Stage) -> None:
    stage.goto(stage.link())


def reset_with_errors(stage: Stage) -> None:
    reset(stage)
    stage.window.choose("12345678")


def reset_with_two_passwords(stage: Stage) -> None:
    reset(stage)
    stage.window.choose("quite-another-pass-phrase", "quite-an-other-pass-phrase")


def reset_while_typing(stage: Stage) -> None:
    reset(stage)
    page = stage.window.page
    page.locator("[name=new_password1]").press_sequentially("password123")
    page.locator("[name=new_password2]").press_sequentially("pasword")
    page.locator("[data-differs]").wait_for()


def second_factor(stage: Stage) -> None:
    stage.host.PASSWORD_RESET_SECOND_FACTOR = ADAPTER
    totp(stage.user)
    reset(stage)


def second_factor_refused(stage: Stage) -> None:
    second_factor(stage)
    stage.window.page.locator("[name=second_factor]").fill("not one")
    stage.window.choose("quite-another-pass-phrase")


def second_factor_elsewhere(stage: Stage) -> None:
    """Nothing that could be typed."""
    stage.host.PASSWORD_RESET_SECOND_FACTOR = ADAPTER
    EmailDevice.objects.create(user=stage.user, email="elsewhere@example.com")
    reset(stage)


def complete(stage: Stage) -> None:
    reset(stage)
    stage.window.choose("quite-another-pass-phrase")


def complete_leading_back(stage: Stage) -> None:
    stage.goto(f"{FORM}?next=/account")
    stage.window.page.locator("[name=email]").fill(stage.user.email)
    stage.window.send()
    stage.goto(f"{RESET}?token={token_in(mail.outbox[-1].body)}")
    stage.window.choose("quite-another-pass-phrase")


def complete_opened_directly(stage: Stage) -> None:
    stage.goto(f"{RESET}/done")


def link_missing(stage: Stage) -> None:
    stage.goto(RESET)


def link_expired(stage: Stage) -> None:
    link = stage.link()
    PasswordResetToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    stage.goto(link)


def link_used(stage: Stage) -> None:
    link = stage.link()
    PasswordResetToken.objects.all().void()
    stage.goto(link)


def link_unknown(stage: Stage) -> None:
    stage.goto(f"{RESET}?token={UNKNOWN}")


def link_incomplete(stage: Stage) -> None:
    stage.goto(f"{RESET}?token={UNKNOWN[:-1]}")


def link_legacy(stage: Stage) -> None:
    stage.host.ROOT_URLCONF = "tests.kit.legacy_site"
    stage.goto(f"/accounts/reset/MQ/dikhrf-{UNKNOWN[:32]}/")


def rate_limited(stage: Stage) -> None:
    stage.host.PASSWORD_RESET_REQUEST_RATE_PER_EMAIL = "1/h"
    stage.window.ask(stage.user.email)
    stage.window.ask(stage.user.email)


def proof_needed(stage: Stage) -> None:
    """Above a soft limit: with JavaScript the page goes on by itself, so its script does
    not come here.
    """
    ask_for_proofs(stage)
    stage.window.page.route("**/altcha*.js", lambda route: route.abort())
    stage.window.ask(stage.user.email)


def ask_for_proofs(stage: Stage) -> None:
    stage.host.PASSWORD_RESET_CHALLENGE = "password_reset.altcha.AltchaChallenge"
    stage.host.PASSWORD_RESET_CHALLENGE_RATE_PER_IP = "1/d"
    stage.window.ask("somebody@example.com")


def unavailable(stage: Stage) -> None:
    stage.host.PASSWORD_RESET_ENABLED = False
    stage.goto(FORM)


def cookies_refused(stage: Stage) -> None:
    stage.goto(FORM)
    stage.window.context.clear_cookies()
    stage.window.send()


def not_me_path(message: Any) -> str:
    return NOT_ME.search(message.body)[0]


def not_me(stage: Stage) -> None:
    stage.link()
    stage.goto(not_me_path(mail.outbox[-1]))


def not_me_done(stage: Stage) -> None:
    not_me(stage)
    stage.window.send()


def not_me_again(stage: Stage) -> None:
    not_me_done(stage)
    stage.goto(not_me_path(mail.outbox[-1]))


def not_me_changed(stage: Stage) -> None:
    complete(stage)
    stage.goto(not_me_path(mail.outbox[-1]))


def not_me_changed_done(stage: Stage) -> None:
    not_me_changed(stage)
    stage.window.send()


def not_me_unknown(stage: Stage) -> None:
    stage.goto("/reset-password/not-me?n=request.1:1:1")


def without_a_password(stage: Stage) -> None:
    """Not a page of its own: the mail is."""
    stage.user.set_unusable_password()
    stage.user.save()
    stage.window.ask(stage.user.email)


def invitation(stage: Stage) -> None:
    stage.user.set_unusable_password()
    stage.user.save()
    services.send_invitation(stage.user)
    stage.goto(f"{RESET}?token={token_in(mail.outbox[-1].body)}")


def invitation_expired(stage: Stage) -> None:
    invitation(stage)
    PasswordResetToken.objects.update(expires_at=timezone.now())
    stage.goto(f"{RESET}?token={token_in(mail.outbox[-1].body)}")


def password_ended(stage: Stage) -> None:
    """Not a page of its own: the mail is."""
    services.force_reset([stage.user.pk])


#: Each state and the status of its page.
STATES: dict[Callable[[Stage], None], int] = {
    form: 200,
    form_with_an_error: 200,
    form_with_a_slip: 200,
    done: 200,
    done_of_a_known_mailbox: 200,
    done_with_a_code: 200,
    code_wrong: 200,
    code_right: 200,
    done_opened_directly: 200,
    reset: 200,
    reset_with_errors: 200,
    reset_with_two_passwords: 200,
    reset_while_typing: 200,
    second_factor: 200,
    second_factor_refused: 200,
    second_factor_elsewhere: 200,
    complete: 200,
    complete_leading_back: 200,
    complete_opened_directly: 200,
    invitation: 200,
    invitation_expired: 410,
    link_missing: 200,
    link_expired: 410,
    link_used: 410,
    link_unknown: 404,
    link_incomplete: 404,
    link_legacy: 410,
    not_me: 200,
    not_me_done: 200,
    not_me_again: 200,
    not_me_changed: 200,
    not_me_changed_done: 200,
    not_me_unknown: 404,
    rate_limited: 429,
    proof_needed: 429,
    unavailable: 503,
    cookies_refused: 403,
}
