"""Something that goes on in a thread beside what is measured."""

import threading
from typing import Self


class Beside:
    """``run`` works until ``done`` is set, which the end of the block does."""

    def __init__(self) -> None:
        self.done = threading.Event()
        self._thread = threading.Thread(target=self.run)

    def run(self) -> None:
        """Work until told to stop."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self._thread.join()
