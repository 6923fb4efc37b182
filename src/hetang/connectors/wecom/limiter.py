"""Our own limits per corp and API, shared by all processes: a steady rate with a small burst, and calls in flight.

The rate is `pace`'s. A call in flight holds an advisory lock of its database session, so that a process that dies gives
its places back at once. Together a call costs two short statements, about 0.4 ms of a core, beside its share of a
slice.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from django.db import connection

from hetang.connectors.wecom import pace
from hetang.connectors.wecom.errors import RateLimited

LONGEST_WAIT_S = 60.0  # a turn that comes later is told as RateLimited
_SLICE_S = 0.25  # a slice holds so much time's worth of calls
_STALE_S = 1.0
_LOOK_AGAIN_S = 0.03
_SPACE = 0x7763  # of the advisory locks


@dataclass
class _Bucket:
    """What this process knows of an API: its slice, and how many calls of its own are in flight."""

    places: threading.BoundedSemaphore
    lock: threading.Lock = field(default_factory=threading.Lock)
    left: int = 0
    size: int = 1
    reserved_at: float = float("-inf")
    starts_at: float = 0.0
    in_flight: int = 0
    holds: int = 0


class Limiter:
    """One per app and process. `calls_per_minute` and `calls_per_hour` are for each API, `concurrency` too."""

    def __init__(self, corp_id: int, *, calls_per_minute: int, calls_per_hour: int, concurrency: int) -> None:
        self._corp_id = corp_id
        self._a_minute, self._an_hour = calls_per_minute, calls_per_hour
        self._concurrency = concurrency
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}

    @contextlib.contextmanager
    def slot(self, path: str, at_once: int = 0) -> Iterator[None]:
        """Wait for the API's turn, then hold one of its places. Raises RateLimited where that takes long."""
        most = min(at_once or self._concurrency, self._concurrency)
        bucket = self._bucket(path, most)
        with bucket.places:
            pause = self._turn(path, bucket)
            if pause > LONGEST_WAIT_S:
                raise RateLimited(path, pause)
            if pause > 0:
                time.sleep(pause)
            with self._place(path, bucket.in_flight or most):
                yield

    def met_limit(self, path: str, zone: str) -> float:
        """WeCom answered 45009. Returns the seconds until the API may be called again."""
        with self._lock:
            bucket = self._buckets.get(path)
        if bucket is not None:
            bucket.left = 0
        return pace.hold(self._corp_id, path, zone)

    def met_crowd(self, path: str) -> None:
        """WeCom answered 45033: fewer calls in flight."""
        with self._lock:
            bucket = self._buckets[path]
        bucket.in_flight = pace.lower(self._corp_id, path, self._concurrency)

    def went_well(self, path: str) -> None:
        """An answer came. Costs nothing unless a limit was met before."""
        with self._lock:
            bucket = self._buckets[path]
        if bucket.holds:
            bucket.holds = 0
            pace.went_well(self._corp_id, path)

    def _bucket(self, path: str, most: int) -> _Bucket:
        with self._lock:
            if path not in self._buckets:
                self._buckets[path] = _Bucket(threading.BoundedSemaphore(most))
            return self._buckets[path]

    def _turn(self, path: str, bucket: _Bucket) -> float:
        """Take one call of the slice, or reserve another slice. Returns the seconds until it may go."""
        with bucket.lock:
            now = time.monotonic()
            if bucket.left == 0 or now - bucket.reserved_at > _STALE_S + max(0.0, bucket.starts_at - now):
                self._reserve(path, bucket, now)
            bucket.left -= 1
            return bucket.starts_at - now

    def _reserve(self, path: str, bucket: _Bucket, now: float) -> None:
        most = max(1, int(self._a_minute / 60 * _SLICE_S))
        busy = now - bucket.reserved_at < 2 * _SLICE_S
        size = min(most, bucket.size * 2) if busy else 1
        wait_s = max(self._from_row(path, size, bucket), self._from_address(size))
        bucket.size = bucket.left = size
        bucket.reserved_at = now
        bucket.starts_at = now + wait_s

    def _from_row(self, path: str, size: int, bucket: _Bucket) -> float:
        found = pace.reserve(self._corp_id, path, size, a_minute=self._a_minute, an_hour=self._an_hour)
        if isinstance(found, pace.Held):
            raise RateLimited(path, found.wait_s)
        bucket.in_flight, bucket.holds = found.in_flight, found.holds
        return found.wait_s

    def _from_address(self, size: int) -> float:
        """The limit of all APIs of this address together, which belongs to no corp."""
        most = {"a_minute": max(pace.ADDRESS_A_MINUTE, self._a_minute), "an_hour": pace.ADDRESS_AN_HOUR}
        most["an_hour"] = max(most["an_hour"], self._an_hour)
        found = pace.reserve(0, pace.ADDRESS, size, **most)
        if isinstance(found, pace.Held):
            raise RateLimited(pace.ADDRESS, found.wait_s)
        return found.wait_s

    @contextlib.contextmanager
    def _place(self, path: str, most: int) -> Iterator[None]:
        """One of the places of this API that all processes share."""
        key = zlib.crc32(f"{self._corp_id}:{path}".encode()) & 0x3FFFFFFF
        place = _try_place(key, most)
        while place is None:
            time.sleep(_LOOK_AGAIN_S * random.uniform(0.5, 1.5))  # noqa: S311 - not a secret
            place = _try_place(key, most)
        try:
            yield
        finally:
            with connection.cursor() as cursor:
                cursor.execute("select pg_advisory_unlock(%s, %s)", [_SPACE, key + place])


def _try_place(key: int, most: int) -> int | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "select place from generate_series(0, %s - 1) as place where pg_try_advisory_lock(%s, %s + place) limit 1",
            [most, _SPACE, key],
        )
        found = cursor.fetchone()
    return None if found is None else int(found[0])
