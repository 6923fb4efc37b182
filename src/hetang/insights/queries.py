"""The GMV board: net sales and the people behind them for two periods, by store and by channel.

Read from the columnar history, three scans of the days asked for, and kept for as long as no row of these days has
come, gone or changed. Observational: it tells what happened, not what caused it. Days are the brand's local days,
refunds count on their own day, anonymous orders are money without people.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Any

from hetang.insights.errors import HistoryUnavailable
from hetang.insights.periods import Comparison, Period
from hetang.insights.rules import Change, Figures, explain, visits_known
from hetang.platform import clickhouse
from hetang.platform.access import Scope
from hetang.resources.models import Store

BEFORE, AFTER = 0, 1
_TOTAL, _STORE, _CHANNEL, _DAY = "total", "store", "channel", "day"

Cell = tuple[str, int, str]  # which grouping, which period, which store, channel or day
Cells = Mapping[Cell, Figures]

# Boards of this process by what was asked and by what the history held then; one of 600 stores takes 300 kB.
_KEPT = 16
_kept: OrderedDict[tuple[Any, ...], Cells] = OrderedDict()
_keeping = threading.Lock()
_PARTS = """
select count(), sum(cityHash64(table, name, hash_of_all_files)) from system.parts
where active and database = currentDatabase() and table in ('orders', 'refunds', 'visits')
  and max_date >= {first:Date} and min_date <= {last:Date}
"""
_ACCESS_DENIED = 497  # ClickHouse's error number: its user may not read system.parts


@dataclass(frozen=True)
class Line:
    """The figures of the brand (code ""), a store or a channel in both periods, and why its GMV moved."""

    code: str
    name: str
    before: Figures
    after: Figures

    @cached_property
    def change(self) -> Change:
        """Why its GMV moved; worked out only for the lines that are shown."""
        return explain(self.before, self.after)

    @property
    def moved(self) -> float | None:
        """Relative change of GMV; None where there was none before."""
        return self.change.total / self.before.gmv if self.before.gmv > 0 else None


@dataclass(frozen=True, slots=True)
class Board:
    """Both periods, the whole and its parts. The lines' money adds up to the whole; their people overlap."""

    comparison: Comparison
    total: Line
    stores: list[Line]
    channels: list[Line]
    days: tuple[list[tuple[date, int]], list[tuple[date, int]]]  # GMV per day, zero days included

    @property
    def visits_recorded(self) -> bool:
        """Whether visitors and conversion can be shown."""
        return visits_known(self.total.before, self.total.after)

    @property
    def empty(self) -> bool:
        """Neither period holds an order, a refund or a visit."""
        return self.total.before == self.total.after == Figures()


def board(comparison: Comparison, scope: Scope | None = None) -> Board:
    """The board of `comparison` for a part of the organisation (None: the whole brand).

    Orders without a store are seen only by those who see the whole brand. Cost: a look at the history's parts, and the
    scans if anything in them changed. Raises HistoryUnavailable.
    """
    from clickhouse_connect.driver.exceptions import ClickHouseError

    stores = None if scope is None or scope.everything else _stores_of(scope)
    try:
        cells = _cells(comparison, stores)
    except (ClickHouseError, LookupError, OSError) as error:
        raise HistoryUnavailable from error
    names = dict(Store.objects.values_list("code", "name"))
    return Board(
        comparison,
        _line(cells, _TOTAL, "", ""),
        _lines(cells, _STORE, names),
        _lines(cells, _CHANNEL, {}),
        (_series(cells, BEFORE, comparison.before), _series(cells, AFTER, comparison.after)),
    )


def _cells(comparison: Comparison, stores: Sequence[str] | None) -> Cells:
    """Every cell of the board: as it was read before, if the history still holds the same for these days."""
    asked = (comparison.before, comparison.after, None if stores is None else tuple(sorted(stores)))
    held = _held(comparison)
    if held is None:
        return _read(comparison, stores)
    key = (*asked, held)
    with _keeping:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    cells = _read(comparison, stores)
    with _keeping:
        _kept[key] = cells
        while len(_kept) > _KEPT:
            _kept.popitem(last=False)
    return cells


def forget() -> None:
    """Drop what is kept (tests)."""
    with _keeping:
        _kept.clear()


