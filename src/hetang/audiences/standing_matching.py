"""Where one person stands among all: her values against the borders of the base. Pure; held equal to `standings` by a
test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hetang.audiences.moments import EARLIEST_DAY, Moment, period_bounds
from hetang.audiences.people import Line, Person, Purchase, Visit
from hetang.audiences.rules import Period
from hetang.audiences.standing_rules import (
    Borders,
    Percentile,
    RfmCell,
    is_chosen,
    is_in_cell,
    scores_of,
    segment_of,
)

_SINCE = {
    "days_since_last_order": "last_order",
    "days_since_first_order": "first_order",
    "days_since_last_visit": "last_visit",
}


def percentile(node: Percentile, person: Person, borders: Borders, moment: Moment) -> tuple[Any, bool]:
    """Found: her value (None: she has none), the border (None: nobody has a value), and of how many."""
    value = _value(node, person, moment)
    border = borders.at[0][0] if borders.at else None
    return [value, border, borders.people], value is not None and is_chosen(node, value, borders)


def rfm(node: RfmCell, person: Person, borders: Borders, moment: Moment) -> tuple[Any, bool]:
    """Found: her scores, the mean scores of all, her segment, the day of her last order (ISO), orders and amount in the
    period; None for who never bought."""
    if not person.purchases or not borders.at:
        return None, False
    last = max(one.day for one in person.purchases)
    bought = _purchases(node.days, person, moment)
    values = ((last - EARLIEST_DAY).days, len(bought), sum(one.net for one in bought))
    scores = scores_of(values, borders)
    means = [total / borders.people for total in borders.sums]
    found = [scores, means, segment_of(scores, borders), last.isoformat(), len(bought), values[2]]
    return found, is_in_cell(node, scores, borders)


def _value(node: Percentile, person: Person, moment: Moment) -> float | None:  # noqa: PLR0911 - one for each measure
    if node.attribute:
        return _number(person.attributes.get(node.attribute, ""))
    if node.by in _SINCE:
        day = getattr(person, _SINCE[node.by])
        return None if day is None else (moment.today - day).days
    if node.by == "spent":
        bought = _done(node, person, moment)
        return sum(one.amount if isinstance(one, Line) else one.net for one in bought) if bought else None
    if node.by in {"orders", "visits"}:
        if node.days is None and not node.category and not node.store:
            return getattr(person, node.by) or None
        done = _done(node, person, moment)
        return len({one.order for one in done} if node.category else done) or None
    if node.by == "refunded":
        return person.refunded if person.refunded > 0 else None
    if person.orders <= 0:
        return None
    return person.gmv if node.by == "gmv" else person.gmv / person.orders


def _done(node: Percentile, person: Person, moment: Moment) -> list[Any]:
    """The visits, orders or (of a category) their lines that count."""
    of_category = [one for one in person.lines if one.category == node.category] if node.category else person.purchases
    done: Sequence[Visit | Purchase | Line] = person.visited if node.by == "visits" else of_category
    return [one for one in done if node.store in {"", one.store} and _is_in(node.days, one, moment)]


def _purchases(days: int | None, person: Person, moment: Moment) -> list[Purchase]:
    return [one for one in person.purchases if _is_in(days, one, moment)]


def _is_in(days: int | None, one: Purchase | Line | Visit, moment: Moment) -> bool:
    first, last = period_bounds(Period(days), moment.today)
    return (first is None or one.day >= first) and (last is None or one.day <= last)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
