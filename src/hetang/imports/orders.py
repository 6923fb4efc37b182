"""Order lines become order facts: lines are spooled by order number, then each partition is grouped and written.

Grouping needs all lines of an order at once, wherever they stand in the file, and must not hold the whole file in
memory. A partition is read, grouped and cut into chunks the same way each time, which is what makes a chunk's number
a name for its work after a crash. Lines of one order that appear twice are two lines.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from hetang.facts.intake import Draft
from hetang.imports import rules
from hetang.imports.columns import Column, Problem, Rows
from hetang.imports.targets import IDENTITY_FIELDS

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

LINES_PER_CHUNK = 20_000  # about 0.4 s of writing
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEAD = ("store", "channel", "staff", "refund_of", *IDENTITY_FIELDS)
_ENCODE = msgspec.json.Encoder().encode
_MAX_MINOR = 10**15 + 1  # just more than the door takes


@dataclass
class Chunk:
    """Facts of some orders, with what the operator wants to know of them. `rows[i]` are the row numbers behind
    draft i."""

    drafts: list[Draft] = field(default_factory=list)
    rows: list[np.ndarray] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)


# -- pass 1: lines into partitions ---------------------------------------------------------------------------------


class Spool:
    """Partitions of order lines in a folder, written once and then read one by one."""

    def __init__(self, folder: Path, parts: int) -> None:
        self._folder, self._parts = folder, parts
        self._open = ExitStack()
        self._writers: list[Any] = []
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def __enter__(self) -> Spool:
        import pyarrow as pa

        schema = _schema()
        for part in range(self._parts):
            sink = self._open.enter_context(pa.OSFile(str(self._path(part)), "wb"))
            self._writers.append(self._open.enter_context(pa.ipc.new_stream(sink, schema)))
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def add(self, rows: Rows) -> None:
        """Route the lines of a block by their order number. A line without one was reported and is left out."""
        import numpy as np

        table = _lines(rows)
        order = rows.columns["order"]
        part_of_value = np.array([_part(value, self._parts) for value in order.values], dtype=np.int64)
        parts = part_of_value[order.places]
        for part, writer in enumerate(self._writers):
            chosen = (parts == part).nonzero()[0]
            if len(chosen):
                writer.write_batch(table.take(_array(chosen)))

    def read(self, part: int) -> pa.Table:
        """All lines of a partition, in the order of the file."""
        import pyarrow as pa

        with pa.OSFile(str(self._path(part)), "rb") as source:
            return pa.ipc.open_stream(source).read_all().combine_chunks()

    def _path(self, part: int) -> Path:
        return self._folder / f"part-{part:04d}.arrow"


def parts_for(size_bytes: int) -> int:
    """How many partitions a file of this size gets: about 64 MB of file each, so a partition fits in memory."""
    return max(1, min(256, -(-size_bytes // (64 << 20))))


def _part(value: str | None, parts: int) -> int:
    return -1 if value is None else zlib.crc32(value.encode()) % parts


def _schema() -> pa.Schema:
    import pyarrow as pa

    texts = [(name, pa.string()) for name in ("order", "line", *_HEAD)]
    numbers = [(name, pa.int64()) for name in ("row", "placed_at", "amount", "discount")]
    return pa.schema([*texts, *numbers, ("flaw", pa.int8())])


GOOD, BAD, NOTHING = 0, 1, 2  # flaw: a line with a problem refuses its order; one that moves no money is left out


def _lines(rows: Rows) -> pa.RecordBatch:
    import numpy as np
    import pyarrow as pa

    count = len(rows)
    amount, quantity = _amounts(rows)
    discount = _numbers(rows.columns.get("discount"), count)
    flaw = np.where(rows.bad, BAD, np.where((amount == 0) & (quantity < 0), NOTHING, GOOD)).astype(np.int8)
    texts = {
        "order": _texts(rows.columns["order"], count),
        "line": _line_json(rows, amount, discount),
        **{name: _texts(rows.columns.get(name), count) for name in _HEAD},
    }
    numbers = {
        "row": rows.numbers,
        "placed_at": _micros(rows.columns["placed_at"], count),
        "amount": amount,
        "discount": discount,
    }
    arrays = [texts[one.name] if one.name in texts else _array(numbers.get(one.name, flaw)) for one in _schema()]
    return pa.RecordBatch.from_arrays(arrays, schema=_schema())


def _amounts(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """Minor units of each line, and quantities; quantity times unit price is rounded once per line."""
    import numpy as np

    count = len(rows)
    quantity = rows.columns.get("quantity")
    units = np.array([1.0 if value is None else float(value) for value in quantity.values]) if quantity else None
    signs = units[quantity.places] if quantity is not None and units is not None else np.ones(count)
    amounts = _numbers(rows.columns.get("amount"), count)
    price = rows.columns.get("unit_price")
    if "amount" in rows.columns or price is None:
        return amounts, signs
    pairs: dict[tuple[int, int], int] = {}
    for index, key in enumerate(zip(_places(quantity, count), price.places.tolist(), strict=True)):
        minor = pairs.get(key)
        if minor is None:
            minor = pairs[key] = _product(quantity.values[key[0]] if quantity else None, price.values[key[1]])
        amounts[index] = minor
    return amounts, signs


def _places(column: Column | None, count: int) -> list[int]:
    return [0] * count if column is None else column.places.tolist()


def _product(quantity: Any, price: Any) -> int:
    if price is None:
        return 0
    minor = (1 if quantity is None else quantity) * price
    if abs(minor) >= _MAX_MINOR:
        return _MAX_MINOR  # the door refuses it with its reason
    return int(minor.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def _line_json(rows: Rows, amount: np.ndarray, discount: np.ndarray) -> pa.Array:
    """Each line as the JSON that the fact carries, put together a column at a time."""
    import pyarrow.compute as pc

    count = len(rows)
    quantity = rows.columns.get("quantity")
    amounts = _array(amount).cast("string")
    pieces: list[Any] = ['{"sku":', _json_texts(rows.columns["sku"], count), ',"amount":', amounts]
    if quantity is not None:
        texts = Column(quantity.places, [None if v is None else rules.quantity_text(v) for v in quantity.values])
        pieces += [',"quantity":', _json_texts(texts, count, '"1"')]
    if "category" in rows.columns:
        pieces += [',"category":', _json_texts(rows.columns["category"], count)]
    if "discount" in rows.columns:
        pieces += [',"discount":', _array(discount).cast("string")]
    return pc.binary_join_element_wise(*pieces, "}", "")


def _json_texts(column: Column, count: int, empty: str = "null") -> pa.Array:
    encoded = [empty if value is None else _ENCODE(value).decode() for value in column.values]
    return _texts(Column(column.places, encoded), count)


def _texts(column: Column | None, count: int) -> pa.Array:
    import pyarrow as pa

    if column is None:
        return pa.nulls(count, pa.string())
    return pa.array(column.values, pa.string()).take(_array(column.places))


def _numbers(column: Column | None, count: int) -> np.ndarray:
    import numpy as np

    if column is None:
        return np.zeros(count, dtype=np.int64)
    values = np.array([value or 0 for value in column.values], dtype=np.int64)
    chosen: np.ndarray = values[column.places]
    return chosen


def _micros(column: Column, count: int) -> np.ndarray:
    import numpy as np

    micro = timedelta(microseconds=1)
    values = [0 if value is None else (value - _EPOCH) // micro for value in column.values]
    return np.array(values, dtype=np.int64)[column.places] if count else np.zeros(0, dtype=np.int64)


def _array(values: Any) -> pa.Array:
    import pyarrow as pa

    return pa.array(values)


# -- pass 2: partitions into facts ---------------------------------------------------------------------------------


def chunks(lines: pa.Table) -> Iterator[Chunk]:
    """Group a partition's lines by order (orders in the order of their first line) and yield facts in chunks."""
    import numpy as np

    if not lines.num_rows:
        return
    codes = np.asarray(lines["order"].combine_chunks().dictionary_encode().indices)
    by_order = np.argsort(codes, kind="stable")
    lines, codes = lines.take(_array(by_order)), codes[by_order]
    starts = np.concatenate(([0], (np.diff(codes) != 0).nonzero()[0] + 1, [len(codes)]))
    first = 0
    while first < len(starts) - 1:
        last = max(int(np.searchsorted(starts, starts[first] + LINES_PER_CHUNK, "right")) - 1, first + 1)
        begin = int(starts[first])
        yield _chunk(lines.slice(begin, int(starts[last]) - begin), starts[first : last + 1] - begin)
        first = last


