"""A host as a folder of files and a process that serves it."""

import json
import os
import shutil
import sqlite3
import subprocess
from functools import cached_property
from pathlib import Path

import requests

from tests.hosts import readme
from tests.hosts.environments import Environment
from tests.hosts.host import Host
from tests.hosts.mailbox import Mailbox
from tests.tools.servers import dies_with_us, free_port, wait_until

#: What Django asks a MariaDB on each new connection.
SET_UP = ("SELECT VERSION()", "SET SESSION")
HERE = Path(__file__).parent
OLD_PASSWORD = "only-the-old-one-knows"
KEPT = ("HOME", "PATH", "LANG", "TZ", "SSL_CERT_FILE")


class Project:
    """A project that knows nothing of this repository."""

    def __init__(self, host: Host, environment: Environment, folder: Path) -> None:
        self.host = host
        self.python = environment.python
        self.folder = folder
        self.mailbox = Mailbox(folder / "mails")
        self.port = free_port()
        #: Where its people stand in its admin.
        self.people: dict[str, dict[str, str]] = {}
        self.process: subprocess.Popen[bytes] | None = None
        shutil.copytree(environment.skeleton, folder, dirs_exist_ok=True)
        shutil.copytree(HERE / "stage", folder / "stage")
        for app in host.apps:
            shutil.copytree(HERE / "apps" / app, folder / app)
        self._write("settings.py", host.settings)
        self._write("urls.py", host.urls)
        for path, text in host.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)

    def _write(self, name: str, lines: str) -> None:
        path = self.folder / "host" / name
        kept = [
            line
            for line in path.read_text().splitlines()
            if not any(word in line for word in self.host.without)
        ]
        path.write_text(f"{readme.pasted(name, chr(10).join(kept))}\n{lines}")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @cached_property
    def environment(self) -> dict[str, str]:
        inherited = {key: os.environ[key] for key in KEPT if key in os.environ}
        return inherited | {
            "DJANGO_SETTINGS_MODULE": "stage.settings",
            "PYTHONPATH": str(self.folder),
            "PYTHONUNBUFFERED": "1",
            "OLD_PASSWORD": OLD_PASSWORD,
            "CATCH_MAILS": "yes" if self.host.catch_mails else "no",
            "PYTHONWARNINGS": "error" if self.host.strict else "",
            "QUICK_HASHES": "yes" if self.host.quick_hashes else "no",
        }

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python in the project."""
        return subprocess.run(
            [self.python, *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
        )

    def prints(self, *arguments: str) -> str:
        """Run Python in the project; return what it prints, once it has succeeded."""
        result = self.run(*arguments)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout.strip()

    def shell(self, code: str) -> str:
        """Return what code prints in the project's shell."""
        return self.prints("manage.py", "shell", "--no-imports", "-c", code)

    def prepare(self) -> None:
        """Make its tables and people."""
        self.prints("-m", "stage.prepare")
        self.people = json.loads((self.folder / "people.json").read_text())

    def query(self, sql: str, *values: object, database: str = "db") -> list[tuple]:
        """Ask its database: the file where it is one, else by the project's own
        connection.
        """
        path = self.folder / f"{database}.sqlite3"
        if path.exists():
            with sqlite3.connect(path, timeout=30) as session:
                return session.execute(sql, values).fetchall()
        asked = sql.replace("?", "%s")
        rows = json.loads(self.prints("-m", "stage.query", asked, *map(str, values)))
        return [tuple(row) for row in rows]

    def statements(self, method: str, path: str) -> list[list[str]]:
        """Return the SQL of each request with that method and path, without what sets
        up a new connection.
        """
        lines = (self.folder / "statements").read_text().splitlines()
        requests_ = [json.loads(line) for line in lines]
        return [
            [sql for sql in one["sql"] if not sql.lstrip().startswith(SET_UP)]
            for one in requests_
            if (one["method"], one["path"]) == (method, path)
        ]

    def start(self) -> None:
        """Serve it, and wait until it answers."""
        address = {"address": f"127.0.0.1:{self.port}", "port": self.port}
        arguments = [part.format(**address) for part in self.host.server]
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*dies_with_us("TERM"), self.python, *arguments],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self.answers, self.log)

    def answers(self) -> bool:
        """Tell whether it answers at all; raise when its process has ended."""
        if self.process.poll() is not None:
            raise RuntimeError(f"the host has ended:\n{self.log()}")
        try:
            return requests.get(f"{self.url}/robots.txt", timeout=30).status_code > 0
        except requests.ConnectionError:
            return False

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace")[-6000:] if path.exists() else ""

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
            self.process = None
