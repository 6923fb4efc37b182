from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from hetang.touch import rules

SHANGHAI = ZoneInfo("Asia/Shanghai")
NEW_YORK = ZoneInfo("America/New_York")
DAY = datetime(2026, 3, 10, 4, tzinfo=UTC)


def at(days: float) -> datetime:
    return DAY + timedelta(days=days)


@pytest.mark.parametrize(
    ("taken", "limit", "breaks"),
    [
        ([], 1, False),
        ([-6.9], 1, True),
        ([-7], 1, False),  # exactly seven days apart do not share a window
        ([7], 1, False),
        ([6.9], 1, True),
        ([-6, 6], 2, False),  # one on either side, but never three within a week
        ([-3, 3], 2, True),
        ([0], 1, True),
        ([-6, -1, 4], 3, False),
        ([-2, -1, 4], 3, True),
    ],
)
def test_cap_in_a_sliding_week(taken: list[float], limit: int, breaks: bool) -> None:
    assert rules.breaks_cap([at(day) for day in taken], DAY, limit, 7) is breaks


@settings(max_examples=60)
@given(st.lists(st.integers(-12, 12), max_size=6), st.integers(1, 4), st.integers(1, 7))
def test_cap_is_what_counting_every_window_says(days: list[int], limit: int, span: int) -> None:
    taken = [at(day) for day in days]
    together = [*taken, DAY]
    holding = [s for s in together if s <= DAY < s + timedelta(days=span)]
    worst = max(sum(s <= one < s + timedelta(days=span) for one in together) for s in holding)
    assert rules.breaks_cap(taken, DAY, limit, span) is (worst > limit)


@pytest.mark.parametrize(
    ("local", "until"),
    [
        ("21:59", None),
        ("22:00", "11T08:00"),
        ("23:59", "11T08:00"),
        ("07:59", "10T08:00"),
        ("08:00", None),
    ],
)
def test_quiet_hours_cross_midnight(local: str, until: str | None) -> None:
    moment = datetime.fromisoformat(f"2026-03-10T{local}").replace(tzinfo=SHANGHAI)
    expected = datetime.fromisoformat(f"2026-03-{until}").replace(tzinfo=SHANGHAI) if until else None
    assert rules.quiet_until(moment.astimezone(UTC), time(22), time(8), SHANGHAI) == expected


def test_quiet_hours_within_a_day_and_none() -> None:
    noon = datetime(2026, 3, 10, 12, 30, tzinfo=SHANGHAI)
    assert rules.quiet_until(noon, time(12), time(14), SHANGHAI) == noon.replace(hour=14, minute=0)
    assert rules.quiet_until(noon, time(12), time(12), SHANGHAI) is None


def test_quiet_hours_end_by_the_clock_on_the_wall_when_clocks_change() -> None:
    before = datetime(2026, 3, 7, 23, 0, tzinfo=NEW_YORK)  # clocks go forward at 02:00 on the 8th
    until = rules.quiet_until(before, time(22), time(8), NEW_YORK)
    assert until is not None
    assert until.astimezone(UTC) == datetime(2026, 3, 8, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(("month", "limit"), [(1, 31), (2, 28), (4, 30)])
def test_platform_allows_as_many_as_the_month_has_days(month: int, limit: int) -> None:
    window = rules.platform_window("month", None, datetime(2026, month, 15, tzinfo=UTC), SHANGHAI)
    assert window is not None
    assert window.limit == limit
    assert window.start == datetime(2026, month, 1, tzinfo=SHANGHAI)


def test_platform_by_day_week_number_and_not_at_all() -> None:
    slot = datetime(2026, 3, 11, 17, tzinfo=UTC)  # already Thursday in Shanghai
    day = rules.platform_window("day", None, slot, SHANGHAI)
    week = rules.platform_window("week", 3, slot, SHANGHAI)
    assert day == rules.PlatformWindow(
        datetime(2026, 3, 12, tzinfo=SHANGHAI), datetime(2026, 3, 13, tzinfo=SHANGHAI), 1
    )
    assert week == rules.PlatformWindow(
        datetime(2026, 3, 9, tzinfo=SHANGHAI), datetime(2026, 3, 16, tzinfo=SHANGHAI), 3
    )
    assert rules.platform_window("none", None, slot, SHANGHAI) is None


@pytest.mark.parametrize(("people", "tasks"), [([], 0), ([0], 0), ([1], 1), ([10_000, 10_001, 3], 4)])
def test_tasks_needed(people: list[int], tasks: int) -> None:
    assert rules.tasks_needed(people, 10_000) == tasks


@given(
    st.lists(st.tuples(st.integers(-10, 10), st.sets(st.integers(0, 6))), max_size=6),
    st.integers(1, 3),
    st.integers(1, 6),
)
def test_over_cap_is_breaks_cap_for_sets(sendings: list[tuple[int, set[int]]], limit: int, days: int) -> None:
    others = [(at(day), BitMap(people)) for day, people in sendings]
    expected = {
        person
        for person in range(5)
        if rules.breaks_cap([when for when, people in others if person in people], DAY, limit, days)
    }
    assert set(rules.over_cap(BitMap(range(5)), DAY, others, rules.CapRule("", limit, days))) == expected
