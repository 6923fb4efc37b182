"""Rows as CSV that Excel reads in Chinese (BOM) and in which no cell can run as a formula."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

# What spreadsheets take for the beginning of a formula, full-width forms (of Chinese keyboards) included.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


class _Echo:
    def write(self, line: str) -> str:
        return line


def safe(value: Any) -> Any:
    """A cell that no spreadsheet will run: text that starts like a formula gets an apostrophe; numbers stay."""
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and (value.startswith(_FORMULA_STARTS) or value.lstrip().startswith(_FORMULA_STARTS)):
        return f"'{value}"
    return value


def lines(rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The rows as lines of a CSV file, read one by one."""
    writer = csv.writer(_Echo())
    mark = "\ufeff"
    for row in rows:
        yield mark + writer.writerow([safe(cell) for cell in row])
        mark = ""
