"""Pure rules of touching: sliding caps, the platform's windows, quiet hours, and the draw that decides arms."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    import numpy as np

_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class CapRule:
    """At most `limit` marketing messages in any `days` days; `channel` "" counts all channels together."""

    channel: str
    limit: int
    days: int


@dataclass(frozen=True)
class PlatformWindow:
    """The platform's own cap around one slot: at most `limit` messages of any class from `start` until before `end`."""

    start: datetime
    end: datetime
    limit: int


def breaks_cap(taken: Sequence[datetime], slot: datetime, limit: int, days: int) -> bool:
    """Whether one more message at `slot` would make some window of `days` days hold more than `limit`.

    Two messages share a window when they are less than `days` days apart. The reference for the planner's SQL.
    """
    span = timedelta(days=days)
    starts = [at for at in taken if slot - span < at <= slot] + [slot]
    return any(sum(start <= at < start + span for at in taken) + 1 > limit for start in starts)


def platform_window(mode: str, limit: int | None, slot: datetime, zone: ZoneInfo) -> PlatformWindow | None:
    """The window of the platform's cap that holds `slot`: a calendar month (as many as it has days), a day (one) or a
    week from Monday (seven), in the brand's zone. None: no such cap."""
    day = slot.astimezone(zone).date()
    if mode == "month":
        first, after = day.replace(day=1), _next_month(day)
        number = (after - first).days
    elif mode == "week":
        first = day - timedelta(days=day.weekday())
        after, number = first + timedelta(days=7), 7
    elif mode == "day":
        first, after, number = day, day + timedelta(days=1), 1
    else:
        return None
    return PlatformWindow(_midnight(first, zone), _midnight(after, zone), number if limit is None else limit)


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone)


def quiet_until(at: datetime, start: time, end: time, zone: ZoneInfo) -> datetime | None:
    """When the quiet hours that hold `at` end (aware, in `zone`), or None outside them. They may cross midnight; equal
    start and end mean no quiet hours."""
    local = at.astimezone(zone)
    now = local.time().replace(tzinfo=None)
    crossing = start > end
    inside = (now >= start or now < end) if crossing else start <= now < end
    if not inside:
        return None
    day = local.date() + timedelta(days=1) if crossing and now >= start else local.date()
    return datetime.combine(day, end, zone)


def next_quiet_start(at: datetime, start: time, end: time, zone: ZoneInfo) -> datetime | None:
    """The next beginning of quiet hours after `at`; None when there are none."""
    if start == end:
        return None
    local = at.astimezone(zone)
    today = datetime.combine(local.date(), start, zone)
    return today if today > local else datetime.combine(local.date() + timedelta(days=1), start, zone)


def draw(seed: str, purpose: str, number: int) -> int:
    """A number in [0, 2**32) that depends on nothing but seed, purpose and person: the same in every run and process,
    independent between purposes. SplitMix64 of the number, keyed by a hash of seed and purpose."""
    return _mix((number + _key(seed, purpose)) & _MASK) >> 32


def draws(seed: str, purpose: str, numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """`draw` for an array of numbers at once (uint64 in, uint32 out), 10 ns each."""
    import numpy as np

    x = numbers.astype(np.uint64) + np.uint64(_key(seed, purpose))
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((x ^ (x >> np.uint64(31))) >> np.uint64(32)).astype(np.uint32)


def threshold(share_bp: int) -> int:
    """The draw below which a person falls into a share given in hundredths of a per cent (10,000 = all)."""
    return (share_bp << 32) // 10_000


def pick(weights: Sequence[int], value: int) -> int:
    """Which of the weighted parts (from 0) a draw in [0, 2**32) falls into."""
    total = sum(weights)
    if total <= 0 or min(weights) < 0:
        raise ValueError("weights must be non-negative and not all zero")
    place = value * total >> 32
    for index, weight in enumerate(weights):
        place -= weight
        if place < 0:
            return index
    raise AssertionError("a draw is below the sum of the weights")


def picks(weights: Sequence[int], values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """`pick` for an array of draws (uint32), as int16."""
    import numpy as np

    place = values.astype(np.uint64) * np.uint64(sum(weights)) >> np.uint64(32)
    return np.searchsorted(np.cumsum(weights), place, side="right").astype(np.int16)


def tasks_needed(people: Sequence[int], per_task: int) -> int:
    """How many tasks the given groups of people (one per sender and text) make: none for an empty group."""
    return sum(-(-count // per_task) for count in people)


def _key(seed: str, purpose: str) -> int:
    return int.from_bytes(hashlib.blake2b(f"{seed}\0{purpose}".encode(), digest_size=8).digest(), "big")


def _mix(x: int) -> int:
    x = (x + 0x9E3779B97F4A7C15) & _MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & _MASK
    return x ^ (x >> 31)