def _chunk(lines: pa.Table, starts: np.ndarray) -> Chunk:
    import numpy as np

    begins = starts[:-1]
    flaw, amount = np.asarray(lines["flaw"]), np.asarray(lines["amount"])
    rows = np.asarray(lines["row"])
    chunk = Chunk()
    heads, conflicts = _heads(lines, starts)
    refused = np.logical_or.reduceat(flaw == BAD, begins) | np.array(conflicts)
    _explain(chunk, lines, starts, refused, np.array(conflicts))
    usable = np.repeat(~refused, np.diff(starts)) & (flaw == GOOD)
    sale, refund = usable & (amount >= 0), usable & (amount < 0)
    sums = {
        "net": np.add.reduceat(np.where(sale, amount, 0), begins),
        "discount": np.add.reduceat(np.where(sale, np.asarray(lines["discount"]), 0), begins),
        "refund": -np.add.reduceat(np.where(refund, amount, 0), begins),
        "sold": np.add.reduceat(sale.astype(np.int64), begins),
    }
    bodies = _joined(lines, sale, sums["sold"])
    times = np.minimum.reduceat(np.asarray(lines["placed_at"]), begins)
    orders = lines["order"].take(_array(begins)).to_pylist()
    for place, order in enumerate(orders):
        if refused[place]:
            continue
        head, at = heads[place], _EPOCH + timedelta(microseconds=int(times[place]))
        behind = rows[starts[place] : starts[place + 1]]
        if sums["sold"][place]:
            net, discount = int(sums["net"][place]), int(sums["discount"][place])
            body = _order_body(head, bodies[place], net, discount)
            chunk.drafts.append(Draft("order.placed", order, at, head.who, body))
            chunk.rows.append(behind)
        if sums["refund"][place]:
            body = _refund_body(head, order, int(sums["refund"][place]))
            chunk.drafts.append(Draft("order.refunded", f"refund:{order}", at, head.who, body))
            chunk.rows.append(behind)
    chunk.counts = _counts(lines, starts, refused, sums, heads)
    return chunk


