"""Conditions on behaviour for one person: what she did, one by one. Pure; held equal to `behaviour_sql` by a test."""

from __future__ import annotations

from bisect import bisect_right
from datetime import date, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from hetang.audiences.behaviour_sql import QUANTIFIED, over
from hetang.audiences.moments import Moment, compare, day_bounds, period_bounds
from hetang.audiences.people import Clicked, Line, Noted, Person, Purchase, Received, Visit
from hetang.audiences.rules import UNITS, WEEKDAYS, Behaviour, Deed, DeedAt, Followed

Done = Purchase | Line | Visit | Received | Clicked | Noted


def behaved(node: Behaviour, person: Person, moment: Moment) -> tuple[Any, bool]:
    """The quantity that she did, and whether it fits; an average that does not exist is None."""
    op = QUANTIFIED[node.op]
    done = _done(node.deed, person, moment, by_line=node.count == "lines" or node.of in {"category", "sku", "quantity"})
    if node.measure == "average":
        total, orders = sum(_amount(one) for one in done), len({one.order for one in done})  # type: ignore[union-attr]
        if not orders:
            return None, False
        return round(total / orders), compare(total, op, (node.value * orders,))
    found = _quantity(node, done)
    return float(found) if isinstance(found, Decimal) else found, compare(found, op, (node.value,))


def times(deed: Deed, person: Person, moment: Moment) -> int:
    """How often something happened with her."""
    return int(_quantity(Behaviour(deed, "at_least", 0), _done(deed, person, moment)))


def deed_at(node: DeedAt, person: Person, moment: Moment) -> tuple[str, bool]:
    """Found: the day (ISO) of the first or last time."""
    days = [one.day for one in _done(node.deed, person, moment)]
    if not days:
        return "", False
    found = (min(days) if node.end == "first" else max(days)).isoformat()
    low, high = day_bounds(node.op, node.days, node.on, moment.today)
    return found, (not low or found >= low) and (not high or found <= high)


def followed(node: Followed, person: Person, moment: Moment) -> tuple[list[str], bool]:
    """Found: the instants (ISO) of the newest first deed that decides, and of what followed it in time, if that did."""
    thens = sorted(one.at for one in _done(node.then, person, moment))
    within = timedelta(seconds=node.within * UNITS[node.unit])
    end = over(node, moment)
    for at in sorted((one.at for one in _done(node.first, person, moment)), reverse=True):
        next_one = bisect_right(thens, at)
        in_time = next_one < len(thens) and thens[next_one] <= at + within
        if node.happened and in_time:
            return [at.isoformat(), thens[next_one].isoformat()], True
        if not node.happened and not in_time and at <= end:
            return [at.isoformat()], True
    return [], False


def _quantity(node: Behaviour, done: list[Done]) -> int | Decimal:
    if node.measure == "sum":
        if node.of == "quantity":
            total = sum((one.quantity for one in done if isinstance(one, Line)), Decimal())
            return int(total) if total == int(total) else total
        return sum(_amount(one) for one in done)
    if node.measure == "distinct":
        return len({_property(one, node.of) for one in done} - {""})
    if node.count == "orders" and any(isinstance(one, Line) for one in done):
        return len({one.order for one in done if isinstance(one, Line)})
    return len(done)


def _amount(one: Done) -> int:
    return one.net if isinstance(one, Purchase) else one.amount if isinstance(one, Line) else 0


def _property(one: Done, of: str) -> str | date:
    found: str | date = getattr(one, of)
    return found


def _done(deed: Deed, person: Person, moment: Moment, *, by_line: bool = False) -> list[Done]:
    first, last = period_bounds(deed.when, moment.today)
    zone = ZoneInfo(moment.zone)
    return [
        one
        for one in _all(deed, person, by_line)
        if (first is None or one.day >= first)
        and (last is None or one.day <= last)
        and _fits(deed, one)
        and _in_time(deed, one, zone)
    ]


def _all(deed: Deed, person: Person, by_line: bool) -> tuple[Done, ...]:
    if deed.event in {"bought", "spent"}:
        return person.lines if by_line or deed.category or deed.sku else person.purchases
    if deed.event == "visited":
        return person.visited
    if deed.event == "received":
        return person.received
    return person.clicked if deed.event == "clicked" else person.noted


def _in_time(deed: Deed, one: Done, zone: ZoneInfo) -> bool:
    if deed.weekdays:
        first_day, last_day = WEEKDAYS[deed.weekdays]
        if not first_day <= one.day.isoweekday() <= last_day:
            return False
    if deed.hours is None:
        return True
    first, end = deed.hours
    hour = one.at.astimezone(zone).hour
    return first <= hour < end if first < end else hour >= first or hour < end


def _fits(deed: Deed, one: Done) -> bool:
    wanted = [(name, getattr(deed, name)) for name in ("category", "sku", "channel", "kind", "message_class")]
    if any(value and getattr(one, name) != value for name, value in wanted):
        return False
    if deed.sources and isinstance(one, Purchase | Line) and one.order[0] not in deed.sources:
        return False
    if deed.programmes is not None and isinstance(one, Received | Clicked) and one.programme not in deed.programmes:
        return False
    return not deed.stores or getattr(one, "store", "") in deed.stores
