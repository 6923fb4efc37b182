"""Who stands where among all customers: borders and the people chosen, from the values that the history gives.

Exact: the values of everybody are read, from all servers, since a border lies among all of them. They are kept while
the history stays where it is, as long as they are few enough.
"""

from __future__ import annotations

import array
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyroaring import BitMap

from hetang.audiences.plans import Query, Ranked
from hetang.audiences.standing_rules import (
    SEGMENTS,
    Borders,
    Percentile,
    RfmCell,
    Standing,
    chosen_of,
    score_ranks,
)
from hetang.audiences.sums_sql import PART

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

# Columns of a row, as ClickHouse writes them in RowBinary: of a percentile one customer, of RFM cells a part of
# `sums_sql`, each of whose arrays has its length before it, in three bytes.
COLUMNS = [("customer", "<u4"), ("value", "<f8")]
PARTS: list[tuple[Any, ...]] = [
    ("part", "<u4"), ("", "V3"), ("last", "<u4", PART), ("", "V3"), ("times", "<u4", PART), ("", "V3"),
    ("sum", "<i8", PART),
]  # fmt: skip
KEPT_BYTES = 128 << 20
MOST_QUERIES, MOST_ANSWERS = 32, 32
Answer = tuple[BitMap, Borders]


@dataclass
class Values:
    """The living customers who have values, and these, column by column."""

    customers: Array
    columns: list[Array]
    scores: tuple[Borders, list[Array]] | None = None  # once they were worked out

    @property
    def size(self) -> int:
        """In bytes."""
        return int(self.customers.nbytes + sum(one.nbytes for one in self.columns))

    def answer(self, condition: Standing) -> Answer:
        """Who is chosen, and the borders; for a million people 15 ms, the first time for RFM cells 100."""
        if isinstance(condition, Percentile):
            borders = _border(condition, self.columns[0])
            chosen = _chosen(condition, self.columns[0], borders)
        else:
            self.scores = self.scores or _scored(self.columns)
            borders, scores = self.scores
            chosen = _in_cell(condition, scores, borders)
        return BitMap(array.array("I", self.customers[chosen].tobytes())), borders


@dataclass(frozen=True)
class Sums:
    """Of the people of a group: the sum of their values and of the squares of these, and how many have one but zero.
    Who has no value counts as zero."""

    total: int
    squares: int
    positive: int


def sums_of(values: Values, groups: Sequence[BitMap]) -> list[Sums]:
    """The sums of whole values over each of some groups that share nobody, in one pass; at most 254 groups."""
    import numpy as np

    last = max((group.max() for group in groups if group), default=0)
    group_of = np.zeros(max(last, int(values.customers.max(initial=0))) + 1, np.uint8)
    for place, group in enumerate(groups, 1):
        group_of[np.frombuffer(group.to_array(), np.uint32)] = place
    of, value = group_of[values.customers], values.columns[0]
    size = len(groups) + 1
    totals, squares = np.bincount(of, value, size), np.bincount(of, value * value, size)
    positive = np.bincount(of[value != 0], minlength=size)
    return [Sums(int(totals[one]), int(squares[one]), int(positive[one])) for one in range(1, size)]


def read(condition: Standing, answers: Sequence[bytes], universe: BitMap) -> Values:
    """The values that the servers gave as RowBinary, of the living."""
    import numpy as np

    if isinstance(condition, RfmCell):
        return _read_parts(answers, universe)
    rows = [np.frombuffer(answer, np.dtype(COLUMNS)) for answer in answers]
    found = rows[0] if len(rows) == 1 else np.concatenate(rows)
    living = _alive(universe, int(found["customer"].max(initial=0)) + 1)[found["customer"]]
    return Values(found["customer"][living], [found["value"][living]])


def _read_parts(answers: Sequence[bytes], universe: BitMap) -> Values:
    """Recency, frequency and money, part by part: no more of the places than the people are copied."""
    import numpy as np

    rows = [row for answer in answers for row in np.frombuffer(answer, np.dtype(PARTS))]
    rows.sort(key=lambda row: int(row["part"]))
    alive = _alive(universe, max((int(row["part"]) for row in rows), default=0) * PART + PART)
    customers, columns = [np.zeros(0, np.uint32)], [[np.zeros(0, kind)] for kind in (np.uint16, np.uint32, np.int64)]
    for row in rows:
        first = int(row["part"]) * PART
        places = np.flatnonzero((row["last"] > 0) & alive[first : first + PART])
        customers.append((places + first).astype(np.uint32))
        for column, values in zip(columns, (row["last"] - 1, row["times"], row["sum"]), strict=True):
            column.append(values[places].astype(column[0].dtype))
    return Values(np.concatenate(customers), [np.concatenate(column) for column in columns])


