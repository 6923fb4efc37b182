"""Reading files: CSV, Excel and Parquet become batches of text columns with the row number of each row.

No Django here: `python -m hetang.imports.reading PATH` inspects a file in a process of its own, so that neither a
hostile file nor Arrow's 60 MB stay in the web process.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from hetang.imports import csv_files
from hetang.imports.blocks import SAMPLE_ROWS, Block, Inspection, head_of, shown, unique_headers
from hetang.imports.errors import Unreadable
from hetang.imports.parquet_files import ParquetFile
from hetang.imports.workbooks import ExcelFile

# How pictures, documents, archives and programs begin: guessing an encoding for them would find one.
_OTHER_KINDS = (
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"%PDF-",
    b"\x1f\x8b",
    b"Rar!",
    b"7z\xbc\xaf",
    b"\x7fELF",
    b"SQLite ",
)
_OTHER_NAMES = {".xlsx", ".xls", ".parquet", ".zip", ".gz", ".rar", ".7z", ".pdf"}


def form_of(path: Path, name: str) -> str:
    """csv, excel or parquet, by the first bytes rather than the name."""
    head = head_of(path, 8)
    if not head:
        raise Unreadable("empty_file")
    if head.startswith(b"PAR1"):
        return "parquet"
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        return "excel"
    if head.startswith(_OTHER_KINDS) or Path(name).suffix.lower() in _OTHER_NAMES:
        raise Unreadable("damaged_file")
    return "csv"


def inspect(path: Path, name: str, encoding: str = "", delimiter: str = "", sheet: str = "") -> Inspection:
    """Headers, sample values and format of a file; reads only its beginning (Excel: the whole sheet)."""
    form = form_of(path, name)
    if form == "csv":
        return csv_files.inspect(path, encoding, delimiter)
    source = ExcelFile(path, sheet) if form == "excel" else ParquetFile(path)
    headers, repeated = unique_headers(source.headers)
    block = next(iter(source.blocks(headers)), None)
    columns = [] if block is None else [column.slice(0, SAMPLE_ROWS).to_pylist() for column in block.table.columns]
    texts = [[shown(value or "") for value in cells] for cells in columns] or [[] for _ in headers]
    samples = dict(zip(headers, texts, strict=True))
    return Inspection(form, headers, samples, sheets=source.sheets, duplicate_headers=repeated)


def read(path: Path, form: str, encoding: str = "", delimiter: str = "", sheet: str = "") -> Iterator[Block]:
    """All rows of a file in blocks. Raises Unreadable, also in the middle of a damaged file."""
    if form == "csv":
        look = csv_files.inspect(path, encoding, delimiter)
        yield from csv_files.blocks(path, look)
        return
    source = ExcelFile(path, sheet) if form == "excel" else ParquetFile(path)
    headers, _ = unique_headers(source.headers)
    yield from source.blocks(headers)


def total_of(path: Path, form: str) -> int:
    """What `Block.done_bytes` counts up to: bytes of a CSV, rows of a Parquet file, 0 where it is not known."""
    if form == "csv":
        return path.stat().st_size
    return ParquetFile(path).total_rows if form == "parquet" else 0


def main(arguments: list[str]) -> int:
    """Print an Inspection (or the code of a refusal) as JSON: `PATH NAME ENCODING DELIMITER SHEET`."""
    path, name, *rest = arguments
    try:
        answer: object = {"inspection": inspect(Path(path), name, *rest)}
    except Unreadable as refusal:
        answer = {"refused": refusal.code, "parameters": refusal.parameters}
    sys.stdout.buffer.write(msgspec.json.encode(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
