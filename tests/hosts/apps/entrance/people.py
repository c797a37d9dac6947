"""Accounts of before, their passwords kept by the older of the two hashers."""

import os

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import check_password, identify_hasher, make_password

FAMILY = "family@example.com"


def add(name, address, *, password=True, **fields):
    model = get_user_model()
    fields[model.get_email_field_name()] = address
    fields.setdefault(model.USERNAME_FIELD, name)
    hashed = make_password(
        os.environ["OLD_PASSWORD"] if password else None, hasher="pbkdf2_sha1"
    )
    return model.objects.create(password=hashed, **fields)


def family():
    """Return the two of one address; of one but for its case, where the model wants
    addresses unique.
    """
    field = get_user_model().get_email_field_name()
    return (
        get_user_model().objects.filter(**{f"{field}__iexact": FAMILY}).order_by("pk")
    )


def state(password):
    """Return which of the two has this password, and how both are kept."""
    hashes = [one.password for one in family()]
    return {
        "new password works": sorted(check_password(password, one) for one in hashes),
        "hashers": sorted(identify_hasher(one).algorithm for one in hashes),
    }


def add_all():
    model = get_user_model()
    unique = model._meta.get_field(model.get_email_field_name()).unique
    add("inactive", "inactive@example.com", is_active=False)
    add("unusable", "unusable@example.com", password=False)
    add("lea", FAMILY)
    add("kim", FAMILY.upper() if unique else FAMILY)
