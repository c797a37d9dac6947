"""Somebody who has become a user of the server, by a hole in nginx or in the site: they
find no secret but their user's own, no way to another user and none to a superuser.

On the machine of test_install, after all that was done there.
"""

import re
import shlex
from collections.abc import Iterator
from subprocess import CompletedProcess

import pytest

from tests.server.site import CLUSTER, Site

MACHINE = "install"
#: The site's user twice: in a shell of its own, and where its services run.
INTRUDERS = (
    "www-data",
    "password-reset",
    "the site's sandbox",
    "password-reset-backup",
    "nobody",
)
ENVIRONMENTS = ("answers", "env", "owner-env", "backup-env")


def become(site: Site, intruder: str, script: str) -> CompletedProcess[str]:
    """Run a script of bash as somebody who does not get on by themselves."""
    if intruder == "the site's sandbox":
        return site.type(f"deploy/run bash -c {shlex.quote(script)}", check=False)
    return site.run(script, user=intruder, check=False)


def user_of(intruder: str) -> str:
    return "password-reset" if intruder == "the site's sandbox" else intruder


# Secrets.


@pytest.fixture(scope="module")
def secrets(installed: Site) -> dict[str, str]:
    """Every secret of the server, by its name."""
    found: dict[str, str] = {}
    for name in ENVIRONMENTS:
        text = installed.machine.read(f"/etc/password-reset/{name}")
        found |= re.findall(
            r"^(\w+_(?:SECRET|TOKEN|PASSWORD))='?(\S+?)'?$", text, re.MULTILINE
        )
        urls = re.findall(
            r"^(\w*DATABASE\w*_URL)=\w+://[^:]+:([^@]+)@", text, re.MULTILINE
        )
        found |= urls
    keys = {"key of the site": "/etc/tls/site.key"}
    keys["key of the database"] = f"/etc/postgresql/{CLUSTER}/database.key"
    for name, path in keys.items():
        found[name] = installed.machine.read(path).splitlines()[3]
    return {name: value for name, value in found.items() if value}


#: Of whom a secret is, beside root.
OWN = {
    "password-reset": {
        "SESSION_SECRET",
        "METRICS_TOKEN",
        "REDIS_PASSWORD",
        "DATABASE_URL",
    },
    "password-reset-backup": {"DATABASE_BACKUP_URL"},
}


def of_others(secrets: dict[str, str], intruder: str) -> dict[str, str]:
    own = OWN.get(user_of(intruder), set())
    return {name: value for name, value in secrets.items() if name not in own}


def shown(secrets: dict[str, str], text: str) -> set[str]:
    return {name for name, value in secrets.items() if value in text}


def test_the_secrets_are_those_that_the_server_has(secrets: dict[str, str]) -> None:
    assert set(secrets) == {
        *OWN["password-reset"],
        *OWN["password-reset-backup"],
        "OWNER_DATABASE_URL",
        "key of the site",
        "key of the database",
    }


@pytest.fixture
def patterns(installed: Site, secrets: dict[str, str]) -> Iterator[str]:
    path = "/opt/patterns"
    installed.machine.write(path, "\n".join(secrets.values()) + "\n", mode=0o600)
    yield path
    installed.run(f"rm {path}")


PLACES = (
    "/dev/shm /etc /home /opt /root /run /srv /tmp /usr/local /var /var/tmp /mnt /media"
)


@pytest.mark.parametrize("intruder", INTRUDERS)
def test_no_file_that_an_intruder_reads_has_a_secret_of_others(
    installed: Site, secrets: dict[str, str], patterns: str, intruder: str
) -> None:
    find = f"find {PLACES} -xdev -type f -readable -print0 2> /dev/null; true"
    readable = [
        name for name in become(installed, intruder, find).stdout.split("\0") if name
    ]
    assert "/etc/passwd" in readable
    # What this test reads by itself is not of the server.
    listed = "\0".join(name for name in readable if "/var/cache/pip" not in name)
    installed.machine.write("/opt/readable", listed)
    search = (
        f"xargs -0 grep --files-with-matches -sF -f {patterns} < /opt/readable; true"
    )
    found = installed.run(search).stdout.splitlines()
    others = of_others(secrets, intruder)
    guilty = {
        path: shown(others, installed.run(f"cat {shlex.quote(path)}").stdout)
        for path in found
    }
    assert {path: names for path, names in guilty.items() if names} == {}


