"""The admin with other user models: each in a process of its own, since no process can
change it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("host", ["plain", "uuid_people"])
def test_staff_find_explain_and_mail_whatever_the_users_are(host, tmp_path):
    environment = os.environ | {
        "HOST": host,
        "DATABASE": f"{tmp_path}/host.sqlite3",
        "DJANGO_SETTINGS_MODULE": "tests.hosts.staff_settings",
    }
    command = [sys.executable, "-W", "error", "-m", "tests.hosts.staff"]
    run = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == {
        "button": True,
        "sent": 302,
        "mailed to": [["ann@example.com"]],
        "lists": [200] * 4,
        "found": 1,
        "explained": True,
    }
