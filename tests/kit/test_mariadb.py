"""The app on MariaDB: the walk of every host, and what only a server can show, whose
locks and comparisons are its own.
"""

import fcntl
import json
import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.hosts import environments
from tests.hosts.host import Host
from tests.hosts.project import Project
from tests.hosts.steps import (
    ANN,
    EVERYTHING,
    ann_asks,
    nobody_got_no_mail,
)
from tests.hosts.test_hosts import missing, walk
from tests.hosts.visit import NEW_PASSWORD, Visit
from tests.kit.mariadb import MariaDB
from tests.tools.servers import dies_with_us, wait_until
from tests.tools.threads import at_once

#: How many indexes lose their condition here; Django 5.2 counts the models instead.
WARNINGS = {"5.2": 6, "6.0": 16, "6.1": 16}
LIMITS = """
PASSWORD_RESET_REQUEST_RATE_PER_IP = PASSWORD_RESET_REQUEST_RATE_PER_EMAIL = "100/h"
PASSWORD_RESET_CONFIRM_RATE_PER_IP = "100/m"
"""
LOOK_ALIKE = "änn@example.com"
#: To this server's collation, a and ä are one letter.
ADD_LOOK_ALIKE = f"""
from stage.prepare import add
from django.contrib.auth import get_user_model

add("other", "another-pass-phrase")
get_user_model().objects.filter(username="other").update(email={LOOK_ALIKE!r})
"""
ADD_REQUESTS = """
from django.contrib.auth.models import User
from password_reset.models import PasswordResetRequest
addresses = [f"p{number}@example.com" for number in range(%d)]
User.objects.bulk_create(
    [User(username=one, email=one, password="md5$salt$hash") for one in addresses]
)
PasswordResetRequest.objects.bulk_create(
    [PasswordResetRequest(email=one) for one in addresses]
)
"""
#: Mails wait in front of a file that the test has locked.
GATE = """
import fcntl
from django.conf import settings
from django.core.mail.backends import filebased

class EmailBackend(filebased.EmailBackend):
    def send_messages(self, messages):
        with (settings.BASE_DIR / "gate").open() as file:
            fcntl.flock(file, fcntl.LOCK_SH)
        return super().send_messages(messages)
"""
GATED = """
EMAIL_BACKEND = "host.gate.EmailBackend"
EMAIL_FILE_PATH = BASE_DIR / "mails"
"""
CLAIM = """
import json
from password_reset.models import PasswordResetRequest
from threading import Barrier, Thread
from django.db import connection
start, claimed = Barrier(8), []

def work():
    start.wait()
    while rows := PasswordResetRequest.objects.claim(5):
        claimed.extend(row.pk for row in rows)
    connection.close()

threads = [Thread(target=work) for _ in range(8)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
print(json.dumps(claimed))
"""
AGE = """
from datetime import timedelta
from django.db.models import F
from password_reset.models import *
days = timedelta(days=1000)
PasswordResetToken.objects.update(expires_at=F("expires_at") - days)
for model in (PasswordResetRequest, PasswordResetNotice, UserSession):
    model.objects.update(created_at=F("created_at") - days)
"""


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariaDB]:
    server = MariaDB()
    server.start()
    yield server
    server.close()


@pytest.fixture
def project_on(mariadb: MariaDB, tmp_path: Path) -> Iterator[Callable[..., Project]]:
    """Make a project on a database of its own; its process ends with the test."""
    made = []

    def make(django: str, settings: str = "", **shape: Any) -> Project:
        lines = mariadb.new_database() + LIMITS + settings
        host = Host("mariadb", shape.pop("walks", ()), settings=lines, **shape)
        made.append(Project(host, environments.make(django), tmp_path))
        return made[-1]

    yield make
    for project in made:
        project.stop()


def the_look_alike_is_one_to_the_database(visit: Visit) -> None:
    same = f"SELECT count(*) FROM auth_user WHERE email LIKE '{ANN}'"
    assert visit.project.query(same) == [(2,)]


def the_look_alike_gets_no_mail(visit: Visit) -> None:
    assert visit.mailbox.links(ANN)
    assert not visit.mailbox.mails(LOOK_ALIKE)


def ann_has_another_link(visit: Visit) -> None:
    before = len(visit.mailbox.links(ANN))
    ann_asks(visit)
    visit.take_mail(ANN, before + 1)


def one_of_sixteen_spends_the_link(visit: Visit) -> None:
    """The database decides who was first, however many send the form at once."""
    token, password = visit.links[ANN].partition("token=")[2], NEW_PASSWORD + "!"
    answers = at_once(
        [lambda: visit.post_json("reset-password", token=token, password=password)] * 16
    )
    assert Counter(status for status, _ in answers) == {200: 1, 410: 15}, answers


def the_purge_removes_what_is_dead(visit: Visit) -> None:
    tables = ("requests", "tokens", "notices")
    counts = [f"SELECT count(*) FROM password_reset_{table}" for table in tables]
    assert all(visit.project.query(count) > [(0,)] for count in counts)
    visit.project.shell(AGE)
    visit.project.prints("manage.py", "purge_reset_tokens", "--batch-size", "2")
    assert [visit.project.query(count) for count in counts] == [[(0,)]] * 3


SPELT_ALIKE = (the_look_alike_is_one_to_the_database, the_look_alike_gets_no_mail)
RACE = (ann_has_another_link, one_of_sixteen_spends_the_link)
PURGE = (nobody_got_no_mail, the_purge_removes_what_is_dead)


@pytest.mark.parametrize("django", environments.DJANGOS)
def test_a_host_on_mariadb(project_on: Callable[..., Project], django: str) -> None:
    if environments.python_for(django) is None:
        missing(django, print)
    project = project_on(
        django,
        walks=(*EVERYTHING, SPELT_ALIKE, RACE, PURGE),
        files={"after_prepare.py": ADD_LOOK_ALIKE},
        checks=("models.W037",) * WARNINGS[django],
    )
    if failures := walk(project, print):
        raise ExceptionGroup(f"MariaDB, Django {django}", failures)


def test_eight_claim_at_once_and_none_has_another_s_row(
    project_on: Callable[..., Project],
) -> None:
    project = project_on("5.2")
    project.prepare()
    project.shell(ADD_REQUESTS % 100)
    claimed = json.loads(project.shell(CLAIM))
    assert len(claimed) == len(set(claimed)) == 100


@contextmanager
def gate(project: Project) -> Iterator[None]:
    """Hold all mails back."""
    with (project.folder / "gate").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def worker(project: Project) -> subprocess.Popen[str]:
    command = [project.python, "manage.py", "process_reset_requests"]
    return subprocess.Popen(
        [*dies_with_us("TERM"), *command],
        cwd=project.folder,
        env=project.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_two_workers_mail_each_request_once(
    project_on: Callable[..., Project],
) -> None:
    """Both have claimed before either has mailed."""
    project = project_on("5.2", GATED, catch_mails=False, files={"host/gate.py": GATE})
    project.prepare()
    project.shell(ADD_REQUESTS % 200)
    claims = "SELECT count(DISTINCT claim_id) FROM password_reset_requests"
    with gate(project):
        workers = [worker(project), worker(project)]
        wait_until(
            lambda: project.query(claims) == [(2,)], lambda: "no two claims", 120
        )
    said = [one.communicate(timeout=60)[0] for one in workers]
    counts = [
        int(count) for text in said for count in re.findall(r"(\d+) request", text)
    ]
    mailed = Counter(mail["To"] for mail in project.mailbox.all_mails())
    assert (counts, len(mailed), set(mailed.values())) == ([100, 100], 200, {1}), said