LOOK = """
ps axeww
for process in /proc/[0-9]*; do
    cat $process/environ $process/cmdline
    for file in $process/fd/*; do [ -f $file ] && timeout 1 head -c 100000 $file; done
done
systemctl show '*'
systemctl cat '*'
journalctl --no-pager --output export
crontab -l
true
"""


@pytest.mark.parametrize("intruder", INTRUDERS)
def test_no_process_unit_or_journal_shows_a_secret_of_others(
    installed: Site, secrets: dict[str, str], intruder: str
) -> None:
    seen = become(installed, intruder, f"exec 2> /dev/null\n{LOOK}").stdout
    assert "systemd" in seen or intruder == "the site's sandbox"
    assert shown(of_others(secrets, intruder), seen) == set()


def test_no_journal_or_log_holds_a_secret_even_for_root(
    installed: Site, patterns: str
) -> None:
    """They are copied to other machines."""
    logs = f"grep -rlaF -f {patterns} /var/log/nginx /var/log/postgresql /var/log/redis"
    assert installed.run(f"{logs}; true").stdout == ""
    journal = f"journalctl --no-pager --output export | grep -caF -f {patterns}; true"
    assert installed.run(journal).stdout.strip() == "0"


def test_no_process_of_installation_release_or_restore_has_shown_a_secret(
    installed: Site, secrets: dict[str, str]
) -> None:
    """A stranger has looked at `ps` five times a second since before the installation."""
    watched = installed.machine.read("/var/tmp/watched")
    assert "gunicorn" in watched
    assert "pg_dump" in watched or "psql" in watched
    assert shown(secrets, watched) == set()


USERS = ("www-data", "password-reset", "password-reset-backup", "nobody")
OF_WHOM = {
    "/etc/password-reset/answers": set(),
    "/etc/password-reset/env": {"password-reset"},
    "/etc/password-reset/owner-env": set(),
    "/etc/password-reset/backup-env": {"password-reset-backup"},
    "/etc/tls/site.key": set(),
    f"/etc/postgresql/{CLUSTER}/database.key": set(),
    "/etc/redis/password.conf": set(),
    "/etc/prometheus/metrics_token": set(),
    "/etc/prometheus/alertmanager.yml": set(),
    "/var/backups/password-reset/.": {"password-reset-backup"},
    "/var/lib/systemd/credential.secret": set(),
    "/var/lib/password-reset/.": {"password-reset"},
    f"/var/lib/postgresql/{CLUSTER}/.": set(),
    "/var/lib/redis/.": set(),
}


@pytest.mark.parametrize("user", USERS)
def test_each_reads_its_own_secrets_and_no_others(installed: Site, user: str) -> None:
    installed.run("systemd-creds setup")
    script = "for path; do test -r $path && echo $path; done; true"
    read = installed.run(f"set -- {shlex.join(OF_WHOM)}; {script}", user=user).stdout
    assert set(read.split()) == {path for path, who in OF_WHOM.items() if user in who}


@pytest.mark.parametrize("intruder", INTRUDERS)
def test_a_credential_is_decrypted_by_nobody_else(
    installed: Site, intruder: str
) -> None:
    credential = "/tmp/a_secret.cred"
    installed.run(
        f"printf hidden | systemd-creds encrypt --name=a_secret - {credential}; chmod 644 {credential}"
    )
    opened = f"systemd-creds decrypt --name=a_secret {credential} -"
    assert installed.run(opened).stdout == "hidden"
    result = become(installed, intruder, opened)
    assert (result.returncode != 0, "hidden" in result.stdout) == (True, False)


# Ways to be somebody else.

#: What a package of Debian gives a set-id bit, and nothing of ours.
SET_ID = "find / -xdev -type f -perm /6000"


def test_no_program_but_debians_own_runs_as_somebody_else(installed: Site) -> None:
    programs = installed.run(SET_ID).stdout.split()
    assert "/usr/bin/passwd" in programs
    real = [re.sub("^/usr(/s?bin/)", r"\1", path) for path in programs]
    owned = installed.run(
        f"dpkg --search {' '.join(programs + real)} 2> /dev/null; true"
    )
    packaged = set(re.findall(r": (\S+)$", owned.stdout, re.MULTILINE))
    unknown = [
        path for path in programs if not {path, re.sub("^/usr", "", path)} & packaged
    ]
    assert unknown == []


