"""The history tables in the engine that all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hetang.commerce import history as commerce_history
from hetang.commerce import history_schema
from hetang.platform import clickhouse


@pytest.fixture(scope="module")
def history(engine: str) -> Iterator[None]:
    """The history tables, empty before and after the module."""
    commerce_history.ensure_schema()
    _empty()
    yield
    _empty()


def _empty() -> None:
    for table in history_schema.ALL:
        clickhouse.command(f"truncate table {table}")
