"""Reading files: CSV, Excel and Parquet become batches of text columns with the row number of each row.

No Django here: `python -m hetang.imports.reading PATH` inspects a file in a process of its own, so that neither a
hostile file nor Arrow's 60 MB stay in the web process.
"""

from __future__ import annotations

import codecs
import io
import lzma
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hetang.imports.errors import Unreadable

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

BLOCK_BYTES = 4 << 20  # also the longest row that is read: a longer one is nearly always an unclosed quotation mark
SNIFF_BYTES = 256 << 10
SAMPLE_ROWS = 20
MAX_COLUMNS = 500
MAX_UNPACKED = 1 << 30  # of an Excel file, which is a zip archive
MAX_RATIO = 200  # real spreadsheets reach 30; a bomb reaches 1,000
DELIMITERS = ",\t;|"
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


def form_of(path: Path, name: str) -> str:
    """csv, excel or parquet, by the first bytes rather than the name."""
    head = _head(path, 8)
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
        return _inspect_csv(path, encoding, delimiter)
    source = _ExcelFile(path, sheet) if form == "excel" else _ParquetFile(path)
    headers, repeated = unique_headers(source.headers)
    block = next(iter(source.blocks(headers)), None)
    columns = [] if block is None else [column.slice(0, SAMPLE_ROWS).to_pylist() for column in block.table.columns]
    shown = [[_shown(value or "") for value in cells] for cells in columns] or [[] for _ in headers]
    samples = dict(zip(headers, shown, strict=True))
    return Inspection(form, headers, samples, sheets=source.sheets, duplicate_headers=repeated)


def read(path: Path, form: str, encoding: str = "", delimiter: str = "", sheet: str = "") -> Iterator[Block]:
    """All rows of a file in blocks. Raises Unreadable, also in the middle of a damaged file."""
    if form == "csv":
        look = _inspect_csv(path, encoding, delimiter)
        yield from _csv_blocks(path, look)
        return
    source = _ExcelFile(path, sheet) if form == "excel" else _ParquetFile(path)
    headers, _ = unique_headers(source.headers)
    yield from source.blocks(headers)


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


# -- CSV -----------------------------------------------------------------------------------------------------------


def detect_encoding(head: bytes, whole: bool) -> str:
    """The encoding of a file by its first bytes: BOM, strict UTF-8, strict GB18030, else a statistical guess."""
    marks = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
    for mark, name in marks:
        if head.startswith(mark):
            return name
    zeros = head[:4096].count(0)
    if zeros > len(head[:4096]) // 5:
        return "utf-16-le" if head[1:4096:2].count(0) >= head[0:4096:2].count(0) else "utf-16-be"
    if _decodes(head, "utf-8", whole):
        return "utf-8"
    if _decodes(head, "gb18030", whole):
        return "gb18030"
    return _guess_encoding(head)


def _decodes(head: bytes, encoding: str, whole: bool) -> bool:
    try:
        codecs.getincrementaldecoder(encoding)().decode(head, final=whole)
    except UnicodeDecodeError:
        return False
    return True


def _guess_encoding(head: bytes) -> str:
    """Mostly valid text with a few broken bytes keeps its encoding: those rows are then reported one by one."""
    for encoding in ("utf-8", "gb18030"):
        text = head.decode(encoding, "replace")
        if any(ord(letter) > 127 and letter != "�" for letter in text) and text.count("�") * 50 < len(text):
            return encoding
    from charset_normalizer import from_bytes

    best = from_bytes(head[: 64 << 10]).best()
    return best.encoding if best else "utf-8"


def detect_delimiter(text: str) -> str:
    """The candidate that cuts the first lines into the most, and equally many, cells."""
    import csv

    lines = [line for line in text.splitlines() if line.strip()][:20]
    best, best_score = ",", (0.0, 0)
    for candidate in DELIMITERS:
        try:
            widths = [len(row) for row in csv.reader(lines, delimiter=candidate)]
        except csv.Error:
            continue
        width = widths[0] if widths else 0
        agreeing = sum(one == width for one in widths) / max(len(widths), 1)
        score = (agreeing if width > 1 else 0.0, width)
        if score > best_score:
            best, best_score = candidate, score
    return best


