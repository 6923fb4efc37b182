"""First sources as keys of live sets and SQL over the ClickHouse history. Pure: builds text and parameters."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from datetime import datetime

from hetang.audiences.behaviour_sql import Select
from hetang.audiences.first_source import ANY, FILTERS, ORDER, FirstSource
from hetang.audiences.rules import ADDED, Catalogue

_COLUMNS = {"stores": "store", "channels": "channel", "sources": "source"}  # of orders


def parts(
    condition: FirstSource, catalogue: Catalogue, since: datetime | None
) -> Iterator[tuple[tuple[Hashable, ...], Select | None]]:
    """For each way to come: the keys of `first_source_sets.customers_first`, and where orders are asked for their
    properties, who placed such a one first. Nothing where nobody can have come so."""
    states = condition.states
    by_code = condition.codes is not None
    if by_code and not states:
        return  # no code belongs to these campaigns
    for by in (by for by in FILTERS if by != ANY and condition.by in {ANY, by} and not (by_code and by == ORDER)):
        named = {key: values for key in FILTERS[by] if key != "campaigns" and (values := getattr(condition, key))}
        named |= {"channel_states": states} if states and by != ORDER else {}
        if by == ORDER:
            sold = tuple(sorted(_ids("staff", named.pop("staff", ()), catalogue), key=str))
            yield (ORDER, since, *([("staff", sold)] if sold else [])), _first_orders(named) if named else None
        else:
            ids = ((key, tuple(sorted(_ids(key, values, catalogue), key=str))) for key, values in named.items())
            yield (by, since, *ids), None


def _ids(key: str, codes: tuple[str, ...], catalogue: Catalogue) -> list[Hashable]:
    if key == "channel_states":
        return list(codes)
    if key == "ways":
        return [ADDED[code] for code in codes]
    known = {"stores": catalogue.stores, "staff": catalogue.staff, "groups": catalogue.groups}[key]
    return [known[code].id for code in codes]


def _first_orders(named: dict[str, tuple[str, ...]]) -> Select:
    """Of orders of one instant the first by source and number counts."""
    first = "argMin({}, (placed_at, source, order_key))"
    tests = [f"{first.format(_COLUMNS[key])} in {{{key}:Array(String)}}" for key in named]
    sql = f"select customer from orders where customer > 0 group by customer having {' and '.join(tests)}"
    return Select(sql, named)
