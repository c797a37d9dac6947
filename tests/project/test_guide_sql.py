"""The SQL of the deployment guide runs in the demo's database as it stands and answers
as it promises.
"""

import os
import subprocess
from datetime import timedelta

import psycopg
import pytest
from django.contrib.auth.hashers import make_password
from django.db import connection, transaction
from django.utils import timezone

from password_reset import tokens
from password_reset.models import PasswordResetToken
from tests import ROOT
from tests.tools.factories import NEW_PASSWORD, OLD_PASSWORD
from tests.tools.people import Person, walk_the_flow
from tests.tools.processes import database_url
from tests.tools.servers import postgres_binaries

pytestmark = pytest.mark.django_db
#: For what other connections must see: psql and the demo's processes.
committed = pytest.mark.django_db(transaction=True)

TABLE = """
SELECT table_name
FROM information_schema.tables
WHERE table_schema = 'public'
  AND table_name = 'password_reset_tokens';
"""
COLUMNS = """
SELECT column_name, data_type, is_nullable
FROM information_schema.columns
WHERE table_name = 'password_reset_tokens'
ORDER BY ordinal_position;
"""
INDEXES = """
SELECT indexname, indexdef
FROM pg_indexes
WHERE tablename = 'password_reset_tokens';
"""
GRANTS = """
-- Create application user if not exists
CREATE USER yourapp_user WITH PASSWORD 'secure-password';

-- Grant permissions
GRANT SELECT, INSERT, UPDATE, DELETE
ON TABLE password_reset_tokens
TO yourapp_user;

GRANT SELECT, UPDATE
ON TABLE users
TO yourapp_user;

GRANT DELETE
ON TABLE user_sessions
TO yourapp_user;

-- Grant sequence permissions
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO yourapp_user;
"""
DEAD = """
SELECT COUNT(*)
FROM password_reset_tokens
WHERE expires_at < NOW() OR used = true;
"""
CLEAN_UP = """
DELETE FROM password_reset_tokens
WHERE expires_at < NOW() OR used = true;
"""
ALL = "SELECT COUNT(*) FROM password_reset_tokens;"


