"""Run the demo as it runs in production: gunicorn and a worker, each a process of its
own.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import pytest
from django.db import connection

from tests import ROOT
from tests.tools.servers import dies_with_us, free_port, wait_until

STOP_SECONDS = 30


def database_url() -> str:
    """Return the address of the database that the running test uses."""
    options = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{options['NAME']}"
    return f"postgres://{options['USER']}@{options['HOST']}:{options['PORT']}/{options['NAME']}"


class Process:
    """A running command of the demo, its output in a file."""

    def __init__(self, arguments: list[str], environment: dict[str, str]) -> None:
        self.output = Path(tempfile.mkstemp(prefix="resetkit-", suffix=".log")[1])
        self.url = ""
        inherited = os.environ | {
            "DATABASE_URL": database_url(),
            "DJANGO_SETTINGS_MODULE": "tests.site_settings",
            "PYTHONUNBUFFERED": "1",
        }
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [*dies_with_us("TERM"), sys.executable, *arguments],
                cwd=ROOT,
                env=inherited | environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # A group of its own, so that a kill reaches gunicorn's workers too.
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self.output.read_text(errors="replace")

    def wait_for_log(self, words: str) -> None:
        """Wait until the words stand in its output; raise TimeoutError with the output
        otherwise.
        """
        wait_until(
            lambda: words in self.log, lambda: f"{words!r} is not in:\n{self.log}"
        )

    def wait(self, seconds: float = STOP_SECONDS) -> int:
        """Wait until it ends by itself and return its exit code."""
        return self.process.wait(seconds)

    def stop(self) -> int:
        """End it as a service manager would and return its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> int:
        """End it and its children as a power cut would: nothing in them gets to run any
        more.
        """
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        return self.wait()

    def close(self) -> None:
        self.kill()
        self.output.unlink(missing_ok=True)


class Processes:
    """Start processes of the demo; keyword arguments are environment variables."""

    def __init__(self) -> None:
        self.started: list[Process] = []

    def start(self, *arguments: str, **environment: str) -> Process:
        """Start `python *arguments` in the demo's folder, on this test's database."""
        process = Process(list(arguments), environment)
        self.started.append(process)
        return process

    def manage(self, *arguments: str, **environment: str) -> Process:
        return self.start("manage.py", *arguments, **environment)

    def gunicorn(
        self, workers: int = 2, options: tuple[str, ...] = (), **environment: str
    ) -> Process:
        """Start the site and wait until it answers at `process.url`."""
        port = free_port()
        bind = ["--bind", f"127.0.0.1:{port}", "--workers", str(workers)]
        return self._serve(
            port, ["-m", "gunicorn", "project.wsgi", *bind, *options], environment
        )

    def runserver(self, **environment: str) -> Process:
        port = free_port()
        command = ["manage.py", "runserver", "--noreload", f"127.0.0.1:{port}"]
        return self._serve(port, command, environment)

    def _serve(
        self, port: int, command: list[str], environment: dict[str, str]
    ) -> Process:
        url = f"http://127.0.0.1:{port}"
        site = self.start(*command, **({"API_URL": url} | environment))
        site.url = url
        wait_until(
            lambda: answers(port, site), lambda: f"{url} does not answer:\n{site.log}"
        )
        return site

    def db_worker(self, *options: str, **environment: str) -> Process:
        return self.manage("db_worker", "--interval", "0.1", *options, **environment)

    def request_loop(self, **environment: str) -> Process:
        return self.manage("process_reset_requests", "--loop", **environment)

    def close(self) -> None:
        for process in reversed(self.started):
            process.close()


def answers(port: int, site: Process) -> bool:
    """Tell whether the site answers at all; raise when its process has ended."""
    if site.process.poll() is not None:
        raise RuntimeError(f"it ended with {site.process.returncode}:\n{site.log}")
    client = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        client.request("GET", "/health")
        return client.getresponse().status > 0
    except (OSError, HTTPException):
        return False
    finally:
        client.close()


@pytest.fixture
def processes(transactional_db: None) -> Iterator[Processes]:
    """Real processes of the demo on this test's database; all end with the test."""
    runner = Processes()
    yield runner
    runner.close()
