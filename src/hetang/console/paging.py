"""Pages by key, never by offset, and counts with a ceiling: lists stay fast at any size.

A cursor is the sort key of the row at the edge of the page (JSON, base64); `?after=` goes on, `?before=` goes back.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Generic, TypeVar

from django.core.exceptions import EmptyResultSet, ValidationError
from django.db import DataError, connection
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest

Row = TypeVar("Row")
ModelRow = TypeVar("ModelRow", bound=Model)
SIZE = 50


@dataclass(frozen=True)
class Page(Generic[Row]):
    """One page of rows; `earlier` and `later` are cursors, or None at the ends."""

    rows: list[Row]
    earlier: str | None = None
    later: str | None = None

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __bool__(self) -> bool:
        return bool(self.rows)


def keyset(rows: QuerySet[ModelRow], order: Sequence[str], request: HttpRequest, size: int = SIZE) -> Page[ModelRow]:
    """The page that the request asks for. `order` names never-null columns, `-` for descending, the last one unique.

    One query of `size + 1` rows; a cursor that cannot be read starts at the beginning.
    """
    back = _read(request.GET.get("before"), len(order))
    onward = None if back else _read(request.GET.get("after"), len(order))
    names = _reversed(order) if back else list(order)
    edge = back or onward
    try:
        chosen = rows.filter(_beyond(names, edge)) if edge else rows
        found = list(chosen.order_by(*names)[: size + 1])
    except (DataError, ValidationError, ValueError):  # a cursor of another order: its values fit other columns
        back, onward = None, None
        found = list(rows.order_by(*order)[: size + 1])
    more = len(found) > size
    found = found[:size]
    if back:
        found.reverse()
    return Page(
        rows=found,
        earlier=_write(found[0], order) if found and (more if back else onward) else None,
        later=_write(found[-1], order) if found and (more or back) else None,
    )


@dataclass(frozen=True)
class Count:
    """A count that stopped at a ceiling: `more` says that there are more."""

    value: int
    more: bool

    def __str__(self) -> str:
        return f"{self.value:,}{'+' if self.more else ''}"


def capped_count(rows: QuerySet[Any], cap: int = 10_000) -> Count:
    """How many rows, counted no further than `cap`."""
    value = rows.order_by()[: cap + 1].count()
    return Count(min(value, cap), value > cap)


def first_page(
    rows: QuerySet[ModelRow], order: Sequence[str], size: int = SIZE, cap: int = 10_000
) -> tuple[Page[ModelRow], Count]:
    """The first page and the capped count, for rows that cost much to choose: they are chosen once, in this order, no
    further than `cap`. A second small query reads those of the page."""
    try:
        chosen, values = rows.order_by(*order).values_list("pk")[: cap + 1].query.sql_with_params()
    except EmptyResultSet:  # what can hold nothing has no SQL
        return Page([]), Count(0, False)
    with connection.cursor() as cursor:
        cursor.execute(f"select count(*), (array_agg(c.pk))[1:{size + 1}] from ({chosen}) c(pk)", values)
        value, keys = cursor.fetchone()
    keys = keys or []
    read: QuerySet[ModelRow] = QuerySet(rows.model).filter(pk__in=keys[:size])
    read.query.select_related = rows.query.select_related
    place = {key: number for number, key in enumerate(keys)}
    found = sorted(read, key=lambda row: place[row.pk])
    later = _write(found[-1], order) if len(keys) > size else None
    return Page(rows=found, later=later), Count(min(value, cap), value > cap)


def _reversed(order: Sequence[str]) -> list[str]:
    return [name[1:] if name.startswith("-") else f"-{name}" for name in order]


def _beyond(order: Sequence[str], edge: Sequence[Any]) -> Q:
    """Rows strictly after the edge in this order: (a > x) or (a = x and b > y) or ..."""
    result, equal = Q(), Q()
    for name, value in zip(order, edge, strict=True):
        column, comparison = (name[1:], "lt") if name.startswith("-") else (name, "gt")
        result |= equal & Q(**{f"{column}__{comparison}": value})
        equal &= Q(**{column: value})
    return result


def _write(row: Model, order: Sequence[str]) -> str:
    values = [_plain(_value(row, name.lstrip("-"))) for name in order]
    return base64.urlsafe_b64encode(json.dumps(values).encode()).decode().rstrip("=")


def _value(row: Any, column: str) -> Any:
    for part in column.split("__"):
        row = getattr(row, part)
    return row


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else value


def _read(cursor: str | None, length: int) -> list[Any] | None:
    if not cursor:
        return None
    try:
        values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        return None
    if not isinstance(values, list) or len(values) != length:
        return None
    return values if all(isinstance(value, str | int | float) for value in values) else None
