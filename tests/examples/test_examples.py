"""Each example starts by its one command and is walked by people who forgot a
password.
"""

import ast
import os
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.examples import brands, chromium, oscar, wagtail
from tests.examples.example import DJANGO, EXAMPLES, Example
from tests.hosts import environments
from tests.hosts.host import Host
from tests.hosts.project import OLD_PASSWORD
from tests.hosts.shapes import factors
from tests.hosts.shapes.interfaces import ben_resets
from tests.hosts.steps import (
    API,
    BEN,
    ID,
    PAGES,
    ben_asks_a_program,
    ben_gets_a_mail,
    ben_logs_in,
    the_token_is_spent,
)
from tests.hosts.visit import NEW_PASSWORD, Visit
from tests.tools.servers import wait_until

#: The counters of one process: the docs tell a site of several to share a cache.
NO_SHARED_CACHE = "password_reset.W004"


def deploy_check_says_what_is_expected(visit: Visit) -> None:
    said = visit.project.deployed_check()
    assert "Traceback" not in said, said
    assert sorted(ID.findall(said)) == sorted(visit.host.checks), said


def the_rest_is_what_startproject_writes(visit: Visit) -> None:
    """Each file of it has the same statements, but for the key."""
    if environments.DJANGOS[-1] != DJANGO:
        return  # the files are those of the newest
    folder = visit.project.folder / "startproject"
    folder.mkdir()
    # The name of the example itself is taken where it runs.
    result = visit.project.run("-m", "django", "startproject", "other", folder.name)
    assert result.returncode == 0, result.stderr
    for theirs, ours in (
        ("manage.py", "manage.py"),
        ("other/wsgi.py", "shop/wsgi.py"),
        ("other/settings.py", "shop/startproject.py"),
    ):
        written = statements(folder / theirs)
        assert statements(visit.project.folder / ours) == written, theirs


def statements(path: Path) -> list[str]:
    """Return the statements of a file, but for that of the key and its docstring."""
    body = ast.parse(path.read_text()).body
    lines = [ast.unparse(one).replace("other.", "shop.") for one in body[1:]]
    return [one for one in lines if "SECRET_KEY" not in one]


def said_by(process: str, words: str):
    """Return the step that waits until a process of the Procfile has said so."""

    def the_log_shows_who_sends(visit: Visit) -> None:
        line = re.compile(rf"{process}\.1 +\| .*{words}")
        wait_until(
            lambda: line.search(visit.project.whole_log()), visit.project.log, 20
        )

    return the_log_shows_who_sends


def ben_has_a_token(visit: Visit) -> None:
    session, url = visit.new_browser().session, visit.project.url
    who = {"username": "ben", "password": OLD_PASSWORD}
    visit.key = session.post(f"{url}/api/token", json=who, timeout=30).json()["token"]
    assert who_is(visit) == (200, {"username": "ben"})


def bens_old_token_opens_nothing(visit: Visit) -> None:
    assert who_is(visit)[0] == 401


def who_is(visit: Visit) -> tuple[int, dict]:
    headers = {"Authorization": f"Token {visit.key}"}
    session = visit.new_browser().session
    answer = session.get(f"{visit.project.url}/api/me", headers=headers, timeout=30)
    return answer.status_code, answer.json()


def people_have_second_factors(visit: Visit) -> None:
    visit.project.shell(factors.TYPED)


def the_log_in_asks_for_a_code(visit: Visit) -> None:
    page = visit.new_browser().open("/admin/login/")
    answer = page.submit(username="ann", password=NEW_PASSWORD, otp_token="")
    assert answer.path == "/admin/login/"


def the_link_of_the_log_in_page_leads_to_the_flow(visit: Visit) -> None:
    page = visit.new_browser().open("/accounts/login/")
    [link] = [link for link in page.links() if "/password/reset/" in link]
    assert page.browser.open(link).path == "/forgot-password"


