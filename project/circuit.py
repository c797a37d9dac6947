"""A circuit breaker: what has just failed is refused at once until it works again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import sleep

logger = logging.getLogger("project.circuit")

#: Seconds between two looks at what does not answer.
PAUSE = 0.5


class CircuitBreaker:
    """Keep callers from waiting, one after another, for a server that is away.

    The first who waited in vain trips it. While it is open a thread of its own tries
    ``probe``, so that no caller has to, and closes it as soon as that succeeds.
    """

    def __init__(self, name: str, probe: Callable[[], object]) -> None:
        self._name, self._probe = name, probe
        self._lock = threading.Lock()
        self._open = False

    @property
    def is_open(self) -> bool:
        """Whether the server is known to be away."""
        return self._open

    def trip(self) -> None:
        """Refuse callers until the probe succeeds."""
        with self._lock:
            if self._open:
                return
            self._open = True
        logger.error(
            "No answer from the %s: refusing at once until it is back", self._name
        )
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._answers():
            sleep(PAUSE)
        self._open = False
        logger.warning("The %s answers again", self._name)

    def _answers(self) -> bool:
        try:
            self._probe()
        except Exception:  # whatever it is, it does not work yet
            return False
        return True
