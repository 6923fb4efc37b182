"""CSV files of any encoding and delimiter. No Django here."""

from __future__ import annotations

import codecs
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hetang.imports.blocks import BROKEN, SAMPLE_ROWS, Block, Inspection, Ragged, head_of, shown, unique_headers
from hetang.imports.errors import Unreadable

BLOCK_BYTES = 4 << 20  # also the longest row that is read: a longer one is nearly always an unclosed quotation mark
SNIFF_BYTES = 256 << 10
DELIMITERS = ",\t;|"


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


def inspect(path: Path, encoding: str, delimiter: str) -> Inspection:
    """Headers, samples, encoding and delimiter (where none is given) by the beginning of a file. Raises Unreadable."""
    import csv

    head = head_of(path, SNIFF_BYTES)
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
        header: [shown(row[place]) for row in body if len(row) == len(headers)] for place, header in enumerate(headers)
    }
    return Inspection("csv", headers, samples, encoding, delimiter, duplicate_headers=repeated)


def _decode_head(head: bytes, encoding: str, whole: bool) -> str:
    try:
        text = codecs.getincrementaldecoder(encoding)("replace").decode(head, final=whole)
    except LookupError:
        raise Unreadable("unknown_encoding", {"encoding": encoding[:40]}) from None
    return text.removeprefix("\ufeff").replace("\x00", BROKEN)


def blocks(path: Path, look: Inspection) -> Iterator[Block]:
    """All rows, read as the first look says. Raises Unreadable, also in the middle of a damaged file."""
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
            raise _fault(str(fault)) from None


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


def _fault(message: str) -> Unreadable:
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