def _held(comparison: Comparison) -> tuple[int, int] | None:
    """A mark of what the history holds of these days: it changes with every row that is appended, rewritten or erased.
    None where a server of the operator's does not tell.

    ClickHouse never changes a part, it writes another; so the names of the parts and the hashes of their files tell.
    """
    from clickhouse_connect.driver.exceptions import ClickHouseError

    days = [comparison.before.first, comparison.before.last, comparison.after.first, comparison.after.last]
    try:
        found = clickhouse.rows(_PARTS, {"first": min(days), "last": max(days)})
    except ClickHouseError as problem:
        if getattr(problem, "code", None) == _ACCESS_DENIED:
            return None
        raise
    return sum(parts for parts, _mark in found), sum(mark for _parts, mark in found)  # of every server


def _read(comparison: Comparison, stores: Sequence[str] | None) -> Cells:
    """Every cell of the board by grouping, period and code."""
    cells: dict[Cell, Figures] = defaultdict(Figures)
    for key, buyers, orders, sales, nobodys, anonymous in _scan(
        "orders",
        "uniqExactIf(customer, customer > 0), countIf(customer > 0), sumIf(net, customer > 0),"
        " countIf(customer = 0), sumIf(net, customer = 0)",
        comparison,
        stores,
    ):
        cells[key] = Figures(0, buyers, orders, sales, nobodys, anonymous)
    for key, known, anonymous in _scan(
        "refunds", "sumIf(amount, customer > 0), sumIf(amount, customer = 0)", comparison, stores
    ):
        cell = cells[key]
        cells[key] = replace(cell, sales=cell.sales - known, anonymous=cell.anonymous - anonymous)
    for key, visitors in _scan("visits", "uniqExactIf(customer, customer > 0)", comparison, stores):
        cells[key] = replace(cells[key], visitors=visitors)
    return cells


def _scan(table: str, measures: str, comparison: Comparison, stores: Sequence[str] | None) -> Iterable[tuple[Any, ...]]:
    """(cell, *measures) of one table: whole, per store, per channel and per day of each period, in one pass."""
    mine = "" if stores is None else "and store in {stores:Array(String)}"
    sql = f"""
    select side, grouping(store), grouping(channel), grouping(day), store, channel, day, {measures}
    from {table}
    array join arrayFilter(s -> if(s = 0, day between {{b0:Date}} and {{b1:Date}},
                                   day between {{a0:Date}} and {{a1:Date}}), [0, 1]) as side
    where (day between {{b0:Date}} and {{b1:Date}} or day between {{a0:Date}} and {{a1:Date}}) {mine}
    group by grouping sets ((side), (side, store), (side, channel), (side, day))
    """
    before, after = comparison.before, comparison.after
    params: dict[str, Any] = {"b0": before.first, "b1": before.last, "a0": after.first, "a1": after.last}
    if stores is not None:
        params["stores"] = list(stores)
    found: dict[Cell, list[Any]] = {}
    for side, no_store, no_channel, no_day, store, channel, day, *values in clickhouse.rows(sql, params):
        grouping = {(0, 1, 1): _STORE, (1, 0, 1): _CHANNEL, (1, 1, 0): _DAY}.get((no_store, no_channel, no_day), _TOTAL)
        code = {_STORE: store, _CHANNEL: channel, _DAY: str(day), _TOTAL: ""}[grouping]
        known = found.get((grouping, side, code), [0] * len(values))  # nobody is on two servers, so all of it adds up
        found[grouping, side, code] = [one + value for one, value in zip(known, values, strict=True)]
    for cell, values in found.items():
        yield cell, *values


def _line(cells: Cells, grouping: str, code: str, name: str) -> Line:
    before = cells.get((grouping, BEFORE, code), Figures())
    after = cells.get((grouping, AFTER, code), Figures())
    return Line(code, name, before, after)


def _lines(cells: Cells, grouping: str, names: Mapping[str, str]) -> list[Line]:
    """One line per code, the largest GMV of the later period first."""
    codes = {code for kind, _, code in cells if kind == grouping}
    lines = [_line(cells, grouping, code, names.get(code, code)) for code in codes]
    return sorted(lines, key=lambda line: (-line.after.gmv, -line.before.gmv, line.code))


def _series(cells: Cells, side: int, period: Period) -> list[tuple[date, int]]:
    days = [period.first + timedelta(days=place) for place in range(period.days)]
    return [(day, cells.get((_DAY, side, str(day)), Figures()).gmv) for day in days]


def _stores_of(scope: Scope) -> list[str]:
    return list(Store.objects.filter(org_node__in=scope.org_nodes()).values_list("code", flat=True))
