"""Prometheus counters that are right across processes, in whatever container they run.

In multi-process mode each process writes its counters into files of its own, and the
page adds the files up. prometheus_client names them by process id, which two containers
can share and which grows without end where short commands come and go. So each
process takes the lowest number that is free, a slot, by locking a file: the kernel
keeps two processes, in whatever container, from holding the same slot, and frees it
however the process ends. The next holder of a slot continues the counters of the last
one, so no count is lost and the number of files stays small.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import os
import stat
import tempfile
from itertools import count
from pathlib import Path
from typing import IO

from prometheus_client import values as prometheus_values

from .metric_files import ReservedFile
from .parsers import Values

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"


class ProcessSlot:
    """The number of this process among those that share a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.pid = 0
        self.number = 0
        self.lock: IO[bytes] | None = None

    def __call__(self) -> str:
        """Return the number; a forked child does not keep its parent's."""
        if self.pid != os.getpid():
            self._release()
            self._acquire()
        return str(self.number)

    def _acquire(self) -> None:
        for number in count(1):
            lock = (self.directory / f"slot-{number}.lock").open("ab")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.close()
            else:
                self.pid, self.number, self.lock = os.getpid(), number, lock
                return

    def _release(self) -> None:
        if self.lock is not None:
            self.lock.close()  # the parent's own handle keeps its slot
            self.lock = None


def share_between_processes(values: Values) -> None:
    """Count in files that all processes of this site share; to be called before the
    first metric is made.
    """
    path = values[DIRECTORY] or _shared_directory(values)
    if path is None:
        return
    directory = Path(path)
    if is_root_in_somebody_elses(directory):
        os.environ.pop(DIRECTORY, None)
        prometheus_values.ValueClass = prometheus_values.MutexValue
        return
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ[DIRECTORY] = str(directory)
    prometheus_values.MmapedDict = ReservedFile  # type: ignore[attr-defined]
    prometheus_values.ValueClass = prometheus_values.MultiProcessValue(
        ProcessSlot(directory)
    )  # type: ignore[no-untyped-call]


def is_root_in_somebody_elses(directory: Path) -> bool:
    """Return whether this is root and the directory is, or will be, in a place of the
    site's user: what root leaves there the site could not open.
    """
    place = next(path for path in (directory, *directory.parents) if path.exists())
    return os.geteuid() == 0 and place.stat().st_uid != 0


def _shared_directory(values: Values) -> Path | None:
    """Return the default directory: the same for all processes with one secret and one
    database, and theirs alone.
    """
    database = repr(sorted(values["DATABASE_URL"].items())).encode()
    site = hmac.new(
        values["SESSION_SECRET"].encode(), database, hashlib.sha256
    ).hexdigest()[:16]
    directory = Path(
        tempfile.gettempdir(), f"password-reset-metrics-{os.geteuid()}-{site}"
    )
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        found = directory.lstat()
    except OSError:
        return None
    # Anybody may create names in /tmp: a directory that others can write is not used.
    ours = (
        stat.S_ISDIR(found.st_mode)
        and found.st_uid == os.geteuid()
        and not found.st_mode & 0o077
    )
    return directory if ours else None
