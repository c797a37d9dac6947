"""What the host keeps about its users. Other user models are hosts: see
`tests/hosts/shapes/people.py`.
"""

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client

from tests.tools.factories import OLD_PASSWORD, UserFactory
from tests.tools.walk import mailed_token, spend


@pytest.mark.django_db(transaction=True)
def test_a_hash_that_is_renewed_at_log_in_costs_an_open_link_once(client):
    user = UserFactory(password=None)
    type(user).objects.update(
        password=make_password(OLD_PASSWORD, hasher="pbkdf2_sha256")
    )
    raw = mailed_token(client, user.email)
    assert Client().login(username=user.email, password=OLD_PASSWORD)
    assert spend(client, raw).status_code == 410
    assert spend(client, mailed_token(client, user.email)).status_code == 302
