"""The values by which customers are compared, as SQL over the ClickHouse history. Pure: builds text and parameters,
runs nothing.

Who is chosen is not asked of ClickHouse: the border lies among the people of all servers, and only the live sets know
who lives. See `standings`.
"""

from __future__ import annotations

from typing import Any

from hetang.audiences.moments import EARLIEST_DAY, Moment, first_day
from hetang.audiences.standing_rules import Percentile, RfmCell
from hetang.audiences.sums_sql import days_times_and_sums
from hetang.commerce.attribute_columns import column as attribute_column

_COUNTED = {
    "spent": ("orders", "toFloat64(sum(net))"),
    "orders": ("orders", "toFloat64(count())"),
    "visits": ("visits", "toFloat64(count())"),
}
_OF_LINES = {"spent": "toFloat64(sum(amount))", "orders": "toFloat64(uniqExact(sipHash64(source, order_key)))"}
# Of profiles: the value, and who has one.
_KEPT = {
    "orders": ("orders", "orders > 0"),
    "visits": ("visits", "visits > 0"),
    "gmv": ("gmv", "orders > 0"),
    "average_order_value": ("gmv / orders", "orders > 0"),
    "refunded": ("refunded", "refunded > 0"),
}
_SINCE = {
    "days_since_last_order": "last_order_at",
    "days_since_first_order": "first_order_at",
    "days_since_last_visit": "last_visit_at",
}


def measured_sql(condition: Percentile, moment: Moment) -> tuple[str, dict[str, Any]]:
    """Rows of `standings.COLUMNS`: everybody who has the value, the dead too."""
    by, days = condition.by, condition.days
    if condition.attribute:
        name = attribute_column(condition.attribute, "number")
        return _of_profiles(f"assumeNotNull({name})", f"isFinite(ifNull({name}, nan))"), {}
    if by in _SINCE:
        at = _SINCE[by]
        ago = "{today:Int64} - toInt64(toDate32(assumeNotNull(" + at + "), {zone:String}))"
        today = (moment.today - EARLIEST_DAY).days
        return _of_profiles(ago, f"{at} is not null"), {"today": today, "zone": moment.zone}
    narrowed = {name: value for name in ("category", "store") if (value := getattr(condition, name))}
    if by in _COUNTED and (days is not None or by == "spent" or narrowed):
        table, measure = ("order_lines", _OF_LINES[by]) if condition.category else _COUNTED[by]
        within, parameters = _within(days, moment)
        tests = [f"{name} = {{{name}:String}}" for name in narrowed] + ([within] if within else [])
        where = "".join(f" and {test}" for test in tests)
        sql = f"select customer, {measure} from {table} where customer > 0{where} group by customer"
        return sql, {**parameters, **narrowed}
    return _of_profiles(*_KEPT[by]), {}


def rfm_sql(condition: RfmCell, moment: Moment) -> tuple[str, dict[str, Any]]:
    """Rows of `standings.PARTS`: everybody with an order, the dead too."""
    within, parameters = _within(condition.days, moment)
    return days_times_and_sums("orders where customer > 0", within or "1", "net"), parameters


def _of_profiles(value: str, where: str) -> str:
    return f"select customer, toFloat64({value}) from customer_profile final where {where}"


def _within(days: int | None, moment: Moment) -> tuple[str, dict[str, Any]]:
    if days is None:
        return "", {}
    parameters = {"first": first_day(days, moment.today), "last": moment.today}
    return "day >= {first:Date} and day <= {last:Date}", parameters
