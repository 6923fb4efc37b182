"""Excel files. No Django here."""

from __future__ import annotations

import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hetang.imports.blocks import BROKEN, Block
from hetang.imports.errors import Unreadable

MAX_UNPACKED = 1 << 30  # of an Excel file, which is a zip archive
MAX_RATIO = 200  # real spreadsheets reach 30; a bomb reaches 1,000
_ROWS_PER_BLOCK = 20_000


class ExcelFile:
    """One sheet of a workbook, its cells as text: dates in ISO form, whole numbers without `.0`, formulas as their
    last result. Refuses archives that unpack to far more than a spreadsheet does."""

    def __init__(self, path: Path, sheet: str) -> None:
        from python_calamine import CalamineError, CalamineWorkbook

        _check_archive(path)
        try:
            workbook = CalamineWorkbook.from_path(str(path))
            self.sheets = list(workbook.sheet_names)
            if not self.sheets:
                raise Unreadable("empty_file")
            if sheet and sheet not in self.sheets:
                raise Unreadable("no_such_sheet", {"sheet": sheet[:60]})
            self._sheet = workbook.get_sheet_by_name(sheet or self.sheets[0])
            self._rows: Iterator[list[Any]] = iter(self._sheet.iter_rows())
            self.headers = self._find_headers()
        except (CalamineError, OSError, ValueError) as fault:
            raise Unreadable("damaged_file") from fault

    def _find_headers(self) -> list[str]:
        self._first_row = 1 + (self._sheet.start[0] if self._sheet.start else 0)
        for number, row in enumerate(self._rows, 1):
            texts = [cell_text(cell) or "" for cell in row]
            if any(text.strip() for text in texts):
                self._first_row = number + 1
                return texts
        raise Unreadable("empty_file")

    def blocks(self, headers: list[str]) -> Iterator[Block]:
        import numpy as np
        import pyarrow as pa

        width, start = len(headers), self._first_row
        while True:
            cells: list[list[str | None]] = [[] for _ in headers]
            rows: list[int] = []
            for number, row in enumerate(self._rows, start):
                texts = [cell_text(cell) for cell in row[:width]]
                if any(texts):
                    rows.append(number)
                    for place in range(width):
                        cells[place].append(texts[place] if place < len(texts) else None)
                start = number + 1
                if len(rows) >= _ROWS_PER_BLOCK:
                    break
            if not rows:
                return
            columns = [pa.array(column, pa.string()) for column in cells]
            yield Block(pa.RecordBatch.from_arrays(columns, names=headers), np.array(rows, dtype=np.int64), start)


# Whatever the standard library raises for bytes that are no archive, or that cannot be unpacked.
_DAMAGED_ARCHIVE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, ValueError, RuntimeError,
)  # fmt: skip


def _check_archive(path: Path) -> None:
    if not zipfile.is_zipfile(path):
        return  # the older binary .xls
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            packed = sum(entry.compress_size for entry in archive.infolist())
            if unpacked > MAX_UNPACKED or (unpacked > 16 << 20 and unpacked > MAX_RATIO * max(packed, 1)):
                raise Unreadable("unpacks_too_large", {"limit_mb": MAX_UNPACKED >> 20})
            if archive.testzip() is not None:  # also finds entries that lie about their size
                raise Unreadable("damaged_file")
    except _DAMAGED_ARCHIVE as fault:
        raise Unreadable("damaged_file") from fault


def cell_text(cell: Any) -> str | None:
    """A spreadsheet cell as text; None where it is empty."""
    if cell is None or cell == "":
        return None
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else repr(cell)
    if hasattr(cell, "isoformat"):
        return str(cell.isoformat(" ")) if hasattr(cell, "hour") and hasattr(cell, "year") else str(cell.isoformat())
    return str(cell).replace("\x00", BROKEN)
