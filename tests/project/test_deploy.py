"""The deployment kit agrees with itself and with the site; what needs real servers is
in tests/kit.
"""

import re

import pytest
from django.apps import apps
from django.core.management import get_commands

from project.env import BY_NAME, VARIABLES
from tests import ROOT
from tests.tools.blocks import anchors

DEPLOY = ROOT / "deploy"
GUIDE = (DEPLOY / "DEPLOYMENT.md").read_text()
EXAMPLE = (DEPLOY / "env.production.example").read_text()
GRANTS = (DEPLOY / "sql" / "grants.sql").read_text()
ASSIGNED = re.findall(r"^([A-Z_]+)=", EXAMPLE, re.MULTILINE)
#: What gunicorn itself reads.
OTHERS = {"WEB_CONCURRENCY", "WEB_THREADS"}


def mapping() -> list[list[str]]:
    """Return the rows of the table that maps the original guide's headings to ours."""
    table = GUIDE.partition("| the guide | here |")[2].splitlines()[2:]
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table if line
    ]


def test_the_example_has_every_variable_once() -> None:
    assert sorted(ASSIGNED) == sorted(set(BY_NAME) | OTHERS)


def test_the_example_has_no_comment_behind_a_value() -> None:
    assert re.findall(r"^[A-Z_]+=.* #.*$", EXAMPLE, re.MULTILINE) == []


def test_the_example_explains_every_variable_or_its_group() -> None:
    blocks = EXAMPLE.split("# --- ")[1:]
    assert [
        block.splitlines()[0]
        for block in blocks
        if not re.search(r"^# \w", block, re.MULTILINE)
    ] == []


def test_the_mapping_has_no_empty_cell() -> None:
    rows = mapping()
    assert len(rows) > 50
    assert [row for row in rows if len(row) != 4 or not all(row)] == []


@pytest.mark.parametrize(
    "deviation",
    [
        "`/metrics` is closed",
        "allkeys-lru",
        "JWT_SECRET",
        "PM2",
        "X-XSS-Protection",
        "severity",
    ],
)
def test_each_deviation_from_the_guide_is_named(deviation: str) -> None:
    assert deviation in " ".join(row[2] for row in mapping())


def test_every_link_of_the_guide_leads_somewhere() -> None:
    linked = set(re.findall(r"\]\(#([^)]+)\)", GUIDE))
    assert linked
    assert linked <= anchors(GUIDE)


def test_every_file_that_the_guide_names_is_there() -> None:
    named = set(re.findall(r"\bdeploy/[\w./-]*\w", GUIDE)) - {
        "deploy/secrets",
        "deploy/.env",
    }
    missing = [path for path in named if not (DEPLOY.parent / path).exists()]
    made = {"deploy/.env.production", "deploy/backups"}
    assert set(missing) <= made


def test_every_file_of_the_kit_is_named_somewhere_in_it() -> None:
    files = [
        path
        for path in DEPLOY.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    ]
    text = (
        "".join(path.read_text() for path in files)
        + (DEPLOY.parent / "Makefile").read_text()
    )
    unnamed = [
        path.name
        for path in files
        if path.name not in text and path.parent.name not in text
    ]
    assert unnamed == []


def test_every_command_of_the_kit_exists() -> None:
    texts = [
        path.read_text()
        for path in DEPLOY.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    ]
    named = set(re.findall(r"(?<!-q )manage\.py ([a-z_]+)", " ".join(texts)))
    assert named >= {
        "migrate",
        "purge_reset_tokens",
        "process_reset_requests",
        "db_worker",
    }
    assert named <= set(get_commands())


def test_the_grants_name_every_table_of_the_site() -> None:
    tables = {
        model._meta.db_table for model in apps.get_models(include_auto_created=True)
    }
    others = {
        table
        for table in tables
        if re.match(r"axes|knox|otp|authtoken|token_blacklist", table)
    }
    assert [table for table in sorted(tables - others) if table not in GRANTS] == []


def test_the_guide_names_every_variable_that_it_needs() -> None:
    assert len(VARIABLES) == len(BY_NAME)
    for name in (
        "TRUSTED_PROXIES",
        "METRICS_TOKEN",
        "DATABASE_SSL_CA",
        "FEATURE_PASSWORD_RESET",
    ):
        assert name in GUIDE


STEP = re.compile(
    r"^```sh needs: root on the server \(step (\S+)\)\n(.*?)^```$",
    re.MULTILINE | re.DOTALL,
)


def test_the_guide_shows_every_step_of_the_installation_as_it_runs() -> None:
    files = sorted((DEPLOY / "server" / "steps").iterdir())
    shipped = [(path.name, path.read_text()) for path in files]
    assert STEP.findall(GUIDE) == shipped
