"""A throw-away MariaDB from Debian's package, and what a host says to be on it."""

import signal
import subprocess

from tests.kit.programs import find_program
from tests.tools.servers import Server, dies_with_us, unprivileged

PACKAGE = "mariadb-server"
#: PyMySQL passes for mysqlclient, which has no wheels.
SETTINGS = """
import pymysql
pymysql.install_as_MySQLdb()
DATABASES = {{
    "default": {{
        "ENGINE": "django.db.backends.mysql",
        "NAME": "{name}",
        "USER": "root",
        "HOST": "127.0.0.1",
        "PORT": {port},
    }}
}}
"""


class MariaDB(Server):
    """A server without a password, for each host a database of its own."""

    stop_signal = signal.SIGTERM

    def __init__(self) -> None:
        super().__init__()
        self.binary = find_program("mariadbd", PACKAGE)
        self.client = find_program("mariadb", PACKAGE)
        self.as_user = unprivileged()
        self.names = 0
        install = find_program("mariadb-install-db", PACKAGE)
        options = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        subprocess.run(
            [*self.as_user, install, *self.place, *options],
            check=True,
            stdout=subprocess.DEVNULL,
        )

    @property
    def place(self) -> list[str]:
        return ["--no-defaults", f"--datadir={self.folder}/data"]

    def command(self) -> list[str]:
        options = [
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            f"--socket={self.folder}/socket",
            "--skip-name-resolve",
            "--innodb-flush-log-at-trx-commit=0",
        ]
        program = [*dies_with_us("TERM"), self.binary, *self.place, *options]
        return [*self.as_user, *program]

    def answers(self) -> bool:
        return self._ask("SELECT 1").returncode == 0

    def new_database(self) -> str:
        """Make a database; return the settings that put a host on it."""
        self.names += 1
        name = f"host{self.names}"
        self._ask(f"CREATE DATABASE {name} CHARACTER SET utf8mb4").check_returncode()
        return SETTINGS.format(name=name, port=self.port)

    def version(self) -> str:
        return self._ask("SELECT version()").stdout.strip()

    def _ask(self, sql: str) -> subprocess.CompletedProcess[str]:
        where = ["--no-defaults", "--host=127.0.0.1", f"--port={self.port}"]
        return subprocess.run(
            [self.client, *where, "--user=root", "--skip-column-names", "-e", sql],
            capture_output=True,
            text=True,
        )
