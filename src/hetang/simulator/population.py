"""People who visit and buy, with a known effect of messages.

Whether a person buys on a day is one draw `u` against her daily rate: she buys without any message if `u < rate`, and
with one that still works if `u < rate * (1 + uplift)`. Both potential outcomes are thus fixed by the seed, and a
purchase between the two bounds is known to be *caused* by the message: the truth that reports are held against.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from hetang.simulator import ids
from hetang.simulator.state import State


@dataclass(frozen=True, slots=True)
class Drawn:
    """What may happen to one person on one day: a visit at `at`, and a purchase if `draw` is below the rate then."""

    at: float
    person: str
    draw: float
    rate: float
    basket_draw: float


@dataclass
class Days:
    """Drawn days, kept until people or settings change: an hour's step then costs no hashing."""

    version: int = -1
    drawn: dict[date, list[Drawn]] = field(default_factory=dict)

    def of(self, state: State, db: sqlite3.Connection, day: date) -> list[Drawn]:
        """The day's draws in order of time. About 3 seconds for a million people, once."""
        if self.version != state.people_version or len(self.drawn) > 3:
            self.drawn.clear()
            self.version = state.people_version
        if day not in self.drawn:
            self.drawn[day] = _draw_day(state, db, day)
        return self.drawn[day]


def act(state: State, db: sqlite3.Connection, days: Days, start: float, end: float) -> int:
    """Visits and purchases in (start, end]. Returns the number of purchases."""
    if not state.settings.buying:
        return 0
    bought = 0
    products = _products(db)
    for day in _days_between(state, start, end):
        for drawn in days.of(state, db, day):
            if start < drawn.at <= end:
                bought += _visit(state, db, drawn, products)
    return bought


def _visit(state: State, db: sqlite3.Connection, drawn: Drawn, products: list[sqlite3.Row]) -> int:
    person = db.execute("select * from person where external_userid = ?", [drawn.person]).fetchone()
    key = f"{int(drawn.at)}-{drawn.person}"
    who = [{"kind": kind, "value": value} for kind, value in msgspec.json.decode(person["identities"])]
    arrived = drawn.at - 600.0 * drawn.basket_draw
    visit = {"store": person["store"] or None, "channel": "store", "simulated": True}
    post(db, "visit.recorded", f"visit-{key}", arrived, {"who": who, "body": visit})
    by_itself = drawn.draw < drawn.rate
    if not by_itself and not (_exposed(state, db, drawn) and drawn.draw < drawn.rate * (1 + state.settings.uplift)):
        return 0
    net = max(1, round(person["basket"] * (0.5 + drawn.basket_draw)))
    lines = _lines(state, key, net, products)
    order = {"store": person["store"] or None, "channel": "store", "lines": lines, "net": net}
    db.execute(
        "insert or ignore into purchase (key, external_userid, at, net, caused) values (?, ?, ?, ?, ?)",
        [f"order-{key}", drawn.person, drawn.at, net, 0 if by_itself else 1],
    )
    post(db, "order.placed", f"order-{key}", drawn.at, {"who": who, "body": order})
    return 1


def _exposed(state: State, db: sqlite3.Connection, drawn: Drawn) -> bool:
    row = db.execute("select sent_at from exposure where external_userid = ?", [drawn.person]).fetchone()
    return row is not None and 0 <= drawn.at - row["sent_at"] <= state.settings.effect_s


def post(db: sqlite3.Connection, kind: str, key: str, at: float, told: dict[str, Any]) -> None:
    """Queue one fact; `told` holds its `who` and `body`."""
    fact = {
        "kind": kind,
        "key": key,
        "occurred_at": datetime.fromtimestamp(at, UTC).isoformat(),
        **told,
    }
    db.execute("insert or ignore into outbox (key, fact) values (?, ?)", [key, msgspec.json.encode(fact).decode()])


def _lines(state: State, key: str, net: int, products: list[sqlite3.Row]) -> list[dict[str, Any]]:
    """One to three lines whose amounts add up to `net`."""
    if not products:
        return [{"sku": "SIMULATED", "category": None, "quantity": "1", "amount": net}]
    first, second, third, split = ids.chances(state.settings.seed, "lines", key)
    count = min(3, len(products), net) if split > 0.5 else 1
    picked = [products[int(draw * len(products))] for draw in (first, second, third)[:count]]
    parts = [net // count] * count
    parts[0] += net - sum(parts)
    return [
        {"sku": product["sku"], "category": product["category"] or None, "quantity": "1", "amount": part}
        for product, part in zip(picked, parts, strict=True)
    ]


def _products(db: sqlite3.Connection) -> list[sqlite3.Row]:
    return db.execute("select sku, category from product order by sku limit 500").fetchall()


def _draw_day(state: State, db: sqlite3.Connection, day: date) -> list[Drawn]:
    settings = state.settings
    zone = ZoneInfo(settings.time_zone)
    opens = datetime.combine(day, time(settings.opens_hour), zone).timestamp()
    closes = datetime.combine(day, time(settings.closes_hour), zone).timestamp()
    drawn = []
    factor = max(settings.visits_per_order, 1 + settings.uplift)
    for row in db.execute("select external_userid, daily_rate from person where daily_rate > 0"):
        rate = row["daily_rate"]
        draw, moment, basket, _ = ids.chances(settings.seed, "day", day.isoformat(), row["external_userid"])
        if draw < rate * factor:
            drawn.append(Drawn(opens + moment * (closes - opens), row["external_userid"], draw, rate, basket))
    return sorted(drawn, key=lambda one: (one.at, one.person))


def _days_between(state: State, start: float, end: float) -> list[date]:
    zone = ZoneInfo(state.settings.time_zone)
    first = datetime.fromtimestamp(start, zone).date()
    last = datetime.fromtimestamp(end, zone).date()
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
