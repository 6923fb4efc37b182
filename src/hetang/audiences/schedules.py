"""When a scheduled audience is refreshed next: daily, or weekly on a day, at a local time. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

LONGEST = timedelta(days=8)  # a next run further away was computed by a clock that has been turned back


@dataclass(frozen=True, slots=True)
class Schedule:
    """A local time of day; `weekday` 0 (Monday) to 6, None for every day."""

    at: time
    weekday: int | None = None


def next_run(schedule: Schedule, after: datetime, zone: ZoneInfo) -> datetime:
    """The first run after an instant, in UTC. A time that summer time skips runs an hour later on that day."""
    day = after.astimezone(zone).date()
    while True:
        run = datetime.combine(day, schedule.at, zone).astimezone(UTC)
        if _fits(schedule, day) and run > after:
            return run
        day += timedelta(days=1)


def _fits(schedule: Schedule, day: date) -> bool:
    return schedule.weekday is None or day.weekday() == schedule.weekday