def _alive(universe: BitMap, size: int) -> Array:
    """Whether each number lives, of at least so many."""
    import numpy as np

    alive = np.zeros(max(universe.max() + 1 if universe else 1, size), bool)
    alive[np.frombuffer(universe.to_array(), np.uint32)] = True
    return alive


@dataclass
class _Known:
    """What is known of a query at a version of the history; of very many people only the answers are kept."""

    version: Any
    values: Values | None
    answers: dict[Standing, Answer] = field(default_factory=dict)


class Standings:
    """Values and answers by query, as long as the history has not moved; at most `limit` bytes of values, those that
    were not used for longest go first. Safe to share between threads."""

    def __init__(self, limit: int = KEPT_BYTES) -> None:
        self._limit = limit
        self._known: OrderedDict[Query, _Known] = OrderedDict()
        self._lock = threading.Lock()

    def answer(self, step: Ranked, version: Any, ask: Callable[[Ranked], Values]) -> Answer:
        """Who is chosen, and the borders, at a version of the history; `ask` is called where that is not known."""
        known = self._find(step, version)
        answer = known.answers.get(step.condition)
        if answer is None:
            answer = self._read(known, step, ask).answer(step.condition)
            known.answers = {**(known.answers if len(known.answers) < MOST_ANSWERS else {}), step.condition: answer}
        self._keep(step.query, known)
        return answer

    def values(self, step: Ranked, version: Any, ask: Callable[[Ranked], Values]) -> Values:
        """The values themselves, like `answer`."""
        known = self._find(step, version)
        found = self._read(known, step, ask)
        self._keep(step.query, known)
        return found

    def forget(self) -> None:
        """Drop everything: somebody is no longer among those who are compared, though the history has not moved."""
        with self._lock:
            self._known.clear()

    def _find(self, step: Ranked, version: Any) -> _Known:
        with self._lock:
            known = self._known.get(step.query)
        return known if known is not None and known.version == version else _Known(version, None)

    def _read(self, known: _Known, step: Ranked, ask: Callable[[Ranked], Values]) -> Values:
        values = known.values or ask(step)
        known.values = values if values.size <= self._limit else None
        return values

    def _keep(self, query: Query, known: _Known) -> None:
        with self._lock:
            self._known[query] = known
            self._known.move_to_end(query)
            size = sum(one.values.size for one in self._known.values() if one.values)
            while len(self._known) > MOST_QUERIES or size > self._limit:
                _query, oldest = self._known.popitem(last=False)
                size -= oldest.values.size if oldest.values else 0


def _border(condition: Percentile, values: Array) -> Borders:
    import numpy as np

    people = len(values)
    if not people:
        return Borders(0)
    chosen = chosen_of(people, condition.mille)
    place = people - chosen if condition.side == "top" else chosen - 1
    return Borders(people, ((float(np.partition(values, place)[place]),),))


def _chosen(condition: Percentile, values: Array, borders: Borders) -> Array:
    if not borders.at:  # there is nobody to choose from
        return values.astype(bool)
    (border,) = borders.at[0]
    return values >= border if condition.side == "top" else values <= border


def _scored(columns: Sequence[Array]) -> tuple[Borders, list[Array]]:
    """The scores of everybody, letter by letter (uint8), and their borders."""
    import numpy as np

    people = len(columns[0])
    if not people:
        return Borders(0), [one.astype(np.uint8) for one in columns]
    places = [rank - 1 for rank in score_ranks(people)]
    borders, scores = [], []
    for values in columns:
        at = np.partition(values, places)[places]
        score = np.ones(people, np.uint8)
        for border in at:
            score += values > border
        scores.append(score)
        borders.append(tuple(int(border) for border in at))
    return Borders(people, tuple(borders), tuple(int(one.sum(dtype=np.int64)) for one in scores)), scores


def _in_cell(condition: RfmCell, scores: Sequence[Array], borders: Borders) -> Array:
    import numpy as np

    if not condition.segments:
        fits = [(low <= one) & (one <= high) for one, (low, high) in zip(scores, condition.ranges, strict=True)]
        return fits[0] & fits[1] & fits[2]
    if not borders.people:
        return scores[0] > 0
    high = [one > total // borders.people for one, total in zip(scores, borders.sums, strict=True)]  # whole numbers
    chosen = np.zeros(len(scores[0]), bool)
    for segment in condition.segments:
        chosen |= np.logical_and.reduce([a == wanted for a, wanted in zip(high, SEGMENTS[segment], strict=True)])
    return chosen
