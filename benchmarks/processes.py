"""Start a process that dies with this one, wait for its port, read its processor time."""

import os
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tests.tools.servers import dies_with_us

ROOT = Path(__file__).resolve().parent.parent


def spawn(
    command: Sequence[str],
    log: Path,
    environment: Mapping[str, str] | None = None,
    folder: Path = ROOT,
) -> subprocess.Popen[bytes]:
    """Start a process in the repository's root with its output in a file."""
    with log.open("ab") as output:
        return subprocess.Popen(
            [*dies_with_us("KILL"), *command],
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def stop(process: subprocess.Popen[bytes], seconds: float = 10) -> None:
    """Ask a process to end, then make it."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, seconds: float = 30) -> None:
    """Return when a server answers on a port."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"nothing listens on port {port}")


def processor_seconds(roots: Iterable[int]) -> float:
    """Return what some processes, and all that they started, have used so far (Linux)."""
    table = _processes()
    wanted = _family(table, roots)
    return sum(table[pid][1] for pid in wanted) / os.sysconf("SC_CLK_TCK")


def threads_of(roots: Iterable[int]) -> list[int]:
    """Return the threads of some processes and of all that they started (Linux)."""
    found: list[int] = []
    for pid in _family(_processes(), roots):
        with suppress(OSError):
            found += [int(path.name) for path in Path(f"/proc/{pid}/task").iterdir()]
    return found


def _processes() -> dict[int, tuple[int, int]]:
    """Return each process's parent and clock ticks."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            # utime, stime, and the same of children that have ended.
            used = sum(map(int, fields[11:15]))
            found[int(path.parent.name)] = int(fields[1]), used
    return found


def _family(table: dict[int, tuple[int, int]], roots: Iterable[int]) -> set[int]:
    """Return those of the processes that are there, and all that they started."""
    wanted = set(roots)
    while (
        more := {pid for pid, (parent, _) in table.items() if parent in wanted} - wanted
    ):
        wanted |= more
    return wanted & table.keys()
