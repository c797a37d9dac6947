"""One project of `examples/`, copied elsewhere and started by its one command."""

import os
import shutil
from functools import cached_property
from pathlib import Path

from tests import ROOT
from tests.hosts import environments
from tests.hosts.host import Host
from tests.hosts.project import OLD_PASSWORD
from tests.hosts.site import Site
from tests.tools.servers import free_port

#: `EXAMPLES_DJANGO=5.2 make test-examples` walks them on another one.
DJANGO = os.environ.get("EXAMPLES_DJANGO", environments.DJANGOS[-1])
EXAMPLES = ROOT / "examples"
#: Environments stay, as those of the hosts do; `examples/run` makes and renews them.
CACHE = ROOT / ".cache" / "examples"
LEFT_BEHIND = shutil.ignore_patterns(
    ".account",
    ".beat*",
    ".broker",
    ".built",
    ".secret-key",
    ".venv",
    "collected",
    "db.sqlite3*",
    "dist",
    "mails",
    "media",
    "node_modules",
    "openapi.d.ts",
)
#: One hash for all three: at this cost, three of them are a second or two.
ADD_PEOPLE = f"""
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
old = make_password({OLD_PASSWORD!r})
for name in ("ann", "ben", "boss"):
    get_user_model().objects.create(
        username=name,
        email=f"{{name}}@example.com",
        password=old,
        is_staff=True,
        is_superuser=True,
    )
"""
#: What a server sets.
DEPLOYED = {
    "DEBUG": "",
    "ALLOWED_HOSTS": ".example.com",
    "BASE_URL": "https://example.com",
}


class Example(Site):
    """An example, with the wheel in place of the tree around it."""

    #: Its environment may have to be made.
    patience = 600

    def __init__(self, host: Host, folder: Path) -> None:
        self.venv = CACHE / DJANGO / host.name
        super().__init__(host, folder / host.name, self.venv / "bin" / "python")
        self.interpreter = environments.python_for(DJANGO)
        self.broker_port = free_port()
        for name in ("run", "constraints.txt"):
            shutil.copy(EXAMPLES / name, folder)
        shutil.copytree(EXAMPLES / host.name, self.folder, ignore=LEFT_BEHIND)

    @property
    def command(self) -> list[str | Path]:
        return [self.folder.parent / "run", self.host.name]

    @cached_property
    def environment(self) -> dict[str, str]:
        wheel = environments.built_wheel(environments.digest_of_package())
        return super().environment | {
            "PYTHON": str(self.interpreter),
            "RESETKIT": str(wheel),
            "VENV": str(self.venv),
            "PORT": str(self.port),
            "BASE_URL": f"http://localhost:{self.port}",
            "BROKER_PORT": str(self.broker_port),
            "REDIS_URL": f"redis://127.0.0.1:{self.broker_port}/0",
            "SECRET_KEY": "of-a-test-" * 5,
            "DEBUG": "yes",
            "CRON_SECONDS": "1",
        }

    @property
    def address(self) -> str:
        """Return the address that it prints and mails."""
        return self.environment["BASE_URL"]

    def start(self) -> None:
        """Start it and add the people who walk it."""
        with environments.locked(f"example-{self.host.name}"):
            super().start()
        self.shell(ADD_PEOPLE)

    def deployed_check(self) -> str:
        """Return what `check --deploy` says where the environment is a server's."""
        command = ["manage.py", "check", "--deploy", "--database", "default"]
        result = self.run(*command, **DEPLOYED)
        return result.stdout + result.stderr

    def whole_log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")
