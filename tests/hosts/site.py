"""A folder with a Django project, and the process that serves it."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import requests

from tests.hosts.host import Host
from tests.hosts.mailbox import Mailbox
from tests.tools.servers import START_SECONDS, dies_with_us, free_port, wait_until

#: The last two: an authority of the network, where one opens what pip and npm fetch.
KEPT = ("HOME", "PATH", "LANG", "TZ", "SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS")


class Site:
    """A project that knows nothing of this repository."""

    #: Seconds within which it answers.
    patience = START_SECONDS

    def __init__(self, host: Host, folder: Path, python: Path) -> None:
        self.host = host
        self.folder = folder
        self.python = python
        self.mailbox = Mailbox(folder / "mails")
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """Return what its processes inherit, and what they need beside it."""
        inherited = {key: os.environ[key] for key in KEPT if key in os.environ}
        return inherited | {"PYTHONUNBUFFERED": "1"}

    @property
    def command(self) -> Sequence[str | Path]:
        """Return the command that serves it."""
        raise NotImplementedError

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
        """Run Python in the project."""
        return subprocess.run(
            [self.python, *arguments],
            cwd=self.folder,
            env=self.environment | environment,
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

    def start(self) -> None:
        """Serve it, and wait until it answers."""
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [*dies_with_us("TERM"), *self.command],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self.answers, self.log, self.patience)

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
