"""Local days of the simulated corp: statistics and caps follow its time zone."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from hetang.simulator.settings import Settings


def local(settings: Settings, at: float) -> datetime:
    """The moment (Unix seconds) on the corp's clock."""
    return datetime.fromtimestamp(at, ZoneInfo(settings.time_zone))


def day_of(settings: Settings, at: float) -> str:
    """The local day as `2026-11-27`."""
    return f"{local(settings, at):%Y-%m-%d}"


def midnight(settings: Settings, at: float) -> int:
    """Unix seconds at which the local day of `at` began."""
    return int(local(settings, at).replace(hour=0, minute=0, second=0, microsecond=0).timestamp())


def days_between(settings: Settings, start: float, end: float) -> list[tuple[int, str]]:
    """(midnight in Unix seconds, day) of every local day from `start` to `end`, both included."""
    moment, last = local(settings, midnight(settings, start)), midnight(settings, end)
    found = []
    while moment.timestamp() <= last:
        found.append((int(moment.timestamp()), f"{moment:%Y-%m-%d}"))
        moment += timedelta(days=1)  # in local time: a change of the clock does not shift midnight
    return found
