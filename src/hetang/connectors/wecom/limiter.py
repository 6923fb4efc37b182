"""Our own limits per corp and API, well below the platform's: a steady rate with a small burst, and calls in flight.

They hold per process; the platform's own limits (45009, 45033) are answered by waiting.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

BURST_S = 5.0  # so many seconds' worth of calls may come at once


@dataclass
class _Bucket:
    rate: float
    slots: threading.BoundedSemaphore
    lock: threading.Lock = field(default_factory=threading.Lock)
    next_free: float = 0.0

    def wait_s(self, now: float) -> float:
        """Reserve one call; seconds until it may start."""
        with self.lock:
            earliest = max(self.next_free, now - BURST_S)
            self.next_free = earliest + 1 / self.rate
            return max(0.0, earliest - now)


class Limiter:
    """One per corp and process."""

    def __init__(self, calls_per_minute: int, concurrency: int) -> None:
        self._rate = calls_per_minute / 60
        self._concurrency = concurrency
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}

    @contextlib.contextmanager
    def slot(self, path: str) -> Iterator[None]:
        """Wait for the API's turn, then hold one of its places."""
        bucket = self._bucket(path)
        with bucket.slots:
            pause = bucket.wait_s(time.monotonic())
            if pause:
                time.sleep(pause)
            yield

    def _bucket(self, path: str) -> _Bucket:
        with self._lock:
            if path not in self._buckets:
                self._buckets[path] = _Bucket(self._rate, threading.BoundedSemaphore(self._concurrency))
            return self._buckets[path]
