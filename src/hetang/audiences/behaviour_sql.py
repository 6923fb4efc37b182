"""Conditions on behaviour as SQL over the ClickHouse history. Pure: builds text and parameters, runs nothing.

Every row of the history is one deed of one customer, with its instant and its local day (facts: the instant only, days
are the brand's).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from hetang.audiences.moments import EARLIEST_DAY, LATEST_DAY, Moment, compare, day_bounds, kept_day, period_bounds
from hetang.audiences.rules import UNITS, WEEKDAYS, Behaviour, Deed, DeedAt, Followed, Scalar
from hetang.audiences.sums_sql import chosen_by_sum

QUANTIFIED = {"at_least": ">=", "at_most": "<=", "exactly": "="}
# Whether a number of times is above zero, or is zero.
_ANY_OR_NONE = {(">=", 1), (">", 0), ("=", 0), ("<=", 0), ("<", 1)}
_AT = {
    **{"orders": "placed_at", "order_lines": "placed_at", "facts": "occurred_at"},
    **dict.fromkeys(("visits", "touches", "clicks"), "at"),
}
_ORDER = "uniqExact(sipHash64(source, order_key))"


@dataclass(frozen=True, slots=True)
class Select:
    """A select of customers, or (`negated`) of those for whom the condition does not hold. `quick`: another text that
    selects the same."""

    sql: str
    parameters: Mapping[str, Any]
    negated: bool = False
    quick: str = ""


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of a table of the history, and the tests that choose them."""

    table: str
    tests: tuple[str, ...]
    parameters: Mapping[str, Any]

    @property
    def at(self) -> str:
        return _AT[self.table]

    @property
    def where(self) -> str:
        return f"{self.table} where {' and '.join(self.tests)}"


def counted_sql(condition: Behaviour, op: str, values: Sequence[Scalar], moment: Moment) -> Select:
    """Who did something so often, so much of it, or so many different ones. A quantity of zero belongs to whoever has
    no row, so what zero fulfils is asked the other way round."""
    rows = _rows(condition.deed, moment, by_line=_by_line(condition))
    measure, tests, parameters = _measure(condition, rows, moment)
    select = f"select customer from {rows.where}{''.join(f' and {test}' for test in tests)}"
    parameters = {**rows.parameters, **parameters}
    if condition.measure == "average":
        having, compared = _average(measure, "count()" if rows.table == "orders" else _ORDER, op, values)
        return Select(f"{select} group by customer having {having}", {**parameters, **compared})
    zero_fits = compare(0, op, values)
    if (op, *values) in _ANY_OR_NONE and not measure.startswith("sum"):
        return Select(select, parameters, zero_fits)  # a tenth of what counting costs
    having, compared = _asked(measure, op, values, zero_fits)
    quick = ""
    if (column := _ADDED_UP.fullmatch(measure)) and not tests:
        quick = chosen_by_sum(rows.where, column[1] or "", _asked("total", op, values, zero_fits)[0])
    return Select(f"{select} group by customer having {having}", {**parameters, **compared}, zero_fits, quick)


_ADDED_UP = re.compile(r"sum\((\w+)\)|count\(\)")


def _asked(measure: str, op: str, values: Sequence[Scalar], zero_fits: bool) -> tuple[str, dict[str, Any]]:
    """A test that does not hold for zero."""
    having, compared = compared_sql(measure, op, values)
    return f"not ({having})" if zero_fits else having, compared


def deed_at_sql(condition: DeedAt, moment: Moment) -> Select:
    """Whose first or last deed lies in some days."""
    rows = _rows(condition.deed, moment)
    low, high = day_bounds(condition.op, condition.days, condition.on, moment.today)
    bounds = _iso_day(low) if low else None, _iso_day(high) if high else None
    way = "min" if condition.end == "first" else "max"
    tests, parameters = _in_days(f"{way}({'occurred_at' if rows.table == 'facts' else 'day'})", rows, bounds, moment)
    sql = f"select customer from {rows.where} group by customer having {' and '.join(tests)}"
    return Select(sql, {**rows.parameters, **parameters})


def followed_sql(condition: Followed, moment: Moment) -> Select:
    """The nearest later second deed of each first one decides: an ASOF join, local to a customer."""
    first = _rows(condition.first, moment, "a_")
    then = _rows(condition.then, moment, "b_")
    seconds = condition.within * UNITS[condition.unit]
    parameters = {**first.parameters, **then.parameters, "seconds": seconds}
    earlier = f"select customer, {first.at} as at from {first.where}"
    if not condition.happened:
        earlier += " and at <= {over:DateTime64(3, 'UTC')}"
        parameters["over"] = _instant(over(condition, moment))
    later = f"select customer, {then.at} as at from {then.where}"
    near = "b.at > a.at and b.at <= a.at + toIntervalSecond({seconds:Int64})"
    sql = (
        f"select a.customer as customer from ({earlier}) as a"
        f" asof {'' if condition.happened else 'left '}join ({later}) as b on a.customer = b.customer and a.at < b.at"
        f" where {near if condition.happened else f'not ({near})'}"
    )
    return Select(sql, parameters)


def over(condition: Followed, moment: Moment) -> datetime:
    """The latest instant of a first deed whose time to be followed is over at the midnight that began today."""
    return moment.instant(moment.today) - timedelta(seconds=condition.within * UNITS[condition.unit])


