"""A column of its own for each attribute of a customer in `customer_profile`: a rule reads the attribute it names and
nothing else. Looked up in the map of all attributes, one of thirty took twenty times as long (5 M people: 1.9 s).

A column is filled from the map by its default, so it can come at any time; rows from before it are written out behind.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable

from hetang.commerce.history_codecs import codec
from hetang.platform import clickhouse, positions

_DAY = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
_OF_TYPE = {
    "number": ("Nullable(Float64)", "toFloat64OrNull(?)"),
    "date": ("UInt32", f"toUInt32OrZero(if(match(?, '{_DAY}'), replaceAll(?, '-', ''), ''))"),
    "place": (
        "UInt64",  # latitude and longitude in millionths of a degree, from the south pole and the date line on; 0: none
        f"if(match(?, '{positions.PATTERN}'), bitOr(bitShiftLeft(toUInt64("
        "toInt64OrZero(replaceAll(extract(?, '^geo:(-{0,1}[0-9.]+)'), '.', '')) + 90000000), 32), toUInt64("
        "toInt64OrZero(replaceAll(extract(?, ',(-{0,1}[0-9.]+)'), '.', '')) + 180000000)), 0)",
    ),
    "text": ("String", "?"),
    "choice": ("LowCardinality(String)", "?"),
    "boolean": ("LowCardinality(String)", "?"),
}


def column(code: str, kind: str) -> str:
    """The column of an attribute: numbers as Nullable(Float64), days as UInt32 (20260131; 0: no day), positions
    as one UInt64, everything else as text ('' where she has no value). A code may be any text, so the name holds its
    digest."""
    return f"{kind}_{hashlib.blake2b(code.encode(), digest_size=8).hexdigest()}"


def ensure(attributes: Iterable[tuple[str, str]]) -> None:
    """Add the columns that are missing, of (code, type). One query of a millisecond when none is."""
    wanted = {column(code, kind): (code, kind) for code, kind in attributes}
    if not wanted:
        return
    select = "select name from system.columns where database = currentDatabase() and table = 'customer_profile'"
    known = Counter(str(row[0]) for row in clickhouse.rows(select))  # of every server
    missing = [(name, *wanted[name]) for name in sorted(wanted) if known[name] < clickhouse.shards()]
    if missing:
        added = ", ".join(f"add column if not exists {name} {_definition(code, kind)}" for name, code, kind in missing)
        clickhouse.command(f"alter table customer_profile {added}")
        written = ", ".join(f"materialize column {name}" for name, _, _ in missing)
        clickhouse.command(f"alter table customer_profile {written}")


def _definition(code: str, kind: str) -> str:
    """Type and default; the code as a text of hex digits, which cannot end the literal that it stands in."""
    of_type, made = _OF_TYPE[kind]
    text = f"attributes[unhex('{code.encode().hex()}')]"
    return f"{of_type} default {made.replace('?', text)}{codec(of_type)}"
