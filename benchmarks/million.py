"""A million people for benchmarks, as statements: what all of them have, then what one benchmark adds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path


def statements(name: str) -> Iterator[str]:
    """Those of `million.sql`, then those of the named file; one that begins with `-- clickhouse` is for ClickHouse."""
    for path in ("million.sql", name):
        text = Path(__file__).with_name(path).read_text()
        yield from (one for one in text.split(";\n") if one.strip())
