"""The columnar history equals PostgreSQL, also after windows that died half way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from django.db import connection, transaction
from pyroaring import BitMap

from hetang.commerce import history, history_copy, history_refusals, history_rows, history_schema
from hetang.commerce.models import Order, Refund
from hetang.facts import intake, services, subscriptions
from hetang.facts.intake import Draft
from hetang.facts.models import HeldFact, SubscriptionCursor
from hetang.facts.subscriptions import Window, run_until_idle
from hetang.platform import clickhouse as store
from hetang.platform import jobs
from hetang.resources import services as resources
from hetang.resources.rules import StoreRow
from hetang.touch.models import ShortLink
from tests.customers.drive import at, draft, number_of, order

pytestmark = [pytest.mark.engine, pytest.mark.django_db(transaction=True)]

ANNA = ("member", "900")
BEA = ("member", "901")


@pytest.fixture(autouse=True)
def _ready(clickhouse: str) -> None:
    history.ensure_schema()
    resources.upsert_stores([StoreRow("330", "North Gate"), StoreRow("331", "South")])


def record(*drafts: Draft) -> None:
    assert not intake.record("pos", drafts).rejected


def some_facts() -> list[Draft]:
    return [
        order("o1", [ANNA], 500, 1, store="330"),
        order("o2", [BEA], 300, 2, "MILK", store="331", channel="mini_program"),
        order("o3", [], 200, 3),
        draft("visit.recorded", "v1", [BEA], 4, store="330"),
        draft("order.refunded", "r1", [], 5, order="o2", amount=120),
        draft("customer.described", "d1", [ANNA], 5, attributes={"town": 'Wu"xi\t\\', "size": 2}, home_store="330"),
    ]


def orders() -> set[tuple[Any, ...]]:
    return set(store.rows("select customer, order_key, net, store, channel, day from orders"))


def orders_in_postgresql() -> set[tuple[Any, ...]]:
    rows = Order.objects.values_list("customer", "key", "net", "store__code", "channel", "local_day")
    return {(customer or 0, key, net, code or "", channel, day) for customer, key, net, code, channel, day in rows}


def refunds() -> set[tuple[Any, ...]]:
    return set(store.rows("select customer, refund_key, order_key, amount, store, day from refunds"))


def refunds_in_postgresql() -> set[tuple[Any, ...]]:
    rows = Refund.objects.values_list("customer", "key", "order_key", "amount", "store__code", "local_day")
    return {(one[0] or 0, *one[1:4], one[4] or "", one[5]) for one in rows}


def counts() -> dict[str, int]:
    tables = ("orders", "order_lines", "refunds", "visits", "touches", "facts")
    return {table: store.rows(f"select count() from {table}")[0][0] for table in tables}


def test_facts_become_rows() -> None:
    record(*some_facts())
    run_until_idle()
    anna, bea = number_of(*ANNA), number_of(*BEA)
    assert orders() == orders_in_postgresql()
    assert refunds() == refunds_in_postgresql()
    assert store.rows("select customer, sku, category, quantity, amount from order_lines order by order_key") == [
        *((anna, "sku-BREAD", "BREAD", 1, 500), (bea, "sku-MILK", "MILK", 1, 300), (0, "sku-BREAD", "BREAD", 1, 200)),
    ]
    assert store.rows("select customer, at, store, channel from visits") == [(bea, at(4), "330", "store")]
    assert counts()["facts"] == 4
    profile = store.rows(
        "select home_store, orders, gmv, first_order_at, favourite_store, favourite_category, attributes, alive"
        " from customer_profile final where customer = {n:UInt32}",
        {"n": anna},
    )
    assert profile == [("330", 1, 500, at(1), "330", "BREAD", {"town": 'Wu"xi\t\\', "size": "2"}, 1)]


def test_touches_are_one_row_a_person() -> None:
    record(order("o1", [ANNA], 500, 1))
    body = {"programme": 7, "channel": "wecom"}
    members = BitMap([1, 2, 4_000_000_000])
    record(
        Draft("touch.sent", "t1", at(2), (), body, members.serialize()),
        Draft("touch.failed", "t2", at(3), (), body, BitMap([9]).serialize()),
        Draft("touch.sent", "t3", at(3), (), body, b"not a bitmap"),
    )
    run_until_idle()
    rows = store.rows(
        "select customer, at, channel, programme, message_class, state from touches order by at, customer"
    )
    assert rows == [
        *((number, at(2), "wecom", 7, "marketing", "sent") for number in members),
        (9, at(3), "wecom", 7, "marketing", "failed"),
    ]
    held = HeldFact.objects.get()
    assert (held.stage, held.key) == ("history", "t3")


def test_a_window_that_died_before_its_commit_counts_once() -> None:
    record(*some_facts())
    subscription = next(one for one in subscriptions.all_subscriptions() if one.name == "history")
    for one in subscriptions.all_subscriptions():
        if one is not subscription:
            assert subscriptions.advance(one) == 6
    assert history.ready()
    _apply_and_die(subscription)
    expected = counts()
    assert expected == {"orders": 3, "order_lines": 3, "refunds": 1, "visits": 1, "touches": 0, "facts": 4}
    # More facts came meanwhile: the next window starts at the same place and ends later.
    record(order("o4", [ANNA], 50, 6))
    run_until_idle()
    assert counts() == {**expected, "orders": 4, "order_lines": 4, "facts": 5}
    assert orders() == orders_in_postgresql()


@pytest.mark.parametrize("table", ["orders", "order_lines", "refunds", "visits", "facts", "customer_profile"])
def test_a_window_that_died_between_two_tables_is_completed(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    record(*some_facts())
    insert = history_copy.insert

    def dies(name: str, columns: str, data: bytes, token: str, shard: int = 0) -> None:
        if name == table:
            raise KeyboardInterrupt
        insert(name, columns, data, token, shard)

    monkeypatch.setattr(history_copy, "insert", dies)
    with pytest.raises(KeyboardInterrupt):
        run_until_idle()
    monkeypatch.setattr(history_copy, "insert", insert)
    run_until_idle()
    assert counts() == {"orders": 3, "order_lines": 3, "refunds": 1, "visits": 1, "touches": 0, "facts": 4}
    assert store.rows("select count() from customer_profile final") == [(2,)]


def test_no_transaction_waits_for_clickhouse(monkeypatch: pytest.MonkeyPatch) -> None:
    """One with an id would hold back all streams."""
    record(*some_facts())
    insert, states = history_copy.insert, []

    def watched(name: str, columns: str, data: bytes, token: str, shard: int = 0) -> None:
        states.append((connection.in_atomic_block, connection.connection.info.transaction_status.name))
        insert(name, columns, data, token, shard)

    monkeypatch.setattr(history_copy, "insert", watched)
    run_until_idle()
    assert len(states) == 7
    assert set(states) == {(False, "IDLE")}


def spoil(monkeypatch: pytest.MonkeyPatch, table: str, word: str, amount: str) -> None:
    """Make ClickHouse refuse rows: an amount that is no number."""
    columns, select = history_rows.ROWS[table]
    assert amount in select
    rows = {
        **history_rows.ROWS,
        table: (columns, select.replace(amount, f"case when {word} then 'x' else {amount}::text end")),
    }
    monkeypatch.setattr(history_rows, "ROWS", rows)


def test_a_fact_that_clickhouse_refuses_is_held_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    record(*some_facts(), order("bad", [ANNA], 70, 6, "BAD"), order("o4", [BEA], 50, 6))
    with monkeypatch.context() as patch:
        spoil(patch, "order_lines", "l.category = 'BAD'", "l.amount")
        run_until_idle()
        held = HeldFact.objects.get()
        assert (held.stage, held.key, held.reason) == ("history", "bad", "history_refused")
        assert orders() == {row for row in orders_in_postgresql() if row[1] != "bad"}
        assert counts() == {"orders": 4, "order_lines": 4, "refunds": 1, "visits": 1, "touches": 0, "facts": 5}
        assert services.replay(held.id).rejected[0].code == "history_refused"
        jobs.enqueue("history.rebuild", "Rebuild", {})
        assert jobs.run_waiting() == 1
        run_until_idle()
        assert counts()["orders"] == 4
        assert HeldFact.objects.count() == 1
    assert services.replay(held.id).accepted == 1
    assert orders() == orders_in_postgresql()
    assert counts() == {"orders": 5, "order_lines": 5, "refunds": 1, "visits": 1, "touches": 0, "facts": 6}
    jobs.enqueue("history.rebuild", "Rebuild", {})
    assert jobs.run_waiting() == 1
    run_until_idle()
    assert counts()["orders"] == 5


def test_refusals_that_are_no_fault_of_single_facts_stop_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_refusals, "MOST", 2)
    record(*some_facts())
    with monkeypatch.context() as patch:
        spoil(patch, "orders", "true", "w.body->>'net'")
        with pytest.raises(RuntimeError, match="history stopped"):
            run_until_idle()
    assert not HeldFact.objects.exists()
    SubscriptionCursor.objects.update(failed_at=None)  # the pause is over
    run_until_idle()
    assert orders() == orders_in_postgresql()
    assert counts() == {"orders": 3, "order_lines": 3, "refunds": 1, "visits": 1, "touches": 0, "facts": 4}


def test_merges_rewrite_the_customer() -> None:
    record(*some_facts())
    run_until_idle()
    record(draft("customer.identified", "i1", [ANNA, BEA], 7))
    run_until_idle()
    run_until_idle()
    number = number_of(*ANNA)
    assert orders() == orders_in_postgresql()
    assert refunds() == refunds_in_postgresql()
    assert store.rows("select distinct customer from facts") == [(number,)]
    profiles = store.rows("select customer, alive, orders, gmv from customer_profile final order by customer")
    assert profiles == [(1, 1, 2, 680), (2, 0, 0, 0)]


def told_apart() -> list[tuple[Any, ...]]:
    """Whose rows are whose, in every table."""
    tables = ("orders", "order_lines", "refunds", "visits", "touches", "clicks", "facts")
    return [
        (table, *row)
        for table in tables
        for row in store.rows(f"select customer, count() from {table} group by customer order by customer")
    ]


def every_row() -> dict[str, list[tuple[Any, ...]]]:
    """All that the columnar history says."""
    found = {table: store.rows(f"select * from {table} order by all") for table in history_schema.TABLES}
    living = "select * except version from customer_profile final where alive order by customer"
    return found | {"customer_profile": store.rows(living)}


def merged_and_sent() -> None:
    """Two people with all kinds of rows, a message to one of them, and then they are merged."""
    record(*some_facts())
    run_until_idle()
    sent = BitMap([number_of(*BEA)]).serialize()
    record(Draft("touch.sent", "t1", at(6), (), {"programme": 7, "channel": "wecom"}, sent))
    run_until_idle()
    record(draft("customer.identified", "i1", [ANNA, BEA], 7))
    for _ in range(2):
        run_until_idle()
    assert {row[1] for row in told_apart() if row[1]} == {number_of(*ANNA)}


def test_people_who_are_told_apart_have_their_own_rows_again() -> None:
    for code in ("c1", "c2"):
        ShortLink.objects.create(code=code, target="https://shop.example/", created_at=at(5))
    record(*some_facts(), draft("click.identified", "k1", [BEA], 6, link="c1"))
    sent = BitMap([2]).serialize()
    record(Draft("touch.sent", "t1", at(6), (), {"programme": 7, "channel": "wecom"}, sent))
    run_until_idle()
    before = told_apart()
    record(draft("customer.identified", "i1", [ANNA, BEA], 7))
    for _ in range(2):
        run_until_idle()
    assert {row[1] for row in told_apart() if row[1]} == {1}
    record(
        order("o4", [BEA], 70, 8, store="330"),
        draft("order.refunded", "r2", [], 8, order="o4", amount=20),
        draft("visit.recorded", "v2", [ANNA], 8, store="330"),
        draft("click.identified", "k2", [ANNA], 8, link="c2"),
        draft("customer.kept_apart", "k3", [ANNA, BEA], 9, left=1, by="lin"),
        draft("visit.recorded", "v3", [BEA], 9, store="330"),
    )
    for _ in range(2):
        run_until_idle()
    assert (number_of(*ANNA), number_of(*BEA)) == (1, 2)
    assert orders() == orders_in_postgresql()
    assert refunds() == refunds_in_postgresql()
    assert store.rows("select customer, at from visits order by at, customer") == [(2, at(4)), (1, at(8)), (2, at(9))]
    assert store.rows("select customer, at from clicks order by at") == [(2, at(6)), (1, at(8))]
    assert [row for row in told_apart() if row[0] == "touches"] == [row for row in before if row[0] == "touches"]
    assert store.rows("select customer, count() from order_lines group by customer order by customer") == [
        *((0, 1), (1, 1), (2, 2)),
    ]
    profiles = store.rows("select customer, alive, orders, gmv, visits from customer_profile final order by customer")
    assert profiles == [(1, 1, 1, 500, 1), (2, 1, 2, 230, 2)]
    rows = every_row()
    jobs.enqueue("history.rebuild", "Rebuild", {})
    assert jobs.run_waiting() == 1
    run_until_idle()
    assert every_row() == rows


@pytest.mark.parametrize("table", ["order_lines", "visits", "facts"])
def test_a_division_that_died_half_way_is_completed(table: str, monkeypatch: pytest.MonkeyPatch) -> None:
    merged_and_sent()
    record(
        draft("customer.kept_apart", "k1", [ANNA, BEA], 9, left=1, by="lin"),
        order("o4", [BEA], 70, 8, store="330"),
        draft("visit.recorded", "v3", [BEA], 9, store="330"),
    )
    insert = history_copy.insert

    def dies(name: str, columns: str, data: bytes, token: str, shard: int = 0) -> None:
        if name == table and ":divided:" in token:
            raise KeyboardInterrupt
        insert(name, columns, data, token, shard)

    monkeypatch.setattr(history_copy, "insert", dies)
    with pytest.raises(KeyboardInterrupt):
        run_until_idle()
    monkeypatch.setattr(history_copy, "insert", insert)
    for _ in range(2):
        run_until_idle()
    assert orders() == orders_in_postgresql()
    assert refunds() == refunds_in_postgresql()
    assert store.rows("select customer, count() from visits group by customer") == [(number_of(*BEA), 2)]
    assert store.rows("select customer, count() from touches group by customer") == [(number_of(*BEA), 1)]
    assert counts()["order_lines"] == 4


def test_a_refund_before_its_order_is_corrected() -> None:
    record(draft("order.refunded", "r1", [BEA], 5, order="o1", amount=120))
    run_until_idle()
    assert refunds() == refunds_in_postgresql()
    assert {row[0] for row in refunds()} == {number_of(*BEA)}
    record(order("o1", [ANNA], 500, 1, store="330"))
    run_until_idle()
    assert refunds() == refunds_in_postgresql()
    assert {(row[0], row[4]) for row in refunds()} == {(number_of(*ANNA), "330")}


def test_tables_that_a_new_version_brought_are_made_by_whoever_writes_first() -> None:
    record(*some_facts())
    run_until_idle()
    before = counts()
    store.command("drop table clicks sync")
    store.command("alter table touches drop column person")
    history._made_sure.clear()  # as in a process of the new version
    ShortLink.objects.create(code="c1", target="https://shop.example/", created_at=at(5))
    record(draft("click.identified", "k1", [BEA], 6, link="c1"))
    run_until_idle()
    assert store.rows("select customer, at from clicks") == [(number_of(*BEA), at(6))]
    assert store.rows("select name from system.columns where table = 'touches' and name = 'person'") == [("person",)]
    assert counts() == {**before, "facts": before["facts"] + 1}


def test_a_lost_history_is_noticed_and_read_again() -> None:
    record(*some_facts())
    run_until_idle()
    before = counts()
    for table in (*before, "history_plan"):
        store.command(f"drop table {table} sync")
    run_until_idle()
    run_until_idle()
    assert counts() == before
    assert orders() == orders_in_postgresql()


def test_rebuilding_ends_with_the_same_rows() -> None:
    record(*some_facts())
    run_until_idle()
    before = (orders(), refunds(), counts())
    jobs.enqueue("history.rebuild", "Rebuild", {})
    assert jobs.run_waiting() == 1
    assert counts()["orders"] == 0
    run_until_idle()
    assert (orders(), refunds(), counts()) == before


@pytest.mark.parametrize("answer", [b"Starting\n", None])
def test_the_stream_waits_while_the_engine_is_away(answer: bytes | None, monkeypatch: pytest.MonkeyPatch) -> None:
    with _server(answer) as address, monkeypatch.context() as patch:
        patch.setenv("HETANG_CLICKHOUSE_URL", address)
        assert not history.ready()
        assert not store.available()
    store.forget()


def test_a_window_beyond_the_end_is_refused() -> None:
    window = Window("false", {}, 0, "x", ((9, 9, 9), (9, 9, 10)))
    with pytest.raises(history.HistoryBehind), transaction.atomic():
        history.append(window)


@contextmanager
def _server(answer: bytes | None) -> Iterator[str]:
    """An engine that is starting: its ping says so, everything else is 503. None: nobody listens."""

    class Starting(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/ping" else 503)
            self.end_headers()
            self.wfile.write(answer or b"")

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, format: str, *args: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Starting)
    address = f"http://127.0.0.1:{server.server_port}"
    if answer is None:
        server.server_close()
        yield address
        return
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield address
    server.shutdown()
    thread.join()
    server.server_close()


def _apply_and_die(subscription: subscriptions.Subscription) -> None:
    """Append a window and lose the transaction that would have moved the cursor."""
    with transaction.atomic():
        cursor = subscriptions._lock_cursor("history")
        assert cursor is not None
        subscriptions._apply_next(subscription, cursor)
        transaction.set_rollback(True)