#: Where everybody may write, and where some may.
EVERYBODY = r"/(dev/(shm|mqueue|pts|tty|console|null|zero|full|random|urandom|ptmx|fuse|net)|tmp|var/tmp|run/lock|proc|sys)\b"
WRITABLE = {
    "www-data": r"/var/(lib|log|cache)/nginx\b|/var/cache/nginx\b",
    "password-reset": r"/var/lib/password-reset/?(?!-)",
    "the site's sandbox": r"/var/lib/password-reset/?(?!-)",
    "password-reset-backup": r"/var/backups/password-reset\b|/var/lib/password-reset-backup\b",
    "nobody": r"$.",
}


@pytest.mark.parametrize("intruder", INTRUDERS)
def test_an_intruder_writes_into_their_own_folders_only(
    installed: Site, intruder: str
) -> None:
    """So into no unit, no release, no configuration, no table of cron, no backup."""
    find = r"find / -regextype posix-extended -regex '/(proc|sys)' -prune -o \( -type f -o -type d \) -writable -print 2> /dev/null; true"
    places = become(installed, intruder, find).stdout.splitlines()
    assert any(place.startswith("/tmp") for place in places)
    allowed = re.compile(f"{EVERYBODY}|{WRITABLE[intruder]}")
    assert [place for place in places if not allowed.match(place)] == []


@pytest.mark.parametrize("intruder", INTRUDERS)
@pytest.mark.parametrize(
    "attempt",
    [
        "psql -U postgres -d postgres -c 'SELECT 1'",
        "redis-cli ping | grep PONG",
        "sudo -n true",
        "su -c true < /dev/null",
        "su postgres -c true < /dev/null",
        "setpriv --reuid=0 true",
        "chown root /tmp",
        "touch /srv/password-reset/current/project/settings.py",
        "touch /srv/password-reset/current/.venv/bin/python",
        "touch /srv/password-reset/releases/v9.9.9",
        "ln -sfn /tmp /srv/password-reset/current",
        "touch /srv/password-reset/static/script.js",
        "echo x >> /etc/systemd/system/password-reset-web.service",
        "echo x > /etc/systemd/system/password-reset-web.service.d/x.conf",
        "echo '* * * * * root id' > /etc/cron.d/intruder",
        "echo '* * * * * id' | crontab -u root -",
        "systemctl --no-ask-password restart password-reset-web",
        "systemctl --no-ask-password set-property password-reset-web Nice=1",
        "systemd-run --no-ask-password --wait id",
        "busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager Reboot",
        "deploy/as_owner id",
        "/srv/password-reset/current/deploy/as_owner id",
        "/srv/password-reset/current/deploy/run id",
        "exec 9< /run/password-reset.lock && flock --nonblock 9",
        "nsenter --target 1 --mount true",
        "gdb -p 1 || head -c 1 /proc/1/mem",
        "kill -0 $(cat /run/nginx.pid)",
        "curl -fsS -X POST http://127.0.0.1:9090/-/reload",
        "curl -fsS -X POST http://127.0.0.1:9090/-/quit",
    ],
)
def test_no_intruder_gets_further(installed: Site, intruder: str, attempt: str) -> None:
    result = become(installed, intruder, f"set -o pipefail; {attempt}")
    assert result.returncode != 0, result.stdout


def test_the_sandbox_leaves_no_job_for_cron_behind(installed: Site) -> None:
    sandbox = "the site's sandbox"
    assert become(installed, sandbox, "echo '* * * * * id' | crontab -").returncode
    assert installed.run("ls /var/spool/cron/crontabs").stdout == ""


@pytest.fixture
def link_to_anywhere(installed: Site) -> Iterator[str]:
    """Where the user of the backups would have root write."""
    target, link = "/etc/led-astray", "/var/backups/password-reset/verified"
    user = "password-reset-backup"
    installed.run(f"rm -f {link}; ln -s {target} {link}", user=user)
    yield target
    installed.run(f"rm -f {link} {target}")


def test_root_follows_no_link_of_the_user_of_the_backups(
    installed: Site, link_to_anywhere: str
) -> None:
    installed.run("systemctl start password-reset-backup.service")
    installed.type("deploy/restore --verify", check=False)
    assert installed.run(f"test -e {link_to_anywhere}", check=False).returncode == 1


