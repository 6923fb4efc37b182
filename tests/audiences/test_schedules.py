"""When a scheduled audience comes next, in the brand's time."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest

from hetang.audiences.schedules import Schedule, next_run

SHANGHAI, NEW_YORK = ZoneInfo("Asia/Shanghai"), ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("schedule", "after", "expected"),
    [
        (Schedule(time(9)), "2026-11-11T00:59:59", "2026-11-11T01:00:00"),
        (Schedule(time(9)), "2026-11-11T01:00:00", "2026-11-12T01:00:00"),
        (Schedule(time(0)), "2026-12-31T16:00:00", "2027-01-01T16:00:00"),
        (Schedule(time(9), 0), "2026-11-11T01:00:00", "2026-11-16T01:00:00"),  # a Wednesday: the next Monday
        (Schedule(time(9), 2), "2026-11-11T01:00:00", "2026-11-18T01:00:00"),
        (Schedule(time(9), 2), "2026-11-11T00:00:00", "2026-11-11T01:00:00"),
    ],
)
def test_the_next_run_is_the_first_local_time_that_fits(schedule: Schedule, after: str, expected: str) -> None:
    found = next_run(schedule, datetime.fromisoformat(after).replace(tzinfo=UTC), SHANGHAI)
    assert found == datetime.fromisoformat(expected).replace(tzinfo=UTC)


def test_summer_time_neither_skips_nor_repeats_a_day() -> None:
    at = datetime(2026, 3, 7, 12, tzinfo=UTC)
    runs = []
    for _ in range(3):
        at = next_run(Schedule(time(2, 30)), at, NEW_YORK)
        runs.append(at.astimezone(NEW_YORK).isoformat())
    assert runs == ["2026-03-08T03:30:00-04:00", "2026-03-09T02:30:00-04:00", "2026-03-10T02:30:00-04:00"]
    at = datetime(2026, 10, 31, 12, tzinfo=UTC)
    at = next_run(Schedule(time(1, 30)), at, NEW_YORK)
    assert at.isoformat() == "2026-11-01T05:30:00+00:00"  # the first of the two 01:30
    assert next_run(Schedule(time(1, 30)), at, NEW_YORK).isoformat() == "2026-11-02T06:30:00+00:00"
