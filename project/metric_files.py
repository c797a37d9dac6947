"""Files of counters that outlive a full disk.

prometheus_client maps files with holes in them. On a full disk the first write into a
hole ends the process with SIGBUS, and the site with it: so the blocks are reserved
before anything is written. Where there are none, the process counts in its own memory,
which nobody reads, until it is started again.
"""

from __future__ import annotations

import errno
import logging
import mmap
import os
from pathlib import Path

from prometheus_client.mmap_dict import MmapedDict

logger = logging.getLogger("project.metric_files")

FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
#: Bytes of a new file, as prometheus_client has them.
SIZE = 1 << 16
#: Bytes of a value beside its name, at most.
VALUE = 32


class ReservedFile(MmapedDict):
    """What prometheus_client keeps values in, with blocks of its own."""

    def __init__(self, filename: str, read_mode: bool = False) -> None:
        if read_mode or _reserve(filename):
            super().__init__(filename, read_mode)  # type: ignore[no-untyped-call]
            return
        logger.error("The disk is full: %s is counted in memory", filename)
        memory = os.memfd_create("metrics")
        super().__init__(f"/proc/self/fd/{memory}")  # type: ignore[no-untyped-call]
        os.close(memory)

    def _init_value(self, key: str) -> None:
        if self._used + len(key.encode()) + VALUE > self._capacity:
            self._reserve_twice_as_much()
        super()._init_value(key)  # type: ignore[no-untyped-call]

    def _reserve_twice_as_much(self) -> None:
        if _has_room(self._f.fileno(), 2 * self._capacity):
            return
        logger.error("The disk is full: %s is counted in memory", self._fname)
        moved = os.fdopen(os.memfd_create("metrics"), "a+b")
        moved.write(self._m[:])
        moved.flush()
        self.close()  # type: ignore[no-untyped-call]
        self._f, self._m = moved, mmap.mmap(moved.fileno(), self._capacity)


def _reserve(filename: str) -> bool:
    """Return whether a file has its blocks; make it where it is missing."""
    path = Path(filename)
    try:
        with path.open("ab") as file:
            reserved = _has_room(file.fileno(), path.stat().st_size or SIZE)
        if not reserved and not path.stat().st_size:
            # Whoever adds the files up cannot read an empty one.
            path.unlink()
    except OSError as error:
        if error.errno not in FULL:
            raise
        return False
    return reserved


def _has_room(file: int, size: int) -> bool:
    """Reserve blocks; a system or a file system that cannot is left as it is."""
    if not hasattr(os, "posix_fallocate"):
        return True
    try:
        os.posix_fallocate(file, 0, size)
    except OSError as error:
        return error.errno not in FULL
    return True