def compared_sql(expression: str, op: str, values: Sequence[Scalar]) -> tuple[str, dict[str, Any]]:
    """SQL of a comparison; `!=` comes here only negated (it is the complement of `=`)."""
    kind = "String" if isinstance(values[0], str) else "Float64" if isinstance(values[0], float) else "Int64"
    if op == "between":
        return f"{expression} between {{low:{kind}}} and {{high:{kind}}}", {"low": values[0], "high": values[1]}
    return f"{expression} {op} {{value:{kind}}}", {"value": values[0]}


def _average(total: str, number: str, op: str, values: Sequence[Scalar]) -> tuple[str, dict[str, Any]]:
    """Compared without dividing, so that the border is exact."""
    return f"{total} {op} {{value:Int128}} * {number}", {"value": values[0]}


def _by_line(condition: Behaviour) -> bool:
    return condition.count == "lines" or condition.of in {"category", "sku", "quantity"}


def _measure(condition: Behaviour, rows: _Rows, moment: Moment) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    """What is measured of the rows, which of them do not count for that, and parameters."""
    if condition.measure in {"sum", "average"}:
        column = condition.of or ("net" if rows.table == "orders" else "amount")
        return f"sum({column})", (), {}
    if condition.measure == "distinct":
        if condition.of == "day":
            day = "toDate(occurred_at, {zone:String})" if rows.table == "facts" else "day"
            return f"uniqExact({day})", (), {"zone": moment.zone} if rows.table == "facts" else {}
        return f"uniqExact({condition.of})", (f"{condition.of} != ''",), {}
    orders = rows.table == "order_lines" and condition.count == "orders"
    return (_ORDER if orders else "count()"), (), {}


def _rows(deed: Deed, moment: Moment, prefix: str = "", *, by_line: bool = False) -> _Rows:
    """The rows of a deed. Parameters are named with the prefix, so that two deeds can stand in one query."""
    tests = ["customer > 0"]
    parameters: dict[str, Any] = {}
    for column in ("category", "sku", "channel", "kind", "message_class"):
        if value := getattr(deed, column):
            tests.append(f"{column} = {{{prefix}{column}:String}}")
            parameters[f"{prefix}{column}"] = value
    for column, key in (("store", "stores"), ("source", "sources")):
        if values := getattr(deed, key):
            tests.append(f"{column} in {{{prefix}{key}:Array(String)}}")
            parameters[f"{prefix}{key}"] = values
    if deed.programmes:
        tests.append(f"programme in {{{prefix}programmes:Array(Int64)}}")
        parameters[f"{prefix}programmes"] = deed.programmes
    elif deed.programmes is not None:
        tests.append("0")  # nothing was sent yet
    table = _table(deed, by_line)
    if table == "touches":
        tests.append("state = 'sent'")
    if deed.hours or deed.weekdays:
        tests += _at_times(deed, table, prefix)
        parameters[f"{prefix}zone"] = moment.zone
        parameters |= dict(zip((f"{prefix}since", f"{prefix}until"), deed.hours or (0, 0), strict=True))
        parameters |= dict(zip((f"{prefix}from", f"{prefix}to"), WEEKDAYS.get(deed.weekdays, (0, 0)), strict=True))
    rows = _Rows(table, tuple(tests), parameters)
    column = "occurred_at" if table == "facts" else "day"
    within, days = _in_days(column, rows, period_bounds(deed.when, moment.today), moment, prefix)
    return _Rows(table, (*tests, *within), {**parameters, **days})


def _at_times(deed: Deed, table: str, prefix: str) -> Iterator[str]:
    """Tests of the hour and of the day of the week, both of the brand's zone but for days, which are the row's."""
    if deed.hours:
        hour = f"toHour({_AT[table]}, {{{prefix}zone:String}})"
        both = "and" if deed.hours[0] < deed.hours[1] else "or"
        yield f"({hour} >= {{{prefix}since:UInt8}} {both} {hour} < {{{prefix}until:UInt8}})"
    if deed.weekdays:
        day = f"toDate(occurred_at, {{{prefix}zone:String}})" if table == "facts" else "day"
        yield f"toDayOfWeek({day}) between {{{prefix}from:UInt8}} and {{{prefix}to:UInt8}}"


def _table(deed: Deed, by_line: bool) -> str:
    if deed.event in {"bought", "spent"}:
        return "order_lines" if by_line or deed.category or deed.sku else "orders"
    return {"visited": "visits", "received": "touches", "clicked": "clicks", "fact": "facts"}[deed.event]


def _in_days(
    expression: str, rows: _Rows, bounds: tuple[date | None, date | None], moment: Moment, prefix: str = ""
) -> tuple[list[str], dict[str, Any]]:
    """Tests of a column between two days: of local days, or of instants between their midnights in the brand's zone."""
    tests: list[str] = []
    parameters: dict[str, Any] = {}
    first, last = bounds
    if rows.table != "facts":
        for key, sign, day in (("first", ">=", first), ("last", "<=", last)):
            if day is not None:
                tests.append(f"{expression} {sign} {{{prefix}{key}:Date}}")
                parameters[f"{prefix}{key}"] = day
        return tests, parameters
    behind = None if last is None else last + timedelta(days=1)
    for key, sign, day in (("first", ">=", first), ("behind", "<", behind)):
        if day is not None:
            tests.append(f"{expression} {sign} {{{prefix}{key}:DateTime64(3, 'UTC')}}")
            parameters[f"{prefix}{key}"] = _instant(moment.instant(day))
    return tests, parameters


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")


def _iso_day(day: str) -> date:
    """An ISO day as the history keeps days; `moments.day_bounds` writes days that no calendar has, too."""
    if day < EARLIEST_DAY.isoformat():
        return EARLIEST_DAY
    return LATEST_DAY if day > LATEST_DAY.isoformat() else kept_day(date.fromisoformat(day))