VERIFIER = "SELECT rolpassword FROM pg_authid WHERE rolname = 'yourapp_owner'"
#: Its restoration runs a statement that the owner of the tables may run.
PLANTED = """
CREATE FUNCTION run_it() RETURNS bool LANGUAGE plpgsql AS
$$ BEGIN ALTER ROLE yourapp_owner PASSWORD 'planted'; RETURN true; END $$;
CREATE TABLE planted (id int CHECK (run_it()));
INSERT INTO planted VALUES (1);
"""


@pytest.fixture
def planted(installed: Site) -> Iterator[None]:
    """A dump that the user of the backups has made themselves."""
    dump = "/var/backups/password-reset/password-reset-99991231T000000Z.dump"
    before = installed.sql(VERIFIER)
    installed.run("createdb planting", user="postgres")
    installed.sql(PLANTED, "planting")
    installed.sql(f"ALTER ROLE yourapp_owner PASSWORD '{before}'")
    make = "pg_dump --format=custom --no-owner planting > /tmp/planted.dump"
    installed.run(make, user="postgres")
    installed.run(f"cat /tmp/planted.dump > {dump}", user="password-reset-backup")
    yield
    installed.run(f"rm -f {dump} /tmp/planted.dump")
    installed.run("dropdb planting", user="postgres")


def test_a_dump_that_was_planted_does_nothing_as_the_owner(
    installed: Site, planted: None
) -> None:
    before = installed.sql(VERIFIER)
    result = installed.type("deploy/restore --verify", check=False)
    assert "must have" in result.stderr or "permission denied" in result.stderr
    assert installed.sql(VERIFIER) == before
    left = "SELECT count(*) FROM pg_roles WHERE rolname LIKE 'password_reset_verify%'"
    assert installed.sql(left) == "0"


# The database.

ROLES = ("postgres", "yourapp_owner", "yourapp_user", "yourapp_backup")
HOSTS = ("", "/var/run/postgresql", "127.0.0.1", "::1")
DATABASES = ("postgres", "yourapp_db")
CONNECT = f"""
for role in {" ".join(ROLES)}; do for host in {" ".join(HOSTS[1:])} ''; do
    for database in {" ".join(DATABASES)}; do for mode in disable require; do
        PGSSLMODE=$mode timeout 5 psql -XtAwU $role ${{host:+-h $host}} -d $database \\
            -c "SELECT 'in as $role by $host'"
        echo tried
    done; done
done; done
"""


@pytest.mark.parametrize("intruder", INTRUDERS)
def test_postgresql_lets_nobody_in_without_a_password(
    installed: Site, intruder: str
) -> None:
    result = become(installed, intruder, f"unset ${{!PG*}}; {CONNECT}")
    tried = len(ROLES) * len(HOSTS) * len(DATABASES) * 2
    assert result.stdout.count("tried") == tried, result.stderr
    assert "in as" not in result.stdout


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER ROLE CURRENT_USER SUPERUSER",
        "ALTER ROLE yourapp_user CREATEROLE",
        "GRANT pg_execute_server_program TO CURRENT_USER",
        "GRANT pg_read_server_files TO CURRENT_USER",
        "GRANT pg_write_server_files TO CURRENT_USER",
        "GRANT postgres TO CURRENT_USER",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "SET ROLE pg_execute_server_program",
        "CREATE ROLE mallory SUPERUSER LOGIN",
        "CREATE ROLE mallory",
        "CREATE DATABASE mallory",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "COPY (SELECT 1) TO '/tmp/copied'",
        "COPY pg_class FROM PROGRAM 'id'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_read_file('/etc/password-reset/env')",
        "SELECT pg_ls_dir('/')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT lo_export(1, '/tmp/exported')",
        "SELECT rolpassword FROM pg_authid",
        "SELECT passwd FROM pg_shadow",
        "SELECT umoptions FROM pg_user_mapping",
        "CREATE EXTENSION plpython3u",
        "CREATE EXTENSION file_fdw",
        "CREATE FUNCTION f() RETURNS int LANGUAGE c AS '/lib/x86_64-linux-gnu/libc.so.6', 'system'",
        "CREATE FUNCTION f() RETURNS int LANGUAGE internal AS 'pg_read_file'",
        "CREATE EVENT TRIGGER t ON ddl_command_start EXECUTE FUNCTION now()",
        "LOAD '/tmp/x.so'",
        "ALTER SYSTEM SET archive_command = 'id'",
        "SET session_preload_libraries = '/tmp/x.so'",
        "SELECT pg_reload_conf()",
        "CREATE SUBSCRIPTION s CONNECTION 'host=127.0.0.1' PUBLICATION p",
    ],
)
@pytest.mark.parametrize(
    "role", ["DATABASE_URL", "OWNER_DATABASE_URL", "DATABASE_BACKUP_URL"]
)
def test_no_role_of_the_site_becomes_superuser(
    installed: Site, role: str, statement: str
) -> None:
    result = as_role(installed, role, statement)
    assert result.returncode != 0, result.stdout
    assert "ERROR" in result.stderr


