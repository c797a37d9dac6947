"""A superuser in the small host's admin; prints what was seen, as JSON (run by
`tests/test_admin_user_models.py`).
"""

import json

import django
from django.contrib.admin.utils import quote
from django.contrib.auth import get_user_model
from django.core import mail
from django.core.management import call_command
from django.test import Client
from django.test.utils import setup_test_environment

LISTS = [
    "passwordresetrequest",
    "passwordresettoken",
    "passwordresetnotice",
    "usersession",
]


def walk():
    """Yield what was seen, by name."""
    from tests.hosts.walk import add  # noqa: PLC0415 - models exist only now

    model = get_user_model()
    boss = add("boss", "boss@example.com", is_superuser=True, is_staff=True)
    ann = add("ann", "ann@example.com")
    browser, key, page = (
        Client(),
        quote(ann.pk),
        "/admin/password_reset/passwordresetrequest/",
    )
    browser.force_login(boss)
    user_page = f"/admin/{model._meta.app_label}/{model._meta.model_name}/{key}/change/"
    yield "button", f"{page}send/{key}/" in browser.get(user_page).text
    yield "sent", browser.post(f"{page}send/{key}/").status_code
    yield "mailed to", [message.to for message in mail.outbox]
    yield (
        "lists",
        [
            browser.get(f"/admin/password_reset/{name}/?q={ann.pk}").status_code
            for name in LISTS
        ],
    )
    yield (
        "found",
        browser.get(f"/admin/password_reset/passwordresettoken/?q={ann.pk}")
        .context["cl"]
        .result_count,
    )
    yield "explained", "Nothing is wrong" in browser.get(f"{page}why/?user={key}").text


if __name__ == "__main__":
    django.setup()
    setup_test_environment()
    call_command("migrate", verbosity=0, run_syncdb=True)
    print(json.dumps(dict(walk())))
