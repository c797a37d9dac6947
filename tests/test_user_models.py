"""Whatever user model the host has: each is walked in a process of its own, since no
process can change it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client

from tests.factories import OLD_PASSWORD, UserFactory
from tests.walk import mailed_token, spend

ROOT = Path(__file__).parent.parent
FAMILY = "family@example.com"


def walk(host):
    """Return what a walk through the flow on that host saw."""
    environment = os.environ | {
        "HOST": host,
        "DJANGO_SETTINGS_MODULE": "tests.hosts.settings",
    }
    command = [sys.executable, "-W", "error", "-m", "tests.hosts.walk"]
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


#: Of two accounts on one address, one spends its link first. Lists are of both, sorted:
#: False comes before True.
EXPECTED = {
    "mails to inactive": 0,
    "mails to unusable": 0,
    "mails to unknown": 0,
    "mails to the family": [FAMILY, FAMILY],
    "logged in before": [True, True],
    "answer": [200, 1],
    "answer to the same link": 410,
    "new password works": [False, True],
    "old password works": [False, True],
    "logged in after": [False, True],
    "hashers": ["md5", "pbkdf2_sha1"],
    "answer to the other's link": [200, 1],
}


@pytest.mark.parametrize("host", ["plain", "uuid_people", "email_people"])
def test_the_flow_works_for_one_account_of_two_on_a_host_with(host):
    assert walk(host) == EXPECTED


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
