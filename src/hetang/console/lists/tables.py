"""The one way to show a list: declared columns, filters in the address, sorting, column choice, saved views.

A room declares a `Table`, chooses its rows by its filters, and calls `read`; the template draws the `Listing` with
`{% listbar %}`, `{% datatable %}`, `{% cell %}` and `{% listpager %}` of `{% load lists %}`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import Promise

from hetang.console.models import ListColumns, SavedView
from hetang.console.paging import SIZE, Count, Page, capped_count, first_page, keyset
from hetang.platform.access import Actor, actor_of

SHARE = "views:share"
ModelRow = TypeVar("ModelRow", bound=Model)
Text = str | Promise


@dataclass(frozen=True)
class Column:
    """One column. `sort` names the never-null column of the database that it may be sorted by; `fixed` cannot be
    hidden and heads the row; `css` is `n` for numbers."""

    code: str
    label: Text
    sort: str = ""
    fixed: bool = False
    hidden: bool = False  # shown only to those who choose it
    css: str = ""


@dataclass(frozen=True)
class Table:
    """A list of the console. `key` ends every order and is unique; `order` is how the list comes without a choice.

    `filters` are the parameters that a saved view keeps: never one that may hold an identifier of a person.
    """

    code: str
    label: Text
    permission: str
    url_name: str
    columns: tuple[Column, ...]
    order: tuple[str, ...]
    key: tuple[str, ...]
    filters: tuple[str, ...] = ()
    search: str = ""  # a parameter of the address that filters and is not kept in views
    dense: bool = False
    picks: bool = False  # rows carry a checkbox

    def column(self, code: str) -> Column | None:
        """The column of this code, if the list has it."""
        return next((one for one in self.columns if one.code == code), None)


@dataclass(frozen=True)
class Head:
    """The head of a shown column: `sort_url` turns the order by it, `direction` is asc, desc or empty."""

    column: Column
    sort_url: str = ""
    direction: str = ""


@dataclass
class Listing(Generic[ModelRow]):
    """One page of a list as somebody asked for it."""

    table: Table
    page: Page[ModelRow]
    count: Count
    heads: list[Head]
    view: SavedView | None
    views: list[SavedView]
    address: str  # of this list with its filters, without the place in it
    kept: dict[str, str] = field(default_factory=dict)  # what a saved view would keep
    may_share: bool = False
    filtered: bool = False

    @cached_property
    def shown(self) -> frozenset[str]:
        """Codes of the shown columns."""
        return frozenset(head.column.code for head in self.heads)

    @property
    def choices(self) -> list[tuple[Column, bool]]:
        """Columns that one may hide or show, and whether they are shown."""
        return [(one, one.code in self.shown) for one in self.table.columns if not one.fixed]


def read(
    table: Table, rows: QuerySet[ModelRow], request: HttpRequest, size: int = SIZE, *, costly: bool = False
) -> Listing[ModelRow]:
    """The page of `rows` that the request asks for. Three small queries besides the page and the capped count, which
    are read together where rows are `costly` to choose."""
    actor = actor_of(request)
    views = visible_views(actor, table)
    view = next((one for one in views if str(one.public_id) == request.GET.get("view")), None)
    column, down = _sorting(table, request.GET.get("sort", ""))
    order, onward = order_of(table, column, down), request.GET.get("after") or request.GET.get("before")
    if costly and not onward:
        page, count = first_page(rows, order, size)
    else:
        page, count = keyset(rows, order, request, size), capped_count(rows)
    return Listing(
        table=table,
        page=page,
        count=count,
        heads=[_head(one, request, column, down) for one in _shown(actor, table, view)],
        view=view,
        views=views,
        address=_address(request),
        kept=kept(table, request.GET),
        may_share=actor.can(SHARE),
        filtered=any(request.GET.get(name) for name in (*table.filters, table.search) if name),
    )


def order_of(table: Table, column: Column | None, down: bool) -> tuple[str, ...]:
    """What to order by: the chosen column and the key, or the list's own order."""
    if column is None:
        return table.order
    if (column.sort,) == tuple(name.lstrip("-") for name in table.key):
        return (f"-{column.sort}" if down else column.sort,)
    return (f"-{column.sort}" if down else column.sort, *table.key)


def kept(table: Table, parameters: Any) -> dict[str, str]:
    """The filters and the order of an address that a view may keep."""
    found = {name: str(parameters.get(name, ""))[:200] for name in (*table.filters, "sort")}
    return {name: value for name, value in found.items() if value}


def visible_views(actor: Actor, table: Table) -> list[SavedView]:
    """The actor's own views of a list and those that the brand shares, by name."""
    mine = Q(shared=True) | Q(owner_id=actor.user_id)
    return list(SavedView.objects.filter(mine, list=table.code).order_by("name", "pk")[:50])


def address_of(view: SavedView, base: str) -> str:
    """Where a view leads: its filters stand in the address, so it can be passed on."""
    return f"{base}?{urlencode({**view.query, 'view': str(view.public_id)})}"


def known_codes(table: Table, codes: Sequence[str]) -> list[str]:
    """Those codes that are columns which one may choose, in the order of the table."""
    wanted = set(codes)
    return [one.code for one in table.columns if one.code in wanted and not one.fixed]


def _shown(actor: Actor, table: Table, view: SavedView | None) -> list[Column]:
    chosen: list[str] | None = view.columns if view else None
    if chosen is None:
        own = ListColumns.objects.filter(user=actor.user_id, list=table.code).values_list("columns", flat=True).first()
        chosen = own if own is not None else [one.code for one in table.columns if not one.hidden]
    return [one for one in table.columns if one.fixed or one.code in chosen]


def _sorting(table: Table, text: str) -> tuple[Column | None, bool]:
    column = table.column(text.removeprefix("-"))
    return (column, text.startswith("-")) if column is not None and column.sort else (None, False)


def _head(column: Column, request: HttpRequest, by: Column | None, down: bool) -> Head:
    if not column.sort:
        return Head(column)
    current = by is not None and by.code == column.code
    query = request.GET.copy()
    for name in ("after", "before"):
        query.pop(name, None)
    query["sort"] = column.code if current and down else f"-{column.code}" if current else column.code
    return Head(column, f"?{query.urlencode()}", ("desc" if down else "asc") if current else "")


def _address(request: HttpRequest) -> str:
    query = request.GET.copy()
    for name in ("after", "before", "view"):
        query.pop(name, None)
    return f"{request.path}?{query.urlencode()}" if query else request.path
