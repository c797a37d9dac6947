"""Members of staff in front of the admin."""

from functools import partial
from typing import Any

from django.contrib.auth.models import Permission
from django.core import mail
from django.test import Client, TestCase

from tests.tools.factories import UserFactory
from tests.tools.walk import ask, token_in

REQUESTS = "/admin/password_reset/passwordresetrequest/"
TOKENS = "/admin/password_reset/passwordresettoken/"
NOTICES = "/admin/password_reset/passwordresetnotice/"
SESSIONS = "/admin/password_reset/usersession/"

#: What follows a commit happens at the end of the block, without the cost of one.
committed = partial(TestCase.captureOnCommitCallbacks, execute=True)


def staff(*permissions: str, **fields: Any) -> Client:
    """Return a browser that a new member of staff with these permissions is logged in
    with.
    """
    user = UserFactory(is_staff=True, **fields)
    user.user_permissions.set(
        [Permission.objects.get(codename=name) for name in permissions]
    )
    browser = Client()
    browser.force_login(user)
    browser.actor = user
    return browser


def superuser() -> Client:
    """Return a superuser's browser."""
    return staff(is_superuser=True)


def act(browser: Client, page: str, action: str, *rows: Any, **fields: Any) -> Any:
    """Choose rows of a list and an action, and follow to the page that comes."""
    data = {
        "action": action,
        "index": "0",
        "_selected_action": [row.pk for row in rows],
        **fields,
    }
    with committed():
        return browser.post(page, data, follow=True)


def link_of(client: Client, email: str) -> str:
    """Ask for a link as anybody does, and return the secret in the mail that comes."""
    with committed():
        ask(client, email)
    return token_in(mail.outbox[-1].body)


def messages_of(response: Any) -> str:
    """Return what the admin tells on a page."""
    return " ".join(str(message) for message in response.context["messages"])
