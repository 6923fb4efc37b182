"""Asking the ClickHouse history: sets for conditions, and everything it knows about one person."""

from __future__ import annotations

from typing import Any

from pyroaring import BitMap

from hetang.audiences.plans import Query
from hetang.audiences.sets import deserialize_state
from hetang.platform import clickhouse

# Exact borders: without it 0.1 in a text may read as a neighbour of Python's 0.1.
SETTINGS = {"precise_float_parsing": 1}


def members(query: Query, settings: dict[str, Any] | None = None) -> BitMap:
    """The customers that a query selects. Raises `clickhouse_connect` errors when the store is away."""
    state = clickhouse.client().raw_query(
        f"select groupBitmapState(toUInt32(customer)) from ({query.sql})",
        parameters={name: list(v) if isinstance(v, tuple) else v for name, v in query.parameters},
        settings={**SETTINGS, **(settings or {})},
        fmt="RowBinary",
    )
    return deserialize_state(state)
