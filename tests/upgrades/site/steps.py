"""Walk one step of the flow with the release on PYTHONPATH and print what came of it.

``python steps.py STEP [ARGUMENT]``: imports what every release
has, and nothing of the tests.
"""

import json
import os
import re
import sys
from collections.abc import Callable
from io import StringIO

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "site_settings"
django.setup()

from django.contrib.auth import authenticate, get_user_model  # noqa: E402
from django.core import mail  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402

import password_reset  # noqa: E402

mail.outbox = []


def join(*names: str) -> None:
    for name in names:
        address = f"{name}@example.com"
        get_user_model().objects.create_user(name, address, "old password 1")


def leave(name: str) -> None:
    get_user_model().objects.get(username=name).delete()


def ask(name: str) -> int:
    address = {"email": f"{name}@example.com"}
    return Client().post("/forgot-password", address).status_code


def invite(name: str) -> str:
    """Invite a user without a password, as only newer releases do."""
    from password_reset.services import send_invitation  # noqa: PLC0415

    user = get_user_model().objects.get(username=name)
    user.set_unusable_password()
    user.save()
    send_invitation(user, invited_by="staff")
    return work()[name]


def force(name: str) -> str:
    """End a user's password and send a link for another, as only newer releases do."""
    person = f"{name}@example.com"
    call_command("force_password_reset", person, "--no-input", stdout=StringIO())
    return work()[name]


def work() -> dict[str, str]:
    """Send what waits; return the token of each name that got a link."""
    call_command("process_reset_requests", stdout=StringIO())
    found = {}
    for message in mail.outbox:
        if link := re.search(r"token=([0-9a-f]{64})", message.body):
            found[message.to[0].split("@")[0]] = link[1]
    return found


def look(token: str) -> int:
    return Client().get("/reset-password", {"token": token}).status_code


def verify(token: str) -> int:
    body = json.dumps({"token": token})
    path = "/api/auth/verify-reset-token"
    return Client().post(path, body, content_type="application/json").status_code


def spend(token: str) -> int:
    new = "a new and long password 7"
    fields = {"token": token, "new_password1": new, "new_password2": new}
    return Client().post("/reset-password", fields).status_code


def log_in(name: str) -> bool:
    return bool(authenticate(username=name, password="a new and long password 7"))


def reset(name: str) -> list[int | bool]:
    """Walk from the form to the new password; the link must not work again."""
    asked = ask(name)
    token = work()[name]
    seen = [look(token), verify(token)]
    return [asked, *seen, spend(token), log_in(name), spend(token)]


def purge() -> str:
    call_command("purge_reset_tokens", stdout=(output := StringIO()))
    return output.getvalue()


STEPS: list[Callable[..., object]] = [
    join, leave, invite, force, ask, work, look, verify, spend, log_in, reset, purge
]  # fmt: skip

if __name__ == "__main__":
    step = {step.__name__: step for step in STEPS}[sys.argv[1]]
    answer = step(*sys.argv[2:])
    print(json.dumps({"package": password_reset.__file__, "answer": answer}))
