"""Parquet files. No Django here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hetang.imports.blocks import BROKEN, Block
from hetang.imports.errors import Unreadable

if TYPE_CHECKING:
    import pyarrow as pa


class ParquetFile:
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
