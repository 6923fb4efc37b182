"""A board that is kept is the board that would be read now, whatever happens to the history in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

import pytest

from hetang.commerce import history
from hetang.insights import queries
from hetang.insights.errors import HistoryUnavailable
from hetang.insights.periods import Comparison, Period
from hetang.insights.queries import Board, board
from hetang.platform import clickhouse as store
from hetang.platform.access import Scope
from hetang.platform.models import OrgNode
from hetang.platform.organisation import add_node, root
from hetang.resources.models import Store

pytestmark = [pytest.mark.engine, pytest.mark.django_db]

MAY = Comparison(Period(date(2026, 5, 1), date(2026, 5, 3)), Period(date(2026, 5, 4), date(2026, 5, 6)))
ORDER = ("customer", "placed_at", "day", "source", "order_key", "store", "channel", "net", "discount", "lines")
REFUND = ("customer", "refunded_at", "day", "source", "refund_key", "order_key", "store", "channel", "amount")


def order(key: str, customer: int, day: date, net: int = 1_000) -> None:
    at = datetime(day.year, day.month, day.day, 4, tzinfo=UTC)
    store.insert("orders", ORDER, [(customer, at, day, "pos", key, "s1", "store", net, 0, 1)], key)


def refund(key: str) -> None:
    at = datetime(2026, 5, 5, 4, tzinfo=UTC)
    store.insert("refunds", REFUND, [(1, at, at.date(), "pos", key, "o1", "s1", "store", 300)], key)


def visit(customer: int) -> None:
    at = datetime(2026, 5, 2, 4, tzinfo=UTC)
    columns = ("customer", "at", "day", "store", "channel")
    store.insert("visits", columns, [(customer, at, at.date(), "s1", "store")], f"v{customer}")


def again_from_nothing() -> None:
    """As a rebuild does: the same names of parts and numbers of rows, other contents."""
    for table in ("orders", "refunds", "visits"):
        store.command(f"drop table {table} sync")
    history.ensure_schema()
    order("o1", 1, date(2026, 5, 1), 1_001)
    order("o2", 2, date(2026, 5, 4), 2_002)


CHANGES: dict[str, Callable[[], object]] = {
    "a late order": lambda: order("o3", 3, date(2026, 5, 6)),
    "a refund": lambda: refund("r1"),
    "a visit": lambda: visit(4),
    "a merge": lambda: store.command(
        "alter table orders update customer = 1 where customer = 2 settings mutations_sync = 1"
    ),
    "an erasure": lambda: history.forget_people([1]),
    "a corrected refund": lambda: store.command("delete from refunds where refund_key = 'r0'"),
    "a rebuild": again_from_nothing,
}


@pytest.fixture(autouse=True)
def _history(clickhouse: str) -> Iterator[None]:
    history.ensure_schema()
    queries.forget()
    order("o1", 1, date(2026, 5, 1))
    order("o2", 2, date(2026, 5, 4))
    order("o2b", 1, date(2026, 5, 5))
    refund("r0")
    yield
    queries.forget()


def read_now() -> Board:
    queries.forget()
    return board(MAY)


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_of_the_history_shows_at_once(change: str) -> None:
    before = board(MAY)
    CHANGES[change]()
    after = board(MAY)
    assert after.total != before.total
    assert (after.total, after.stores, after.days) == ((now := read_now()).total, now.stores, now.days)


def test_what_has_not_changed_is_not_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before = board(MAY)
    order("o4", 5, date(2027, 1, 2))  # another year: no part of it reaches these days
    monkeypatch.setattr(queries, "_scan", None)
    assert board(MAY).total == before.total


def test_parts_of_the_organisation_are_kept_apart() -> None:
    node = add_node(root(), OrgNode.STORE, "s2", "Two")
    Store.objects.create(code="s2", name="Two", org_node=node)
    assert not board(MAY).empty
    assert board(MAY, Scope(paths=(node.path,))).empty
    assert board(MAY, Scope(paths=())).empty
    assert not board(MAY).empty


def test_where_the_server_does_not_tell_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "_ACCESS_DENIED", 60)  # what a missing table is answered with
    monkeypatch.setattr(queries, "_PARTS", "select 1 from nowhere")
    assert not board(MAY).empty
    assert len(queries._kept) == 0
    monkeypatch.setattr(queries, "_ACCESS_DENIED", 497)
    with pytest.raises(HistoryUnavailable):
        board(MAY)


def test_only_so_many_are_kept() -> None:
    for day in range(1, 25):
        span = Period(date(2026, 6, day), date(2026, 6, day))
        board(Comparison(span, span))
    assert len(queries._kept) == queries._KEPT