def run(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else cursor.rowcount


def psql(*arguments, url=None, **environment):
    """Run `psql` on this test's database and return what it prints."""
    command = [
        str(postgres_binaries() / "psql"),
        url or database_url(),
        "--no-psqlrc",
        *arguments,
    ]
    done = subprocess.run(
        command, env=os.environ | environment, cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def token(user, **values):
    return PasswordResetToken.objects.create(
        user=user,
        email=user.email,
        token_hash=tokens.digest(tokens.new_token()),
        **{"expires_at": timezone.now() + timedelta(hours=1)} | values,
    )


@pytest.fixture
def live(user):
    """The one living token among a spent, an expired and a voided one."""
    token(user, used_at=timezone.now())
    token(user, expires_at=timezone.now() - timedelta(seconds=1))
    token(user, used_at=timezone.now(), expires_at=timezone.now() - timedelta(days=1))
    return token(user)


def test_the_table_exists():
    assert run(TABLE) == [("password_reset_tokens",)]


def test_the_columns_are_listed_with_type_and_null():
    columns = {name: (kind, null) for name, kind, null in run(COLUMNS)}
    assert columns["user_id"] == ("bigint", "NO")
    assert columns["email"] == columns["token_hash"] == ("character varying", "NO")
    assert (
        columns["expires_at"]
        == columns["created_at"]
        == ("timestamp with time zone", "NO")
    )
    assert columns["used_at"] == ("timestamp with time zone", "YES")
    assert columns["used"][0] == "boolean"


@pytest.mark.parametrize(
    ("name", "column"),
    [("token", "token_hash"), ("user_id", "user_id"), ("email", "email")],
)
def test_the_expected_index_exists(name, column):
    definition = dict(run(INDEXES))[f"idx_password_reset_tokens_{name}"]
    assert f"btree ({column}" in definition  # a class of operators may follow
    assert ("UNIQUE" in definition) == (name == "token")


def test_no_other_index_repeats_one_of_them():
    covered = [
        definition.partition("USING")[2] for definition in dict(run(INDEXES)).values()
    ]
    assert len(covered) == len(set(covered))


def test_the_grants_run():
    with transaction.atomic():
        run(GRANTS)
        assert run("SELECT has_table_privilege('yourapp_user', 'users', 'UPDATE')") == [
            (True,)
        ]
        transaction.set_rollback(True)  # a role belongs to the whole server


def test_dead_tokens_are_counted(live):
    assert run(DEAD) == [(3,)]
    assert run(ALL) == [(4,)]


def test_the_clean_up_deletes_dead_tokens_and_spares_the_living(live):
    assert run(CLEAN_UP) == 3
    assert list(PasswordResetToken.objects.all()) == [live]


@committed
def test_the_cron_line_s_clean_up_runs_in_psql(live):
    delete = (
        "DELETE FROM password_reset_tokens WHERE expires_at < NOW() OR used = true;"
    )
    assert psql("-c", delete).strip() == "DELETE 3"


def test_psql_describes_the_table():
    assert "password_reset_tokens" in psql("-c", r"\dt password_reset_tokens")


def test_the_shipped_file_shows_table_columns_and_indexes():
    shown = psql("--file", "deploy/sql/verify.sql")
    assert "token_hash" in shown
    assert "idx_password_reset_tokens_email" in shown


@pytest.fixture
def application(transactional_db):
    """The address of this database for the role with the fewest rights."""
    role = f"app_{connection.settings_dict['NAME']}"
    for _twice in range(2):
        psql(
            "--file",
            "deploy/sql/grants.sql",
            APP_DATABASE_USER=role,
            APP_DATABASE_PASSWORD="secure-password",
        )
    yield database_url().replace(
        "postgres://postgres@", f"postgres://{role}:secure-password@"
    )
    run(f'DROP OWNED BY "{role}"')
    run(f'DROP ROLE "{role}"')


@pytest.fixture
def demo(application, smtp_server):
    """The environment of the demo as it ships, in that role."""
    return smtp_server.environment | {
        "DATABASE_URL": application,
        "DJANGO_SETTINGS_MODULE": "project.settings",
    }


@committed
def test_the_flow_needs_no_more_than_the_granted_rights(
    demo, processes, smtp_server, user
):
    type(user).objects.update(
        password=make_password(OLD_PASSWORD, hasher="pbkdf2_sha256")
    )
    site = processes.gunicorn(workers=1, **demo)
    worker = processes.db_worker(**demo)
    elsewhere = Person(site.url)
    assert elsewhere.log_in(user.email, OLD_PASSWORD)
    walk_the_flow(site.url, smtp_server, user.email)
    assert not elsewhere.is_logged_in
    assert Person(site.url).log_in(user.email, NEW_PASSWORD)
    assert "permission denied" not in site.log + worker.log


@committed
def test_the_purge_and_cron_need_no_more_than_the_granted_rights(demo, processes, live):
    for command in ("purge_reset_tokens", "process_reset_requests"):
        assert processes.manage(command, **demo).wait() == 0
    assert list(PasswordResetToken.objects.all()) == [live]


@pytest.mark.parametrize(
    "forbidden",
    [
        "CREATE TABLE loot ()",
        "DROP TABLE password_reset_tokens",
        "DELETE FROM users",
        "UPDATE users SET is_superuser = true",
        "UPDATE users SET email = 'mine@example.com'",
        "INSERT INTO users_groups (user_id, group_id) VALUES (1, 1)",
        "CREATE TEMPORARY TABLE loot ()",
        "CREATE SCHEMA loot",
        "SELECT nextval('users_id_seq')",
        "SELECT setval('password_reset_tokens_id_seq', 1)",
    ],
)
def test_the_application_may_not(forbidden, application):
    with (
        psycopg.connect(application) as session,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        session.execute(forbidden)
