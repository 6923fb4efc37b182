"""Days of life stages against a plain reference, over random dates and distances."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetang.customers import minors
from hetang.customers.errors import StageProblem
from hetang.customers.life_stages import TEMPLATES, arranged, course_from
from hetang.customers.stages import Course, Offset, Span, Stage, begins, in_order, latest, read_day

days = st.dates(date(1896, 1, 1), date(2110, 12, 31))
leap_days = st.sampled_from([date(y, m, d) for y in (1999, 2000, 2024, 2100) for m in (1, 2, 3, 12) for d in (28, 1)])
offsets = st.one_of(
    st.builds(Offset, st.integers(-400, 6000), st.just("day")),
    st.builds(Offset, st.integers(-60, 800), st.just("week")),
    st.builds(Offset, st.integers(-24, 400), st.just("month")),
    st.builds(Offset, st.integers(-2, 90), st.just("year")),
)
around = st.one_of(days, leap_days.flatmap(lambda day: st.integers(-3, 3).map(lambda n: day + timedelta(days=n))))


def plainly(reference: date, offset: Offset) -> date:
    """The reference: months are walked one by one, and a day that is missing is looked for day by day."""
    if offset.unit in ("day", "week"):
        return reference + timedelta(days=offset.number * (7 if offset.unit == "week" else 1))
    year, month = reference.year, reference.month
    for _ in range(abs(offset.number) * (12 if offset.unit == "year" else 1)):
        month += 1 if offset.number > 0 else -1
        if month == 13:
            year, month = year + 1, 1
        if month == 0:
            year, month = year - 1, 12
    for day in range(reference.day, 32):
        try:
            return date(year, month, day)
        except ValueError:
            continue
    return date(year + month // 12, month % 12 + 1, 1)


@settings(max_examples=600, deadline=None)
@given(around, offsets)
def test_an_offset_is_reached_on_the_day_of_the_plain_calendar(reference: date, offset: Offset) -> None:
    assert begins(reference, offset) == plainly(reference, offset)


@settings(max_examples=600, deadline=None)
@given(around, offsets, st.integers(-40, 40))
def test_the_border_is_the_inverse(day: date, offset: Offset, step: int) -> None:
    border = latest(day, offset)
    reference = border + timedelta(days=step)
    assert (plainly(reference, offset) <= day) == (reference <= border)


@pytest.mark.parametrize(
    ("reference", "number", "unit", "day"),
    [
        ("2024-02-29", 1, "year", "2025-03-01"),
        ("2024-02-29", 4, "year", "2028-02-29"),
        ("2096-02-29", 4, "year", "2100-03-01"),
        ("2024-01-31", 1, "month", "2024-03-01"),
        ("2024-01-31", 2, "month", "2024-03-31"),
        ("2024-05-31", -3, "month", "2024-03-01"),
        ("2024-12-15", -40, "week", "2024-03-10"),
        ("9999-12-31", 1, "day", "9999-12-31"),
        ("9999-12-31", 1, "year", "9999-12-31"),
        ("0001-01-01", -1, "month", "0001-01-01"),
    ],
)
def test_days_that_are_known(reference: str, number: int, unit: str, day: str) -> None:
    assert begins(date.fromisoformat(reference), Offset(number, unit)) == date.fromisoformat(day)


def test_a_leap_child_turns_fourteen_when_the_law_of_minors_says_so() -> None:
    """Both rules are one: see `minors.born_after`."""
    born = date(2012, 2, 29)
    turns = begins(born, Offset(minors.AGE, "year"))
    assert turns == date(2026, 3, 1)
    assert born.isoformat() > minors.born_after(turns - timedelta(days=1))
    assert not born.isoformat() > minors.born_after(turns)


NINE = course_from(TEMPLATES["child"])


def by_hand(course: Course, reference: date, day: date) -> Stage | None:
    found = None
    for stage in course.stages:
        if plainly(reference, stage.begins) <= day:
            found = stage
    return None if course.ends and plainly(reference, course.ends) <= day else found


@settings(max_examples=300, deadline=None)
@given(around, st.integers(-300, 6000), st.integers(1, 400))
def test_spans_say_who_is_in_entered_and_will_enter(day: date, age: int, within: int) -> None:
    reference = day - timedelta(days=age)
    now = by_hand(NINE, reference, day)
    assert NINE.stage_at(reference, day) == now
    first = day - timedelta(days=within - 1)
    for stage in NINE.stages:
        start = plainly(reference, stage.begins)
        assert (reference in NINE.inside(stage.code, day)) == (stage == now)
        assert (reference in NINE.entered(stage.code, first, day)) == (stage == now and start >= first)
        assert (reference in NINE.entering(stage.code, day, within)) == (1 <= (start - day).days <= within)
    assert (reference in NINE.ending(day)) == (plainly(reference, Offset(14, "year")) == day)


@given(st.tuples(st.integers(1900, 2100), st.integers(0, 13), st.integers(0, 32)), days)
def test_a_day_that_does_not_exist_lies_between_its_neighbours(parts: tuple[int, int, int], border: date) -> None:
    text = f"{parts[0]:04}-{parts[1]:02}-{parts[2]:02}"
    assert (read_day(text) <= border) == (text <= border.isoformat())


def test_the_shipped_courses_are_in_order() -> None:
    assert len(NINE.stages) == 9
    for template in TEMPLATES.values():
        course = course_from(template)
        assert arranged(course.stages, course.ends) == course


def test_a_month_and_thirty_days_have_no_order() -> None:
    assert in_order(Offset(28, "day"), Offset(29, "day"))
    assert not in_order(Offset(30, "day"), Offset(1, "month"))
    assert not in_order(Offset(28, "day"), Offset(1, "month"))
    assert in_order(Offset(27, "day"), Offset(1, "month"))
    assert in_order(Offset(1, "month"), Offset(32, "day"))
    assert not in_order(Offset(1, "month"), Offset(31, "day"))


@pytest.mark.parametrize(
    ("stages", "ends", "code"),
    [
        ([], None, "no_stages"),
        ([("a", 1, "month"), ("b", 30, "day")], None, "out_of_order"),
        ([("a", 1, "day"), ("a", 2, "day")], None, "name_twice"),
        ([("a", 126, "year")], None, "too_far"),
        ([("a", 2, "year")], (24, "month"), "ends_too_early"),
        ([(f"s{n}", n, "day") for n in range(31)], None, "too_many"),
    ],
)
def test_what_is_no_course_is_refused(
    stages: list[tuple[str, int, str]], ends: tuple[int, str] | None, code: str
) -> None:
    read = [Stage(name, name, Offset(number, unit)) for name, number, unit in stages]
    with pytest.raises(StageProblem) as refused:
        arranged(read, Offset(*ends) if ends else None)
    assert refused.value.code == code


def test_stages_are_put_in_order() -> None:
    later, sooner = Stage("b", "b", Offset(1, "year")), Stage("a", "a", Offset(3, "month"))
    assert arranged([later, sooner], None).stages == (sooner, later)
    assert not Span(date(2026, 1, 2), date(2026, 1, 1))
