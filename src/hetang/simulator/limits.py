"""Frequency and concurrency limits per API (reference section 2), in memory: a restart forgives."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator

from hetang.simulator.errors import WeComError
from hetang.simulator.state import State


class Limiter:
    """Counts calls per minute and hour of the simulator's clock, and calls in flight."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._lock = threading.Lock()
        self._windows: dict[tuple[str, int], tuple[int, int]] = {}
        self._in_flight: Counter[str] = Counter()
        self.calls: Counter[str] = Counter()

    def forget(self) -> None:
        """Start counting anew."""
        with self._lock:
            self._windows.clear()
            self.calls.clear()

    @contextlib.contextmanager
    def admitted(self, path: str, address: str = "") -> Iterator[None]:
        """Count one call of the API from an address. Raises 45009 or 45033."""
        settings = self._state.settings
        with self._lock:
            self.calls[path] += 1
            self._count(path, 60, settings.calls_per_minute)
            self._count(path, 3600, settings.calls_per_hour)
            self._count(f"from {address}", 60, settings.calls_per_minute_of_address)
            self._count(f"from {address}", 3600, settings.calls_per_hour_of_address)
            for span_s, calls in settings.calls_per_span.get(path, ()):
                self._count(f"{path} further", span_s, calls)
            most = settings.concurrency.get(path, 0)
            if most and self._in_flight[path] >= most:
                raise WeComError(45033)
            self._in_flight[path] += 1
        try:
            yield
        finally:
            with self._lock:
                self._in_flight[path] -= 1

    def _count(self, path: str, length_s: int, most: int) -> None:
        window = int(self._state.now()) // length_s
        last, used = self._windows.get((path, length_s), (window, 0))
        used = used + 1 if last == window else 1
        self._windows[path, length_s] = (window, used)
        if used > most:
            raise WeComError(45009)
