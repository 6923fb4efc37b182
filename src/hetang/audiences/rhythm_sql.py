"""Conditions on a customer's rhythm of purchases as SQL over the ClickHouse history: see `commerce.rhythm`, whose whole
numbers it repeats. Pure: builds text and parameters, runs nothing.

Nothing is kept of anybody's rhythm: the days of everybody's orders are grouped, which costs what counting orders does.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from hetang.audiences.moments import day_bounds
from hetang.audiences.rules import DateOf, Scalar
from hetang.commerce.rhythm import FINE, MIDDLE, MOST_GAPS, MOST_WAIT, Base, factors

_EPOCH = date(1970, 1, 1).toordinal()
_FAR = 10**9
MOST_LATE = 99

_HABITS = (
    "select customer from (select customer, toInt64(uniqExact(day)) - 1 as gaps,"
    " toInt64(toUInt16(max(day))) as last_on, toInt64(toUInt16(max(day))) - toInt64(toUInt16(min(day))) as span"
    " from orders where customer > 0 group by customer) where gaps > 0"
)


def has_rhythm_sql() -> tuple[str, dict[str, Any]]:
    """Who bought on two days at least."""
    return _HABITS, {}


def late_sql(op: str, values: Sequence[Scalar], base: Base, today: date) -> tuple[str, dict[str, Any]]:
    """Whose lateness (whole percent, rounded down) compares so; not `!=`. Of a range only the days at its two ends are
    worked out, since nobody becomes less late by waiting."""
    low, high = _range(op, [int(value) for value in values])
    tests, parameters = [], {**_base(base), "today": today.toordinal() - _EPOCH}
    if low > MOST_LATE or high < 0:
        tests.append("0")
    if 0 < low <= MOST_LATE:
        tests.append(f"{{today:Int64}} - last_on >= {_wait('low')}")
        parameters["low"] = factors(base.shape, base.gaps, low)
    if 0 <= high < MOST_LATE:
        tests.append(f"{{today:Int64}} - last_on < {_wait('high')}")
        parameters["high"] = factors(base.shape, base.gaps, high + 1)
    return " and ".join([_HABITS, *tests]), parameters


def expected_sql(condition: DateOf, base: Base, today: date) -> tuple[str, dict[str, Any]]:
    """Whose next purchase is expected on days that compare so."""
    low, high = day_bounds(condition.op, condition.days, condition.on, today)
    tests, parameters = [], {**_base(base), "middle": factors(base.shape, base.gaps, MIDDLE)}
    for name, sign, day in (("low", ">=", low), ("high", "<=", high)):
        if day:
            tests.append(f"last_on + least({_wait('middle')}, {MOST_WAIT}) {sign} {{{name}:Int64}}")
            parameters[name] = _number(day)
    return " and ".join([_HABITS, *tests]), parameters


def _range(op: str, values: Sequence[int]) -> tuple[int, int]:
    """The least and the greatest whole number that fit."""
    value = values[0]
    return {
        "=": (value, value),
        "<": (-_FAR, value - 1),
        "<=": (-_FAR, value),
        ">": (value + 1, _FAR),
        ">=": (value, _FAR),
        "between": (value, values[-1]),
    }[op]


def _base(base: Base) -> dict[str, Any]:
    return {"shape": base.shape, "base_gaps": base.gaps, "base_days": base.days}


def _wait(name: str) -> str:
    """`Base.wait` by the factors of a parameter."""
    through = f"({FINE} * ({{base_gaps:Int64}} + gaps * {{shape:Int64}}))"
    factor = f"arrayElement({{{name}:Array(Int64)}}, least(gaps, {MOST_GAPS}))"
    return f"greatest(1, intDiv({factor} * ({{base_days:Int64}} + span) + {through} - 1, {through}))"


def _number(day: str) -> int:
    """An ISO day as days since 1970; `moments.day_bounds` writes days that no calendar has, too."""
    if day in {"0000-00-00", "9999-99-99"}:
        return -_FAR if day < "1" else _FAR
    return date.fromisoformat(day).toordinal() - _EPOCH