def the_forms_have_bootstraps_classes(visit: Visit) -> None:
    form, choose = visit.seen[0], visit.seen[2]
    assert 'class="form-control"' in form.text
    assert choose.text.count('class="form-control"') == 2
    assert 'class="btn btn-primary mb-3"' in choose.text
    assets = [url for page in (form, choose) for url in page.assets()]
    assert sum("bootstrap.min.css" in url for url in assets) == 2
    answer = visit.new_browser().open("/forgot-password").submit(email="nobody")
    assert "is-invalid" in answer.text


def phones_know_the_app(visit: Visit) -> None:
    apple = visit.browser.open("/.well-known/apple-app-site-association").response
    android = visit.browser.open("/.well-known/assetlinks.json").response
    [details] = apple.json()["applinks"]["details"]
    link = urlsplit(visit.mailbox.links(BEN)[0])
    assert details["components"] == [{"/": link.path, "?": {"token": "?*"}}]
    assert android.json()[0]["target"]["package_name"] == "com.example.shop"
    assert apple.headers["Content-Type"] == "application/json"


def example(name: str, *walks, checks: tuple[str, ...] = (), **shape) -> Host:
    deploy = (deploy_check_says_what_is_expected,)
    return Host(name, (deploy, *walks), checks=checks, **shape)


CHECKS = (NO_SHARED_CACHE,)
HOSTS = [
    example(
        "cron",
        PAGES,
        API,
        (said_by("cron", "1 request processed"),),
        (the_rest_is_what_startproject_writes,),
        checks=CHECKS,
    ),
    example(
        "django-tasks-db", PAGES, (said_by("worker", "state=SUCCESS"),), checks=CHECKS
    ),
    example("celery", PAGES, (said_by("worker", "succeeded in"),), since="6.0"),
    example("rq", PAGES, (said_by("worker", "Job OK"),)),
    example(
        "spa",
        (
            ben_has_a_token,
            ben_asks_a_program,
            ben_gets_a_mail,
            ben_resets,
            the_token_is_spent,
            ben_logs_in,
            bens_old_token_opens_nothing,
        ),
        checks=CHECKS,
        login_page="",
    ),
    example("react", (chromium.WALK, ben_logs_in), checks=CHECKS, login_page=""),
    example("brands", PAGES, brands.WALK, checks=CHECKS),
    example(
        "second-factor",
        (people_have_second_factors,),
        factors.BY_APP,
        factors.BY_RECOVERY_CODE,
        (the_log_in_asks_for_a_code,),
        checks=CHECKS,
        login_page="",
    ),
    example(
        "allauth",
        PAGES,
        (the_link_of_the_log_in_page_leads_to_the_flow,),
        checks=CHECKS,
        login_page="/accounts/login/",
        login_field="login",
    ),
    example(
        "wagtail",
        PAGES,
        wagtail.WALK,
        wagtail.STAFF,
        checks=CHECKS,
        login_page="/cms/login/",
    ),
    example("oscar", oscar.WALK, oscar.INSTEAD, checks=CHECKS),
    example("bootstrap", PAGES, (the_forms_have_bootstraps_classes,), checks=CHECKS),
    example("docker", PAGES, checks=CHECKS),
    example("mobile", API, (phones_know_the_app,), checks=CHECKS),
]


@pytest.mark.parametrize(
    "host", [host for host in HOSTS if host.since <= DJANGO], ids=lambda host: host.name
)
def test_an_example(host, tmp_path):
    if environments.python_for(DJANGO) is None:
        reason = f"no python{environments.PYTHONS[DJANGO]} here"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    project = Example(host, tmp_path)
    try:
        project.start()
        _, failures = Visit(project).take(host.walks)
    finally:
        project.stop()
    if failures:
        raise ExceptionGroup(host.name, [error for _, error in failures])


def test_every_example_is_walked():
    names = {path.parent.name for path in EXAMPLES.glob("*/manage.py")}
    assert names == {host.name for host in HOSTS}
