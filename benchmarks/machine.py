"""The parts that all sites share, and one gunicorn for each site."""

import os
import platform
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from urllib.parse import urlsplit

import psycopg

from benchmarks.client import Client
from benchmarks.doors import DEMO, Site
from benchmarks.mailbox import Mailbox
from benchmarks.processes import (
    free_port,
    processor_seconds,
    spawn,
    stop,
    wait_for_port,
)
from tests.tools.servers import Postgres, Redis, redis_version

USERS = 100_000
PASSWORD_HASH = "pbkdf2_sha256$1000000$benchmark$" + "A" * 43 + "="
FILL_USERS = """
    INSERT INTO users (email, password, is_active{columns})
    SELECT 'user' || lpad(n::text, 6, '0') || '@example.com', %s, true{values}
    FROM generate_series(0, %s - 1) AS n
"""
OTHER_COLUMNS = """
    SELECT column_name, data_type FROM information_schema.columns
    WHERE table_name = 'users' AND is_nullable = 'NO' AND is_identity = 'NO'
    AND column_name NOT IN ('email', 'password', 'is_active')
"""
EMPTY_VALUES = {
    "boolean": "false",
    "character varying": "''",
    "timestamp with time zone": "now()",
}
HAS_TEMPLATE = "SELECT 1 FROM pg_database WHERE datname = 'people'"
WORKER = "benchmark-worker"
AT_WORK = """
    SELECT count(DISTINCT application_name) FROM pg_stat_activity
    WHERE datname = %s AND application_name LIKE %s
"""
PEOPLE = Site("people", "benchmarks.sites.contrib_auth.settings", "")
Process = subprocess.Popen[bytes]
PRODUCTION = {
    "ENVIRONMENT": "staging",
    "API_URL": "https://127.0.0.1",
    "WEB_URL": "https://127.0.0.1",
    "DATABASE_SSL": "false",
    "EMAIL_PROVIDER": "smtp",
    "SMTP_HOST": "127.0.0.1",
    "SMTP_FROM": "accounts@site.example",
    "SESSION_SECRET": token_hex(32),
    "TRUSTED_PROXIES": "127.0.0.1",
}
GUNICORN = (
    "--workers 2 --worker-class gthread --threads 20 --keep-alive 30 --log-level error"
)


class DurablePostgres(Postgres):
    """A PostgreSQL that waits for the disk at each commit, as in production."""

    def __init__(self) -> None:
        super().__init__()
        # Test servers live in memory where there is room; there a commit has no disk to
        # wait for.
        disk = Path(tempfile.gettempdir())
        if self.folder.parent != disk:
            self.folder = Path(shutil.move(self.folder, disk))

    def command(self) -> list[str]:
        """Switch on again what tests switch off."""
        settings = ("fsync=on", "synchronous_commit=on", "full_page_writes=on")
        memory = ("shared_buffers=512MB", "max_wal_size=4GB")
        return [
            *super().command(),
            *(part for s in settings + memory for part in ("-c", s)),
        ]


def known_address(number: int | None = None) -> str:
    """Return the address of an account, by default of any."""
    number = random.randrange(USERS) if number is None else number
    return f"user{number:06d}@example.com"


def unknown_address(number: int | None = None) -> str:
    """Return an address of the same length without an account."""
    number = random.randrange(USERS) if number is None else number
    return f"none{number:06d}@example.com"


