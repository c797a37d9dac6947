"""What tests are about: users of the demo."""

import factory
from django.conf import settings
from factory.django import DjangoModelFactory, Password

OLD_PASSWORD = "only-the-old-one-knows"
NEW_PASSWORD = "quite-another-pass-phrase"


class UserFactory(DjangoModelFactory):
    """A user of the demo who knows OLD_PASSWORD."""

    class Meta:
        model = settings.AUTH_USER_MODEL

    email = factory.Sequence(lambda number: f"ann{number}@example.com")
    password = Password(OLD_PASSWORD)
