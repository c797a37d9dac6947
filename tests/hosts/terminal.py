"""A terminal: a shell to type into, whose output can be read while it runs."""

import os
import signal
import subprocess
from pathlib import Path

from tests.tools.servers import dies_with_us, wait_until

#: What of our own environment would tell a project of somebody else.
OURS = ("DJANGO_", "DATABASE_", "PYTEST_", "PYTHON", "REDIS_", "VIRTUAL_ENV", "COV_")
SECONDS = 180


class Terminal:
    """A shell in a folder, as a newcomer has it."""

    def __init__(self, folder: Path, name: str, **environment: str) -> None:
        self.path = folder.parent / f"{name}.log"
        self.typed = 0
        kept = {k: v for k, v in os.environ.items() if not k.startswith(OURS)}
        with self.path.open("wb") as log:
            self.shell = subprocess.Popen(
                # What a script runs in the background is deaf to Ctrl-C, or else.
                [*dies_with_us("KILL"), "env", "--default-signal=INT", "bash"],
                cwd=folder,
                env=kept | {"PYTHONUNBUFFERED": "1"} | environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.start("trap : INT")  # Ctrl-C ends what runs, not the window

    def read(self) -> str:
        return self.path.read_text()

    def start(self, line: str) -> None:
        """Type a command that goes on."""
        self.shell.stdin.write(f"{line}\n".encode())
        self.shell.stdin.flush()

    def type(self, line: str) -> str:
        """Type a command, wait for its end and return what it has said."""
        self.typed += 1
        before, mark = len(self.read()), f"<{self.typed} ended with"
        self.start(f"{line}\necho '{mark}' $?'>'")
        wait_until(lambda: f"{mark} " in self.read(), self.read, SECONDS)
        said = self.read()[before:]
        assert f"{mark} 0>" in said, said
        return said

    def interrupt(self) -> None:
        """Press Ctrl-C."""
        os.killpg(self.shell.pid, signal.SIGINT)

    def close(self) -> None:
        """Close the window."""
        if self.shell.poll() is None:
            os.killpg(self.shell.pid, signal.SIGKILL)
            self.shell.communicate()
