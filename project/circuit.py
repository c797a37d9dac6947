"""A circuit breaker: what has just failed is refused at once until it works again."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from time import sleep

from .deadlines import BoundedCall

logger = logging.getLogger("project.circuit")

#: Seconds between two looks at what does not answer.
PAUSE = 0.5
#: Seconds that a look may take while callers wait for it, and while none does.
GLANCE, LOOK = 0.4, 2.5


class CircuitBreaker:
    """Keep callers from waiting, one after another, for a server that is away.

    Who has waited long asks it by ``is_away``, which trips it unless ``probe`` succeeds
    at once. While it is open a thread of its own tries ``probe``, so that no caller has
    to; as soon as that succeeds it calls ``recover`` and closes.
    """

    def __init__(
        self, name: str, probe: Callable[[], object], recover: Callable[[], object]
    ) -> None:
        self._name, self._recover = name, recover
        self._probe = BoundedCall(probe)
        self._lock = threading.Lock()
        self._open = False

    @property
    def is_open(self) -> bool:
        """Whether the server is known to be away."""
        return self._open

    def is_away(self) -> bool:
        """Look whether the server is away, or only busy."""
        if not self._open and not self._answers(GLANCE):
            self._trip()
        return self._open

    def _trip(self) -> None:
        with self._lock:
            if self._open:
                return
            self._open = True
        logger.error("No answer from the %s: refusing until it is back", self._name)
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while not self._answers(LOOK):
            sleep(PAUSE)
        self._recover()
        self._open = False
        logger.warning("The %s answers again", self._name)

    def _answers(self, seconds: float) -> bool:
        try:
            self._probe.result(seconds)
        except Exception:  # whatever it is, it does not work yet
            return False
        return True
