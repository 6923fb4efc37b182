from __future__ import annotations

from datetime import date

import pytest

from hetang.insights.periods import BadPeriod, Comparison, Period, parse, preset

TODAY = date(2026, 3, 31)


def d(text: str) -> date:
    return date.fromisoformat(text)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("7d", ("2026-03-17", "2026-03-23"), ("2026-03-24", "2026-03-30")),
        ("28d", ("2026-02-03", "2026-03-02"), ("2026-03-03", "2026-03-30")),
        ("month", ("2026-02-01", "2026-02-28"), ("2026-03-01", "2026-03-30")),
        ("quarter", ("2025-10-01", "2025-12-28"), ("2026-01-01", "2026-03-30")),
        ("year", ("2025-01-01", "2025-03-30"), ("2026-01-01", "2026-03-30")),
    ],
)
def test_presets_end_yesterday(name: str, before: tuple[str, str], after: tuple[str, str]) -> None:
    expected = Comparison(Period(d(before[0]), d(before[1])), Period(d(after[0]), d(after[1])), name)

    assert preset(name, TODAY) == expected


def test_on_the_first_of_a_month_the_month_is_the_one_just_ended() -> None:
    assert preset("month", d("2026-04-01")).after == Period(d("2026-03-01"), d("2026-03-31"))


def test_custom_dates_win_and_the_other_period_defaults_to_the_days_before() -> None:
    chosen = parse({"from": "2026-01-10", "to": "2026-01-12", "period": "7d"}, TODAY)

    assert chosen == Comparison(Period(d("2026-01-07"), d("2026-01-09")), Period(d("2026-01-10"), d("2026-01-12")))
    assert parse({"period": "nonsense"}, TODAY).preset == "28d"
    both = parse(
        {"before_from": "2025-01-01", "before_to": "2025-01-31", "from": "2026-01-01", "to": "2026-01-31"}, TODAY
    )
    assert (both.before.days, both.after.days) == (31, 31)


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"from": "2026-01-10"}, "incomplete"),
        ({"from": "tenth", "to": "2026-01-10"}, "incomplete"),
        ({"from": "2026-01-10", "to": "2026-01-09"}, "order"),
        ({"from": "2016-01-10", "to": "2026-01-09"}, "long"),
        ({"before_from": "2026-01-10", "from": "2026-01-10", "to": "2026-01-10"}, "incomplete"),
    ],
)
def test_dates_that_make_no_sense_are_named(values: dict[str, str], code: str) -> None:
    with pytest.raises(BadPeriod) as refused:
        parse(values, TODAY)
    assert refused.value.code == code