def as_role(site: Site, role: str, statement: str) -> CompletedProcess[str]:
    files = (
        "set -a; for f in env owner-env backup-env; do . /etc/password-reset/$f; done"
    )
    command = shlex.join(["psql", "-X", "-v", "ON_ERROR_STOP=1", "-c", statement])
    return site.type(f"{files}; deploy/with_database {role} {command}", check=False)


@pytest.mark.parametrize("role", ["DATABASE_URL", "DATABASE_BACKUP_URL"])
@pytest.mark.parametrize(
    "statement",
    [
        "SET ROLE yourapp_owner",
        "ALTER ROLE yourapp_owner PASSWORD 'x'",
        "UPDATE users SET is_superuser = true",
        "INSERT INTO users SELECT * FROM users",
        "CREATE TABLE mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
        "SELECT lo_creat(-1)",
    ],
)
def test_no_role_becomes_the_owner_of_the_tables_or_makes_a_superuser_of_the_site(
    installed: Site, role: str, statement: str
) -> None:
    assert "ERROR" in as_role(installed, role, statement).stderr


@pytest.mark.parametrize(
    "command",
    [
        "CONFIG SET dir /etc/cron.d",
        "CONFIG SET dbfilename intruder",
        "MODULE LOAD /tmp/x.so",
        "DEBUG SLEEP 0",
    ],
)
def test_redis_is_no_way_to_its_files_for_who_knows_its_password(
    installed: Site, command: str
) -> None:
    known = ". /etc/password-reset/env; export REDISCLI_AUTH=$REDIS_PASSWORD"
    assert "PONG" in installed.run(f"{known}; redis-cli ping").stdout
    answer = installed.run(f"{known}; redis-cli {command}").stdout
    assert "OK" not in answer
    assert "ERR" in answer


def test_the_command_line_verifies_the_server_and_shows_no_password(
    installed: Site,
) -> None:
    files = "set -a; . /etc/password-reset/owner-env"
    watch = "deploy/with_database OWNER_DATABASE_URL psql -XtAc "
    shown = installed.type(f"""{files}; {watch} 'SELECT pg_sleep(3)' > /dev/null &
        sleep 1; ps axww -o args; wait""").stdout
    password = installed.type(f"{files}; printf %s $OWNER_DATABASE_URL").stdout
    assert "pg_sleep" in shown
    assert password.split(":")[2].split("@")[0] not in shown
    used = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    assert installed.type(f"{files}; {watch} '{used}'").stdout.strip() == "t"
    wrong = f"{files}; DATABASE_SSL_CA=/etc/tls/ca.pem; {watch} 'SELECT 1'"
    result = installed.type(wrong, check=False)
    assert result.returncode != 0
    assert "certificate verify failed" in result.stderr


def test_what_needs_no_stranger_listens_on_this_machine_alone(installed: Site) -> None:
    listening = installed.run("ss -Hltn | awk '{ print $4 }'").stdout.split()
    ports = {"8000", "5432", "6379", "9090", "9093", "9094", "9100"}
    public = [
        place
        for place in listening
        if place.rpartition(":")[2] in ports and not re.match(r"127\.|\[::1\]", place)
    ]
    assert public == []


def test_no_page_of_the_monitoring_shows_a_secret(
    installed: Site, secrets: dict[str, str]
) -> None:
    """They have no log-in: every user of the server may call them."""
    pages = "9090/api/v1/status/config 9090/api/v1/status/flags 9090/api/v1/targets 9093/api/v2/status 9100/metrics"
    script = f"for page in {pages}; do curl -fsS http://127.0.0.1:${{page}}; done"
    seen = installed.run(script, user="nobody").stdout
    assert "smarthost" in seen
    assert shown(secrets, seen) == set()