@dataclass(frozen=True, slots=True)
class _Head:
    """What all lines of an order share."""

    store: str | None
    channel: str | None
    staff: str | None
    refund_of: str | None
    who: tuple[tuple[str, str], ...]


def _heads(lines: pa.Table, starts: np.ndarray) -> tuple[list[_Head], list[bool]]:
    """The shared part of each order, from the first line that has it; and which orders name two different people."""
    import numpy as np

    begins, groups = starts[:-1], len(starts) - 1
    columns: dict[str, list[Any]] = {}
    conflict = np.zeros(groups, dtype=bool)
    for name in _HEAD:
        column = lines[name]
        if column.null_count == len(column):
            columns[name] = [None] * groups
            continue
        encoded = column.combine_chunks().dictionary_encode()
        codes = np.asarray(encoded.indices.fill_null(-1)).astype(np.int64)
        values = [*encoded.dictionary.to_pylist(), None]
        place = np.arange(len(codes))
        first = np.minimum.reduceat(np.where(codes >= 0, place, len(codes)), begins)
        chosen = np.where(first < len(codes), codes[np.minimum(first, len(codes) - 1)], -1)
        columns[name] = [values[code] for code in chosen.tolist()]
        if name in IDENTITY_FIELDS:
            other = (codes >= 0) & (codes != np.repeat(chosen, np.diff(starts)))
            conflict |= np.logical_or.reduceat(other, begins)
    kinds = [name for name in IDENTITY_FIELDS if any(columns[name])]
    people = zip(*(columns[name] for name in kinds), strict=True) if kinds else iter([()] * groups)
    who = [tuple((k, value) for k, value in zip(kinds, one, strict=True) if value is not None) for one in people]
    shared = zip(columns["store"], columns["channel"], columns["staff"], columns["refund_of"], who, strict=True)
    return [_Head(*one) for one in shared], conflict.tolist()


