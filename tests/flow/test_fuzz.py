"""A thousand odd requests, the same each time; `python -m tests.fuzz` sends 5,000."""

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from password_reset import tokens, users
from password_reset.models import PasswordResetToken
from tests import fuzz
from tests.tools.factories import UserFactory


def new_link():
    """Make a link of Ada's that works, without an email, and return its secret."""
    ada = get_user_model().objects.get(email="ada@example.com")
    raw = tokens.new_token()
    PasswordResetToken.objects.create(
        user=ada,
        email=ada.email,
        token_hash=tokens.digest(raw),
        fingerprint=tokens.fingerprint(*users.identity(ada)),
        expires_at=timezone.now() + timedelta(hours=1),
    )
    return raw


@pytest.mark.django_db(transaction=True)
def test_whatever_is_sent_gets_a_documented_answer_of_ours(settings):
    from project.wsgi import application  # noqa: PLC0415 - loads the middleware

    settings.RATELIMIT_ENABLE = False
    UserFactory(email="ada@example.com")
    seen = fuzz.run(application, new_link)
    print(seen)
    # The cases reach the services, and are no mere noise at the door.
    assert seen.keys() >= {200, 202, 302, 400, 404, 405, 413, 415}
