"""Earlier releases on today's schema, which is an upgrade under way and a rollback of the
code alone; and after the migrations have gone back too.
"""

import os
import shutil
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

from tests import ROOT
from tests.tools.servers import Postgres
from tests.upgrades import releases
from tests.upgrades.sites import Site

pytestmark = pytest.mark.parametrize("release", releases.known(), ids=lambda r: r[:7])
#: Form, link, API, new password, log-in; then the link once more.
WALKED = [302, 200, 200, 302, True, 410]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def template(request, tmp_path_factory) -> dict[str, Any]:
    """A database with today's schema and four users, as `DATABASES` describes it."""
    if request.param == "sqlite":
        name = str(tmp_path_factory.mktemp("template") / "site.sqlite3")
        database = {"ENGINE": "django.db.backends.sqlite3", "NAME": name}
    else:
        server = request.getfixturevalue("postgres")
        database = in_postgres(server, "template0")
    site = Site(ROOT, database)
    site.migrate()
    site.step("join", "anna", "ben", "carla", "dora")
    return database


@pytest.fixture
def database(template, request, tmp_path) -> dict[str, Any]:
    """A copy of it for one test."""
    if "sqlite" in template["ENGINE"]:
        name = shutil.copy(template["NAME"], tmp_path / "site.sqlite3")
        return template | {"NAME": str(name)}
    return in_postgres(request.getfixturevalue("postgres"), template["NAME"])


def in_postgres(server: Postgres, template: str) -> dict[str, Any]:
    """Make a copy of a database."""
    name, where = f"site_{os.urandom(6).hex()}", urlsplit(server.url)
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": name,
        "USER": where.username,
        "HOST": where.hostname,
        "PORT": where.port,
    }


@pytest.fixture
def today(database) -> Site:
    return Site(ROOT, database)


@pytest.fixture
def earlier(release, database) -> Site:
    if not release.endswith(".whl") and not releases.in_history(release):
        # An archive, or a clone without its history, has nothing to compare with.
        pytest.skip(f"no revision {release[:7]} here")
    return Site(releases.unpacked(release), database)


def test_it_runs_on_the_new_schema(earlier, today):
    assert earlier.step("reset", "anna") == WALKED
    assert "1 tokens" in earlier.step("purge")


def test_requests_and_links_cross_from_one_to_the_other(earlier, today):
    assert today.step("ask", "anna") == 302
    from_earlier = earlier.step("work")["anna"]
    assert earlier.step("ask", "ben") == 302
    from_today = today.step("work")["ben"]
    assert today.step("spend", from_earlier) == 302
    assert earlier.step("spend", from_today) == 302
    assert earlier.step("log_in", "anna")
    assert today.step("log_in", "ben")


def test_an_invitation_stays_closed_to_it_and_whole(earlier, today):
    token = today.step("invite", "carla")
    assert earlier.step("spend", token) in (404, 410)
    assert today.step("spend", token) == 302


def test_the_link_of_a_forced_reset_opens_once_in_one_of_the_two(earlier, today):
    """The oldest opens it, the others leave it to today's."""
    token = today.step("force", "carla")
    answers = [earlier.step("spend", token), today.step("spend", token)]
    assert sorted(answers) == [302, 410]
    assert today.step("log_in", "carla")


def test_it_sends_no_link_to_whose_password_has_been_ended(earlier, today):
    today.step("force", "carla")
    assert earlier.step("ask", "carla") == 302
    assert "carla" not in earlier.step("work")


def test_it_cannot_delete_whom_a_newer_table_names(earlier, today):
    """Until the migrations go back too: docs/upgrading.md says so."""
    today.step("invite", "carla")
    assert "IntegrityError" in earlier.fails("leave", "carla")
    today.migrate("password_reset", releases.newest_migration(earlier.package))
    earlier.step("leave", "carla")


def test_it_runs_after_the_migrations_went_back_and_today_after_they_came_again(
    earlier, today
):
    assert today.step("reset", "anna") == WALKED
    today.step("invite", "carla")
    today.migrate("password_reset", releases.newest_migration(earlier.package))
    assert earlier.step("reset", "ben") == WALKED
    today.migrate()
    assert today.step("reset", "dora") == WALKED
