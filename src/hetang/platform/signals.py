"""What a signal handler may set and others wait for."""

from __future__ import annotations

import queue


class Flag:
    """A flag that a signal handler may set. `threading.Event` is none: its `set` takes a lock that the interrupted
    thread may hold in its `wait`, and then neither goes on. Putting into a SimpleQueue may interrupt itself
    (https://docs.python.org/3/library/queue.html#queue.SimpleQueue.put).
    """

    def __init__(self) -> None:
        self._is_set = False
        self._rings = queue.SimpleQueue[None]()

    def is_set(self) -> bool:
        """Whether it was set since it was cleared."""
        return self._is_set

    def set(self) -> None:
        """Set it, and wake who waits."""
        self._is_set = True
        self._rings.put(None)

    def clear(self) -> None:
        """Take it back; the next `wait` may still end at once."""
        self._is_set = False

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until it is set, for `timeout_s` at most. Returns whether it is."""
        if self.is_set():
            return True
        try:
            self._rings.get(timeout=timeout_s)
        except queue.Empty:
            return self.is_set()
        if self.is_set():
            self._rings.put(None)  # for the others who wait
        return self.is_set()
