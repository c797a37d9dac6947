"""By what a user without a password logs in, for the email that says so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.apps import apps
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import (
    ImproperlyConfigured,
    MultipleObjectsReturned,
    ObjectDoesNotExist,
)

ALLAUTH = "allauth.socialaccount"
#: How allauth says that a site has removed a provider, or its app, or has two of it.
GONE = (
    ImproperlyConfigured,
    MultipleObjectsReturned,
    ObjectDoesNotExist,
    ImportError,
    LookupError,
)


def social_accounts(user: AbstractBaseUser) -> Iterable[str]:
    """Return the providers of a user's social accounts in django-allauth, by the names
    that its pages use; none where it is not installed.
    """
    if not apps.is_installed(ALLAUTH):
        return []
    model: Any = apps.get_app_config("socialaccount").get_model("SocialAccount")
    accounts = model.objects.filter(user_id=user.pk).order_by("pk")
    return list(dict.fromkeys(map(_name, accounts)))


def _name(account: Any) -> str:
    try:
        return str(account.get_provider().name)
    except GONE:
        return str(account.provider).capitalize()
