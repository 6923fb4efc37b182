"""What reading a file gives: a first look, and batches of text columns with the row number of each row. No Django."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from hetang.imports.errors import Unreadable

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

SAMPLE_ROWS = 20
MAX_COLUMNS = 500
BROKEN = "\ufffd"  # where bytes are no text; NUL counts as such, for no database takes it


class Inspection(msgspec.Struct):
    """What a first look at a file tells."""

    form: str  # csv, excel, parquet
    headers: list[str]
    samples: dict[str, list[str]]
    encoding: str = ""
    delimiter: str = ""
    sheets: list[str] = []
    duplicate_headers: list[str] = []


@dataclass
class Ragged:
    """A row with more or fewer cells than the header has."""

    row: int
    cells: int


@dataclass
class Block:
    """A piece of the file: text columns (None where empty), and the row number of each row; the header is row 1."""

    table: pa.RecordBatch
    rows: np.ndarray
    done_bytes: int
    ragged: list[Ragged] = field(default_factory=list)


def unique_headers(headers: list[str]) -> tuple[list[str], list[str]]:
    """Headers with repeated names numbered (`name`, `name (2)`), nameless ones called by their place; and the
    repeated names."""
    if len(headers) > MAX_COLUMNS:
        raise Unreadable("too_many_columns", {"limit": MAX_COLUMNS})
    seen: dict[str, int] = {}
    result, repeated = [], []
    for place, header in enumerate(headers, 1):
        name = header if header.strip() else f"#{place}"
        seen[name.strip()] = seen.get(name.strip(), 0) + 1
        if seen[name.strip()] > 1:
            repeated.append(name.strip())
            name = f"{name.strip()} ({seen[name.strip()]})"
        result.append(name)
    return result, repeated


def head_of(path: Path, count: int) -> bytes:
    """The first bytes of a file."""
    with path.open("rb") as stream:
        return stream.read(count)


def shown(cell: str) -> str:
    """A value as a sample shows it."""
    return cell if len(cell) <= 200 else cell[:200] + "…"
