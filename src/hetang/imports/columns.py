"""Cells to values, a column at a time: each different text of a column is parsed once, then looked up by number.

Retail files repeat themselves (a million lines, thousands of prices), so this is as fast as vectorised parsing and
uses the same exact parsers for every format.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import field as made
from typing import TYPE_CHECKING, Any

from hetang.imports import rules
from hetang.imports.blocks import Block
from hetang.imports.mapping import Mapping
from hetang.imports.targets import BIRTHDAY, Field, Target
from hetang.platform.masking import mask

if TYPE_CHECKING:
    import numpy as np

_CACHE_LIMIT = 200_000


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a row was not taken: `field` as in the target (or `attribute:CODE`), `value` already masked."""

    row: int
    field: str
    value: str
    code: str
    detail: dict[str, str | int] = made(default_factory=dict)


@dataclass
class Column:
    """Parsed cells: `values[places[i]]` is the value of row i; place 0 is the empty cell (None)."""

    places: np.ndarray
    values: list[Any]

    def __getitem__(self, index: int) -> Any:
        return self.values[self.places[index]]

    def to_list(self) -> list[Any]:
        """One value per row."""
        values = self.values
        return [values[place] for place in self.places.tolist()]

    def present(self) -> np.ndarray:
        """Boolean array: rows that hold a value."""
        return self.places > 0


@dataclass
class Rows:
    """A block after parsing. `bad` marks rows with at least one problem."""

    numbers: np.ndarray
    columns: dict[str, Column]
    bad: np.ndarray
    problems: list[Problem]

    def __len__(self) -> int:
        return len(self.numbers)

    def records(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """(row number, field -> value without empty ones) of the good rows."""
        lists = {name: column.to_list() for name, column in self.columns.items()}
        for index in (~self.bad).nonzero()[0].tolist():
            yield int(self.numbers[index]), {n: v[index] for n, v in lists.items() if v[index] is not None}


class Decoder:
    """Parses blocks of one file under one mapping."""

    def __init__(self, target: Target, mapping: Mapping, conventions: rules.Conventions) -> None:
        self._target = target
        self._conventions = conventions
        self._plan: list[tuple[str, Field, str]] = [
            (name, target.field(name), header) for name, header in mapping.columns.items()
        ]
        for code, header in mapping.attributes.items():
            name = f"attribute:{code}"
            kind = "birth_date" if code == BIRTHDAY else "attribute"
            self._plan.append((name, Field(name, kind, code, code), header))
        self._constants = self._parse_constants(mapping)
        self._caches: dict[str, dict[str, Any]] = {}

    def decode(self, block: Block) -> Rows:
        """Parse all mapped columns of a block and say what is wrong with which row."""
        import numpy as np

        count = block.table.num_rows
        bad = np.zeros(count, dtype=bool)
        problems = [
            Problem(one.row, "", "", "ragged_row", {"cells": one.cells, "columns": block.table.num_columns})
            for one in block.ragged
        ]
        columns: dict[str, Column] = {}
        for name, declared, header in self._plan:
            cells = block.table.column(block.table.schema.get_field_index(header))
            columns[name], faults = self._column(name, declared, cells)
            for index, text, code in faults:
                bad[index] = True
                problems.append(Problem(int(block.rows[index]), name, masked(declared, text), code))
        for name, value in self._constants.items():
            columns.setdefault(name, Column(np.ones(count, dtype=np.int64), [None, value]))
        for one in self._target.fields:
            if one.required and one.name in columns:
                for index in (~columns[one.name].present() & ~bad).nonzero()[0].tolist():
                    bad[index] = True
                    problems.append(Problem(int(block.rows[index]), one.name, "", "empty"))
        problems.sort(key=lambda problem: problem.row)
        return Rows(block.rows, columns, bad, problems)

    def _column(self, name: str, declared: Field, cells: Any) -> tuple[Column, list[tuple[int, str, str]]]:
        import numpy as np
        import pyarrow.compute as pc

        encoded = pc.dictionary_encode(pc.utf8_trim_whitespace(_valid(cells)))
        texts: list[str] = encoded.dictionary.to_pylist()
        values, wrong = self._values(name, declared, texts)
        places = np.asarray(pc.fill_null(pc.add(encoded.indices.cast("int64"), 1), 0))
        blanks = [place for place, text in enumerate(texts, 1) if not text]
        faults: list[tuple[int, str, str]] = []
        if wrong:
            found = np.isin(places, list(wrong)).nonzero()[0].tolist()
            faults = [(index, texts[places[index] - 1], wrong[int(places[index])]) for index in found]
        unusable = blanks + list(wrong)
        if unusable:
            places = np.where(np.isin(places, unusable), 0, places)
        return Column(places, values), faults

    def _values(self, name: str, declared: Field, texts: list[str]) -> tuple[list[Any], dict[int, str]]:
        """The value of each text behind a leading None, and the code of each place that could not be read."""
        cache = self._caches.setdefault(name, {})
        if len(cache) > _CACHE_LIMIT:
            cache.clear()
        parse, conventions = rules.PARSERS[declared.kind], self._conventions
        values: list[Any] = [None]
        wrong: dict[int, str] = {}
        for place, text in enumerate(texts, 1):
            value = cache.get(text)
            if value is None and text:
                try:
                    value = cache[text] = parse(text, conventions)
                except rules.BadValue as fault:
                    wrong[place] = fault.code
            values.append(value)
        return values, wrong

    def _parse_constants(self, mapping: Mapping) -> dict[str, Any]:
        return {
            name: rules.PARSERS[self._target.field(name).kind](text.strip(), self._conventions)
            for name, text in mapping.constants.items()
            if text.strip() and name not in mapping.columns
        }


def masked(declared: Field, text: str) -> str:
    """A cell's text as people may see it: direct identifiers masked, attributes only begun, the rest shortened."""
    if declared.personal:
        return mask(declared.personal, rules.shortened(text))
    if declared.kind in {"attribute", "identity", "birth_date"}:
        return text[:2] + "***"
    return rules.shortened(text)


def _valid(cells: Any) -> Any:
    """The reader put U+FFFD where bytes were no text, so Arrow's strings are valid; one type for all readers."""
    import pyarrow as pa

    return cells if cells.type == pa.string() else cells.cast(pa.string())
