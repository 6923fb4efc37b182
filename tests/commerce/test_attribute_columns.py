"""A column for each attribute: whenever it comes, whatever the attribute is called."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hetang.commerce import attribute_columns, history, history_schema
from hetang.platform import clickhouse

CODES = {"score": "number", "born": "date", "city": "text", "it's `{odd}` \\ 名": "choice"}


@pytest.fixture
def profiles(engine: str) -> Iterator[None]:
    _empty()  # another file may have left newer profiles of the same people
    yield
    _empty()


def _empty() -> None:
    for table in history_schema.ALL:
        clickhouse.command(f"drop table if exists {table} sync")
    history.ensure_schema()


def _insert(number: int, values: dict[str, str]) -> None:
    columns = ["customer", "version", "home_store", "owner", "orders", "gmv", "refunded", "visits"]
    columns += ["favourite_store", "favourite_category", "attributes", "alive"]
    row = [number, 1, "", "", 0, 0, 0, 0, "", "", values, 1]
    clickhouse.insert("customer_profile", columns, [row], token=f"columns-{number}")


def _read() -> list[tuple[object, ...]]:
    names = ", ".join(attribute_columns.column(code, kind) for code, kind in CODES.items())
    return clickhouse.rows(f"select customer, {names} from customer_profile final order by customer")


def test_columns_hold_what_the_map_holds(profiles: None) -> None:
    odd = list(CODES)[3]
    _insert(1, {"score": "1.5", "born": "2000-02-29", "city": "北京", odd: "gold"})
    attribute_columns.ensure(CODES.items())
    _insert(2, {"score": "none", "born": "20000229", "city": ""})
    _insert(3, {"score": "-2", "born": "2000-02-29 ", odd: "silver"})
    expected = [(1, 1.5, 20000229, "北京", "gold"), (2, None, 0, "", ""), (3, -2.0, 0, "", "silver")]
    assert _read() == expected
    attribute_columns.ensure(CODES.items())  # once more is harmless
    assert _read() == expected
