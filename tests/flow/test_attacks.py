"""Small versions of `python -m tests.attacks`: every promise of them holds."""

import subprocess
import sys

import pytest

from tests import ROOT
from tests.attacks import bodies, buried, flood, lockout, redis_full

pytestmark = pytest.mark.django_db(transaction=True)


def broken(promises):
    return [str(promise) for promise in promises if not promise.holds]


def test_one_network_locks_nobody_out_in_a_day():
    siege = lockout.besiege(networks=1, days=1)
    assert broken(lockout.promises(siege)) == []
    assert siege.asked["stranger"] == 48


def test_twenty_networks_leave_known_browsers_and_staff_their_emails():
    assert broken(lockout.run(networks=(20,), days=1)) == []


def test_a_48_makes_few_rows_and_keys(settings):
    settings.TASKS = {"default": {"BACKEND": "django_tasks_db.DatabaseBackend"}}
    assert broken(flood.run(hours=1)) == []


def test_a_full_redis_keeps_nobody_with_a_link_out():
    assert broken(redis_full.run()) == []


def test_people_behind_junk_have_their_emails():
    assert broken(buried.run(junk=3000)) == []


def test_a_heavy_body_in_an_exotic_charset_is_refused_at_once():
    assert broken(bodies.run(charsets=("punycode",))) == []


def test_the_command_names_what_there_is():
    command = [sys.executable, "-m", "tests.attacks", "nothing"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert said.returncode == 2
    assert "lockout flood redis_full" in said.stdout
