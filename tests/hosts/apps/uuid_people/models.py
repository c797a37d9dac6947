"""People with UUID keys, who log in by a handle; the address is called `contact`, and
several may share one.
"""

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models


class Person(AbstractUser):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    username = None
    handle = models.CharField(max_length=40, unique=True)
    contact = models.EmailField()
    #: Not where the mail goes.
    email = models.EmailField(default="wrong@example.com")

    EMAIL_FIELD = "contact"
    USERNAME_FIELD = "handle"
    REQUIRED_FIELDS = ()