def _inspect_csv(path: Path, encoding: str, delimiter: str) -> Inspection:
    import csv

    head = _head(path, SNIFF_BYTES)
    whole = len(head) < SNIFF_BYTES
    encoding = encoding or detect_encoding(head, whole)
    text = _decode_head(head, encoding, whole)
    if not text.strip():
        raise Unreadable("empty_file")
    delimiter = delimiter or detect_delimiter(text)
    csv.field_size_limit(SNIFF_BYTES * 2)
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        first = next(row for row in rows if any(cell.strip() for cell in row))
        body = [row for row, _ in zip(rows, range(SAMPLE_ROWS), strict=False)]
    except (csv.Error, StopIteration):
        raise Unreadable("damaged_file") from None
    headers, repeated = unique_headers(first)
    samples = {
        header: [_shown(row[place]) for row in body if len(row) == len(headers)] for place, header in enumerate(headers)
    }
    return Inspection("csv", headers, samples, encoding, delimiter, duplicate_headers=repeated)


def _decode_head(head: bytes, encoding: str, whole: bool) -> str:
    try:
        text = codecs.getincrementaldecoder(encoding)("replace").decode(head, final=whole)
    except LookupError:
        raise Unreadable("unknown_encoding", {"encoding": encoding[:40]}) from None
    return text.removeprefix("\ufeff").replace("\x00", BROKEN)


def _csv_blocks(path: Path, look: Inspection) -> Iterator[Block]:
    import pyarrow as pa
    from pyarrow import csv

    ragged: list[Ragged] = []

    def skip(row: Any) -> str:
        ragged.append(Ragged(row.number, row.actual_columns))
        return "skip"

    names = [str(place) for place in range(len(look.headers))]
    with path.open("rb") as raw:
        stream = _Utf8Stream(raw, look.encoding)
        try:
            reader = csv.open_csv(
                pa.PythonFile(stream, mode="r"),
                read_options=csv.ReadOptions(
                    use_threads=False, block_size=BLOCK_BYTES, column_names=names, skip_rows_after_names=1
                ),
                parse_options=csv.ParseOptions(
                    delimiter=look.delimiter, newlines_in_values=True, invalid_row_handler=skip
                ),
                convert_options=csv.ConvertOptions(
                    column_types=dict.fromkeys(names, pa.string()), null_values=[""], strings_can_be_null=True,
                    check_utf8=False,
                ),
            )  # fmt: skip
            yield from _numbered(reader, look.headers, ragged, stream.tell)
        except pa.ArrowInvalid as fault:
            raise _csv_fault(str(fault)) from None


def _numbered(reader: Any, headers: list[str], ragged: list[Ragged], tell: Callable[[], int]) -> Iterator[Block]:
    """Give every row its number in the file, counting the rows that were left out as ragged."""
    import numpy as np

    following, reported = 2, 0
    for batch in reader:
        invalid = np.array([one.row for one in ragged], dtype=np.int64)
        invalid = invalid[invalid >= following]
        candidates = np.arange(following, following + batch.num_rows + len(invalid))
        rows = candidates[~np.isin(candidates, invalid)][: batch.num_rows]
        if len(rows):
            following = int(rows[-1]) + 1
        yield Block(batch.rename_columns(headers), rows, tell(), ragged[reported:])
        reported = len(ragged)
    if reported < len(ragged):  # only ragged rows at the end
        empty = reader.schema.empty_table().to_batches()
        import pyarrow as pa

        batch = empty[0] if empty else pa.RecordBatch.from_pylist([], schema=reader.schema)
        yield Block(batch.rename_columns(headers), np.array([], dtype=np.int64), tell(), ragged[reported:])


def _csv_fault(message: str) -> Unreadable:
    if "straddling" in message or "too large" in message or "truncated" in message.lower():
        return Unreadable("row_too_long", {"limit_mb": BLOCK_BYTES >> 20})
    if "Empty CSV" in message:
        return Unreadable("empty_file")
    return Unreadable("damaged_file")


