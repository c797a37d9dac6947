"""Whatever user model the host has: each is walked in a process of its own, since no process can change it."""

import json
import os
import subprocess
import sys
from functools import cache as once
from pathlib import Path

import pytest
from django.contrib.auth.hashers import make_password
from django.test import Client

from tests.factories import OLD_PASSWORD, UserFactory
from tests.walk import mailed_token, spend

ROOT = Path(__file__).parent.parent
FAMILY = "family@example.com"


@once
def walk(host):
    """Return what a walk through the flow on that host saw."""
    environment = os.environ | {"HOST": host, "DJANGO_SETTINGS_MODULE": "tests.hosts.settings"}
    command = [sys.executable, "-W", "error", "-m", "tests.hosts.walk"]
    run = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.fixture(params=["plain", "uuid_people", "email_people"])
def seen(request):
    return walk(request.param)


def test_each_account_of_an_address_gets_a_mail_of_its_own(seen):
    assert seen["mails to the family"] == [FAMILY, FAMILY]


@pytest.mark.parametrize("kind", ["inactive", "unusable", "unknown"])
def test_no_mail_leaves_for_an_account_that_is(kind, seen):
    assert seen[f"mails to {kind}"] == 0


def test_one_link_changes_the_password_of_one_account(seen):
    assert seen["answer"] == [200, 1]
    assert seen["new password works"] == seen["old password works"] == [False, True]
    assert seen["answer to the same link"] == 410


def test_the_other_account_keeps_its_link(seen):
    assert seen["answer to the other's link"] == [200, 1]


def test_the_sessions_of_that_account_end_and_no_others(seen):
    assert seen["logged in before"] == [True, True]
    assert seen["logged in after"] == [False, True]


def test_the_new_password_is_kept_by_the_host_s_first_hasher(seen):
    assert seen["hashers"] == ["md5", "pbkdf2_sha1"]


@pytest.mark.django_db(transaction=True)
def test_a_hash_that_is_renewed_at_log_in_costs_an_open_link_once(client):
    user = UserFactory(password=None)
    type(user).objects.update(password=make_password(OLD_PASSWORD, hasher="pbkdf2_sha256"))
    raw = mailed_token(client, user.email)
    assert Client().login(username=user.email, password=OLD_PASSWORD)
    assert spend(client, raw).status_code == 410
    assert spend(client, mailed_token(client, user.email)).status_code == 302
