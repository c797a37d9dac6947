"""A host: a new project with README's lines and those of its shape."""

import json
import shutil
import sqlite3
from functools import cached_property
from pathlib import Path

from tests.hosts import readme
from tests.hosts.environments import Environment
from tests.hosts.host import Host
from tests.hosts.site import Site

#: What Django asks a MariaDB on each new connection.
SET_UP = ("SELECT VERSION()", "SET SESSION")
HERE = Path(__file__).parent
OLD_PASSWORD = "only-the-old-one-knows"


class Project(Site):
    """A host as a folder of files and a process that serves it."""

    def __init__(self, host: Host, environment: Environment, folder: Path) -> None:
        super().__init__(host, folder, environment.python)
        #: Where its people stand in its admin.
        self.people: dict[str, dict[str, str]] = {}
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

    @cached_property
    def environment(self) -> dict[str, str]:
        return super().environment | {
            "DJANGO_SETTINGS_MODULE": "stage.settings",
            "PYTHONPATH": str(self.folder),
            "OLD_PASSWORD": OLD_PASSWORD,
            "CATCH_MAILS": "yes" if self.host.catch_mails else "no",
            "PYTHONWARNINGS": "error" if self.host.strict else "",
            "QUICK_HASHES": "yes" if self.host.quick_hashes else "no",
        }

    @property
    def command(self) -> list[str | Path]:
        address = {"address": f"127.0.0.1:{self.port}", "port": self.port}
        return [self.python, *(part.format(**address) for part in self.host.server)]

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