def _explain(chunk: Chunk, lines: pa.Table, starts: np.ndarray, refused: np.ndarray, conflicts: np.ndarray) -> None:
    """Say of each line of a refused order why it was not taken: its own problem was reported in pass 1."""
    flaw, rows = lines["flaw"].to_pylist(), lines["row"].to_pylist()
    for place in refused.nonzero()[0].tolist():
        code = "order_of_two_people" if conflicts[place] else "other_line_refused"
        for line in range(int(starts[place]), int(starts[place + 1])):
            if flaw[line] != BAD:
                chunk.problems.append(Problem(rows[line], "order", "", code))


def _joined(lines: pa.Table, sale: np.ndarray, sold: np.ndarray) -> list[str]:
    """Per order the JSON of its sale lines, joined by commas."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    texts = lines["line"].combine_chunks().filter(_array(sale))
    offsets = np.concatenate(([0], np.cumsum(sold))).astype(np.int32)
    joined: list[str] = pc.binary_join(pa.ListArray.from_arrays(_array(offsets), texts), ",").to_pylist()
    return joined


def _order_body(head: _Head, lines: str, net: int, discount: int) -> bytes:
    shared = _shared(head.store, head.channel)
    staff = f',"staff":{_ENCODE(head.staff).decode()}' if head.staff is not None else ""
    saved = f',"discount":{discount}' if discount else ""
    return f'{{"lines":[{lines}],"net":{net}{saved}{shared}{staff}}}'.encode()


def _refund_body(head: _Head, order: str, amount: int) -> bytes:
    original = _ENCODE(head.refund_of or order).decode()
    return f'{{"order":{original},"amount":{amount}{_shared(head.store, head.channel)}}}'.encode()


@lru_cache(maxsize=10_000)
def _shared(store: str | None, channel: str | None) -> str:
    parts = {"store": store, "channel": channel}
    return "".join(f',"{name}":{_ENCODE(value).decode()}' for name, value in parts.items() if value)


def _counts(
    lines: pa.Table, starts: np.ndarray, refused: np.ndarray, sums: dict[str, np.ndarray], heads: list[_Head]
) -> dict[str, int]:
    import numpy as np

    flaw, taken = np.asarray(lines["flaw"]), ~refused
    ordered = taken & (sums["sold"] > 0)
    anonymous = np.array([not head.who for head in heads])
    refused_lines = int(np.diff(starts)[refused].sum())
    nothing = int(((flaw == NOTHING) & np.repeat(taken, np.diff(starts))).sum())
    return {
        "orders": int(ordered.sum()),
        "anonymous_orders": int((ordered & anonymous).sum()),
        "anonymous_lines": int(np.diff(starts)[taken & anonymous].sum()),
        "refunds": int((taken & (sums["refund"] > 0)).sum()),
        "sales": int(sums["net"].sum()),
        "refunded": int(sums["refund"].sum()),
        "rows_taken": lines.num_rows - refused_lines - nothing,
        "rows_ignored": nothing,
        "rows_refused": refused_lines,
    }
