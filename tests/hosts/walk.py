"""Walk the flow on the small host and print what was seen, as JSON (run by
`tests/test_user_models.py`).
"""

import json
import re

import django
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import check_password, identify_hasher, make_password
from django.core import mail
from django.core.management import call_command
from django.test import Client
from django.test.utils import setup_test_environment

OLD_PASSWORD = "only-the-old-one-knows"
NEW_PASSWORD = "quite-another-pass-phrase"
SHARED = "family@example.com"


def add(name, address, password=OLD_PASSWORD, **fields):
    """Make an account, its password kept by the older of the two hashers."""
    model = get_user_model()
    fields[model.get_email_field_name()] = address
    fields.setdefault(model.USERNAME_FIELD, name)
    hashed = (
        make_password(password, hasher="pbkdf2_sha1")
        if password
        else make_password(None)
    )
    return model.objects.create(password=hashed, **fields)


def ask(address, network):
    """Ask for links; return the mails that come."""
    mail.outbox.clear()
    answer = Client(REMOTE_ADDR=network).post("/forgot-password", {"email": address})
    assert answer.status_code == 302
    return list(mail.outbox)


def secret_in(message):
    return re.search(r"token=([0-9a-f]{64})", message.body)[1]


def knows(user, password):
    """Tell whether a password is the user's, without the new hash that a log-in would
    bring.
    """
    return check_password(password, get_user_model().objects.get(pk=user.pk).password)


def hasher_of(user):
    return identify_hasher(get_user_model().objects.get(pk=user.pk).password).algorithm


def reset(message, password=NEW_PASSWORD):
    answer = Client().post(
        "/api/auth/reset-password",
        {"token": secret_in(message), "password": password},
        content_type="application/json",
    )
    return answer.status_code, answer.json().get("sessions_deleted")


def a_browser_of(user):
    browser = Client()
    browser.force_login(user)
    return browser


def is_logged_in(browser, user):
    return browser.get("/who").text == str(user.pk)


def family():
    """Return two accounts of one address; of one but for its case, where the model
    wants addresses unique.
    """
    unique = (
        get_user_model()._meta.get_field(get_user_model().get_email_field_name()).unique
    )
    return add("ann", SHARED), add("ben", SHARED.upper() if unique else SHARED)


def walk():
    """Yield what was seen, by name."""
    add("inactive", "inactive@example.com", is_active=False)
    add("unusable", "unusable@example.com", password=None)
    people = family()
    for number, kind in enumerate(["inactive", "unusable", "unknown"], 1):
        yield (
            f"mails to {kind}",
            len(ask(f"{kind}@example.com", f"198.51.100.{number}")),
        )
    messages = ask(SHARED, "198.51.100.9")
    yield "mails to the family", sorted(message.to[0].lower() for message in messages)
    browsers = [a_browser_of(person) for person in people]
    yield (
        "logged in before",
        [is_logged_in(*pair) for pair in zip(browsers, people, strict=True)],
    )
    yield "answer", reset(messages[0])
    yield "answer to the same link", reset(messages[0])[0]
    yield "new password works", sorted(knows(person, NEW_PASSWORD) for person in people)
    yield "old password works", sorted(knows(person, OLD_PASSWORD) for person in people)
    yield (
        "logged in after",
        sorted(is_logged_in(*pair) for pair in zip(browsers, people, strict=True)),
    )
    yield "hashers", sorted(hasher_of(person) for person in people)
    yield "answer to the other's link", reset(messages[1])


if __name__ == "__main__":
    django.setup()
    setup_test_environment()
    call_command("migrate", verbosity=0, run_syncdb=True)
    print(json.dumps(dict(walk())))