class Machine:
    """PostgreSQL, Redis, SMTP and the sites on this machine."""

    def __init__(self, stack: ExitStack) -> None:
        self.stack = stack
        self.folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))
        )
        self.postgres, self.redis = DurablePostgres(), Redis()
        for server in (self.postgres, self.redis):
            stack.callback(server.close)
            server.start()
        self.mailbox = Mailbox(free_port(), self.folder / "mails")
        self.mailbox.open()
        stack.callback(self.mailbox.close)
        self.ports: dict[str, int] = {}
        self.web: dict[str, Process] = {}
        #: This app at an older revision, which has a database and no web process.
        self.before: Site | None = None

    def open(self, site: Site) -> None:
        """Make a site's database and serve it, unless that is done."""
        if site.name in self.ports:
            return
        self.create_database(site)
        self.ports[site.name] = free_port()
        bind = ["--bind", f"127.0.0.1:{self.ports[site.name]}", *GUNICORN.split()]
        command = [sys.executable, "-m", "gunicorn", *bind]
        application = "django.core.wsgi:get_wsgi_application()"
        process = spawn(
            [*command, application], self.log(site, "web"), self.environment(site)
        )
        self.stack.callback(stop, process)
        self.web[site.name] = process
        wait_for_port(self.ports[site.name])
        # The port is open before anybody is there to answer.
        Client(self.ports[site.name]).get(site.request_path)

    def environment(self, site: Site, **more: str) -> dict[str, str]:
        """Return what a site's processes need to know, under the demo's names."""
        return {
            "PYTHONPATH": str(site.root),
            "DJANGO_SETTINGS_MODULE": site.settings,
            "DATABASE_URL": self.database_url(site),
            "REDIS_URL": self.redis.url,
            "SMTP_PORT": str(self.mailbox.port),
            **PRODUCTION,
            **more,
        }

    def log(self, site: Site, name: str) -> Path:
        """Return the file for a process's output."""
        return self.folder / f"{database_name(site)}-{name}.log"

    def database_url(self, site: Site) -> str:
        """Return where a site's rows are."""
        return self._url(database_name(site))

    def python(self, site: Site, *arguments: str, **more: str) -> str:
        """Run a Python module with a site's settings; raise with its output when it
        fails.
        """
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=site.root,
            env={**os.environ, **self.environment(site, **more)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{arguments}: {done.stdout}{done.stderr}")
        return done.stdout

    def manage(self, site: Site, *arguments: str, **more: str) -> str:
        """Run a management command."""
        return self.python(site, "django", *arguments, WITHOUT_POOL="1", **more)

    def worker(
        self, site: Site, interval: float = 1, count: int = 1
    ) -> AbstractContextManager[list[Process]]:
        """Run workers of a site's task queue."""
        command = ["db_worker", "--interval", str(interval), "--no-startup-delay"]
        return self._workers(site, command, count)

    def loop(
        self, site: Site, *options: str, count: int = 1
    ) -> AbstractContextManager[list[Process]]:
        """Run workers that need no task queue."""
        command = ["process_reset_requests", "--loop", *options]
        return self._workers(site, command, count)

    @contextmanager
    def _workers(
        self, site: Site, command: Sequence[str], count: int
    ) -> Iterator[list[Process]]:
        """Run a command several times, and wait until all are at work."""
        processes = [self._start_worker(site, command, n) for n in range(count)]
        try:
            self._wait_for_workers(site, count)
            yield processes
        finally:
            for process in processes:
                stop(process)

    def _start_worker(self, site: Site, command: Sequence[str], number: int) -> Process:
        name = f"{WORKER}-{number}"
        environment = self.environment(site, PGAPPNAME=name, WITHOUT_POOL="1")
        whole = [sys.executable, "-m", "django", *command]
        return spawn(whole, self.log(site, "worker"), environment, site.root)

    def _wait_for_workers(self, site: Site, count: int, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        names = (database_name(site), f"{WORKER}-%")
        while self.sql(site, AT_WORK, *names) < [(count,)]:
            if time.monotonic() > end:
                raise TimeoutError(self.log(site, "worker").read_text())
            time.sleep(0.05)

    def sql(
        self, site: Site, statement: str, *values: object
    ) -> list[tuple[object, ...]]:
        """Run one statement on a site's database."""
        with psycopg.connect(self.database_url(site), autocommit=True) as connection:
            cursor = connection.execute(statement, values or None)
            return cursor.fetchall() if cursor.description else []

    def processor_seconds(self, site: Site, workers: Sequence[Process] = ()) -> float:
        """Return what a site has used so far: web, workers, PostgreSQL and Redis."""
        mine = [process.pid for process in (self.web[site.name], *workers)]
        return processor_seconds([*mine, *self.servers()])

    def servers(self) -> list[int]:
        """Return the process numbers of PostgreSQL and Redis."""
        both = (self.postgres.process, self.redis.process)
        return [process.pid for process in both if process]

    def forget_requests(self, site: Site) -> None:
        """Empty this app's tables and its queue."""
        found = self.sql(
            site,
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
            " AND (tablename LIKE 'password\\_reset\\_%' OR tablename LIKE "
            "'django\\_tasks%')",
        )
        if tables := ", ".join(str(row[0]) for row in found):
            self.sql(site, f"TRUNCATE {tables}")

    def _url(self, database: str) -> str:
        return urlsplit(self.postgres.url)._replace(path=f"/{database}").geturl()

    def versions(self) -> str:
        """Say in one line what everything runs on."""
        with psycopg.connect(self.postgres.url) as connection:
            number = connection.info.server_version
        packages = [
            f"{name} {version(name)}"
            for name in ("Django", "gunicorn", "psycopg", "redis")
        ]
        servers = [
            f"PostgreSQL {number // 10000}.{number % 10000}",
            redis_version(self.redis.url),
        ]
        return ", ".join([f"Python {platform.python_version()}", *packages, *servers])

    def create_database(self, site: Site) -> None:
        """Make a site's database, with the accounts in it."""
        with psycopg.connect(self.postgres.url, autocommit=True) as connection:
            if site == DEMO:
                connection.execute(f"CREATE DATABASE {database_name(site)}")
                self._fill(site)
                return
            if not connection.execute(HAS_TEMPLATE).fetchone():
                connection.execute("CREATE DATABASE people")
                self._fill(PEOPLE)
            connection.execute(f"CREATE DATABASE {database_name(site)} TEMPLATE people")
        self.manage(site, "migrate", "--skip-checks", "--verbosity", "0")

    def _fill(self, site: Site) -> None:
        self.manage(site, "migrate", "--skip-checks", "--verbosity", "0")
        others = self.sql(site, OTHER_COLUMNS)
        columns = "".join(f", {name}" for name, _ in others)
        values = "".join(f", {EMPTY_VALUES[str(kind)]}" for _, kind in others)
        self.sql(
            site,
            FILL_USERS.format(columns=columns, values=values),
            PASSWORD_HASH,
            USERS,
        )
        self.sql(site, "VACUUM ANALYZE")


def database_name(site: Site) -> str:
    """Return a name that PostgreSQL takes without quotes."""
    return "".join(c if c.isalnum() else "_" for c in site.name.lower())