class _Utf8Stream(io.RawIOBase):
    """A file of any encoding as UTF-8, with U+FFFD where its bytes are no text; NUL counts as such a byte."""

    def __init__(self, raw: io.BufferedReader, encoding: str) -> None:
        self._raw = raw
        self._decoder = codecs.getincrementaldecoder(encoding)("replace")
        self._pending = b""
        self._first = True
        self._ended = False

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._raw.tell()

    def read(self, size: int = -1) -> bytes:
        wanted = size if size >= 0 else sys.maxsize
        parts, have = [self._pending], len(self._pending)
        while have < wanted and not self._ended:
            piece = self._next_piece()
            parts.append(piece)
            have += len(piece)
        data = b"".join(parts)
        self._pending = data[wanted:]
        return data[:wanted]

    def _next_piece(self) -> bytes:
        raw = self._raw.read(1 << 20)
        self._ended = not raw
        text = self._decoder.decode(raw, final=self._ended)
        if self._first and text:
            text = text.removeprefix("\ufeff")
            self._first = False
        return text.replace("\x00", BROKEN).encode("utf-8", "replace")


# -- Excel and Parquet ---------------------------------------------------------------------------------------------

_ROWS_PER_BLOCK = 20_000


class _ExcelFile:
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


class _ParquetFile:
    """A Parquet file, its columns as text."""

    sheets: list[str] = []  # noqa: RUF012 - never changed

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        try:
            self._file = parquet.ParquetFile(path)
        except (pa.ArrowException, OSError, ValueError) as fault:
            raise Unreadable("damaged_file") from fault
        self.headers = [name.replace("\x00", BROKEN) for name in self._file.schema_arrow.names]

    def blocks(self, headers: list[str]) -> Iterator[Block]:
        import numpy as np
        import pyarrow as pa

        start = 2
        try:
            for batch in self._file.iter_batches(batch_size=1 << 16):
                batch.validate(full=True)  # nothing before has looked whether its text is text
                columns = [_as_text(column) for column in batch.columns]
                rows = np.arange(start, start + batch.num_rows, dtype=np.int64)
                start += batch.num_rows
                yield Block(pa.RecordBatch.from_arrays(columns, names=headers), rows, start)
        except (pa.ArrowException, OSError, ValueError) as fault:
            raise Unreadable("damaged_file") from fault

    @property
    def total_rows(self) -> int:
        return int(self._file.metadata.num_rows)


def _as_text(column: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if pa.types.is_dictionary(kind):
        return _as_text(column.dictionary_decode())
    if pa.types.is_nested(kind) or pa.types.is_null(kind):
        return pa.nulls(len(column), pa.string())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.nulls(len(column), pa.string())
    if pa.types.is_floating(kind):
        return _float_text(column)
    text = pc.replace_substring(column.cast(pa.string()), "\x00", BROKEN)
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)


def _float_text(column: pa.Array) -> pa.Array:
    """Whole numbers without `.0` (ids that a missing value turned into floats); NaN is an empty cell."""
    import pyarrow as pa
    import pyarrow.compute as pc

    whole = pc.and_(pc.equal(column, pc.floor(column)), pc.less(pc.abs(column), 1e15))
    as_int = pc.if_else(whole, column, pa.scalar(None, column.type)).cast(pa.int64(), safe=False).cast(pa.string())
    text = pc.if_else(whole, as_int, column.cast(pa.string()))
    return pc.if_else(pc.is_nan(column), pa.scalar(None, pa.string()), text)


def total_of(path: Path, form: str) -> int:
    """What `Block.done_bytes` counts up to: bytes of a CSV, rows of a Parquet file, 0 where it is not known."""
    if form == "csv":
        return path.stat().st_size
    return _ParquetFile(path).total_rows if form == "parquet" else 0


def _head(path: Path, count: int) -> bytes:
    with path.open("rb") as stream:
        return stream.read(count)


def _shown(cell: str) -> str:
    return cell if len(cell) <= 200 else cell[:200] + "…"


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
