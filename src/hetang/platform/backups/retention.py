"""Which backups to keep: the newest ones of so many days, weeks and months. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Keep:
    """How many days, ISO weeks and months keep their newest backup."""

    days: int = 7
    weeks: int = 4
    months: int = 6


def kept(times: Sequence[datetime], keep: Keep) -> set[datetime]:
    """Those of `times` to keep: of each of the newest `days` days that have a backup the last one, likewise of weeks
    and months. The newest backup of all is always kept."""
    found = {max(times)} if times else set()
    for count, period in ((keep.days, _day), (keep.weeks, _week), (keep.months, _month)):
        newest: dict[tuple[int, ...], datetime] = {}
        for at in times:
            newest[period(at)] = max(at, newest.get(period(at), at))
        found |= {newest[key] for key in sorted(newest, reverse=True)[:count]}
    return found


def _day(at: datetime) -> tuple[int, ...]:
    return (at.year, at.month, at.day)


def _week(at: datetime) -> tuple[int, ...]:
    return tuple(at.isocalendar()[:2])


def _month(at: datetime) -> tuple[int, ...]:
    return (at.year, at.month)
