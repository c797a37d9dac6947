"""Migrate, collect static files and make the host's people, in one process."""

import json
import os
from pathlib import Path

import django
from django.conf import settings
from django.contrib.admin.utils import quote
from django.contrib.auth import get_user_model
from django.core.management import call_command

PEOPLE = ["ann", "ben", "boss"]


def add(name, password):
    """Make an account that may enter the admin, if the host has one; return where it
    stands there.
    """
    model = get_user_model()
    names = {field.name for field in model._meta.get_fields()}
    fields = {"is_staff": True, "is_superuser": True}
    user = model(**{key: value for key, value in fields.items() if key in names})
    setattr(user, model.USERNAME_FIELD, name)
    setattr(user, model.get_email_field_name(), f"{name}@example.com")
    user.set_password(password)
    user.save()
    return {
        "list": f"{model._meta.app_label}/{model._meta.model_name}",
        "key": quote(str(user.pk)),
    }


if __name__ == "__main__":
    django.setup()
    for alias in settings.DATABASES:
        call_command("migrate", verbosity=0, run_syncdb=True, database=alias)
    if settings.STATIC_ROOT:
        call_command("collectstatic", verbosity=0, interactive=False)
    people = {person: add(person, os.environ["OLD_PASSWORD"]) for person in PEOPLE}
    Path("people.json").write_text(json.dumps(people))
    if Path("after_prepare.py").exists():
        import after_prepare  # noqa: F401 - what this shape does besides
