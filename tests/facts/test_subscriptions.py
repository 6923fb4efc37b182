"""Readers of the log: nothing skipped, nothing twice, a failure stops only its own stream."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from hetang.facts import intake, queries, services, subscriptions
from hetang.facts.intake import Draft
from hetang.facts.models import HeldFact, SubscriptionCursor
from hetang.facts.subscriptions import Subscription, Window
from hetang.platform import clock, partitions

AT = datetime(2026, 11, 1, 9, 0, tzinfo=UTC)
pytestmark = pytest.mark.django_db(transaction=True)


def visits(*keys: str, kind: str = "visit.recorded") -> None:
    intake.record("pos", [Draft(kind, key, AT, [("member", "1")], {}) for key in keys])


class Reader:
    """Collects the keys it is given; fails on those in `poison`."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.poison: set[str] = set()

    def __call__(self, window: Window) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"select f.key from facts_fact f where {window.where} order by f.id", window.params)
            keys = [row[0] for row in cursor.fetchall()]
        if self.poison & set(keys):
            raise ValueError(f"cannot apply {sorted(self.poison & set(keys))}")
        self.seen += keys


@pytest.fixture
def streams(monkeypatch):
    def install(*subs: Subscription) -> None:
        monkeypatch.setattr(subscriptions, "all_subscriptions", lambda: subs)
        monkeypatch.setattr(queries, "all_subscriptions", lambda: subs)
        monkeypatch.setattr(services, "all_subscriptions", lambda: subs)

    return install


def test_a_window_reads_no_more_of_the_log_than_it_holds():
    partitions.ensure(clock.now())
    visits(*(f"early {number}" for number in range(400)))
    with connection.cursor() as cursor:  # what the planner then knows ends here; beyond, it expects next to nothing
        cursor.execute("analyze facts_fact")
    passed = subscriptions._next_window((0, 0, 0), 400, None)
    visits(*(f"late {number}" for number in range(400)))
    with CaptureQueriesContext(connection) as asked:
        subscriptions._next_window(passed[0], 20, None)
    (statement,) = [query["sql"] for query in asked.captured_queries if "ahead" in query["sql"]]
    unsorted, select, sorted_again = statement.split(";")
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"{unsorted}; explain (analyze, costs off, timing off) {select}; {sorted_again}")
        cursor.nextset()
        plan = "\n".join(line for (line,) in cursor.fetchall())
        cursor.execute("show enable_sort")
        assert cursor.fetchone() == ("on",)
    assert "rows=20" in plan
    assert "rows=400" not in plan


def test_windows_follow_each_other_without_gap(streams):
    reader = Reader()
    stream = Subscription("a", reader, batch=2)
    streams(stream)
    visits("1", "2", "3")
    visits("4", "5")
    assert [subscriptions.advance(stream) for _ in range(4)] == [2, 2, 1, 0]
    assert reader.seen == ["1", "2", "3", "4", "5"]
    assert SubscriptionCursor.objects.get(name="a").applied == 5


def test_only_its_kinds(streams):
    reader = Reader()
    stream = Subscription("a", reader, kinds=frozenset({"customer.described"}))
    streams(stream)
    visits("1", "2")
    visits("3", kind="customer.described")
    subscriptions.run_until_idle()
    assert reader.seen == ["3"]
    assert queries.lags()[0].waiting == 0


def test_what_commits_late_is_not_skipped(streams):
    """The trap that loses facts with a cursor over a serial id: an older transaction commits after a newer one."""
    reader = Reader()
    stream = Subscription("a", reader)
    streams(stream)
    written, release = threading.Event(), threading.Event()

    def slow_writer() -> None:
        with transaction.atomic():
            visits("late")
            written.set()
            release.wait(10)
        connection.close()

    thread = threading.Thread(target=slow_writer)
    thread.start()
    assert written.wait(10)
    visits("early")
    subscriptions.run_until_idle()
    assert reader.seen == []  # held back below the running transaction
    release.set()
    thread.join()
    subscriptions.run_until_idle()
    assert sorted(reader.seen) == ["early", "late"]


def test_many_writers_and_two_readers_lose_and_repeat_nothing(streams):
    reader = Reader()
    stream = Subscription("a", reader, batch=7)
    streams(stream)
    done = threading.Event()

    def write(writer: int) -> None:
        for n in range(40):
            visits(f"{writer}-{n}")
        connection.close()

    def read() -> None:
        while not done.is_set():
            subscriptions.advance(stream)
        connection.close()

    readers = [threading.Thread(target=read) for _ in range(2)]
    writers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
    for thread in [*readers, *writers]:
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    for thread in readers:
        thread.join()
    subscriptions.run_until_idle()
    assert len(reader.seen) == 160
    assert len(set(reader.seen)) == 160


def test_a_stream_never_overtakes_the_one_it_follows(streams):
    first, second = Reader(), Reader()
    one, two = Subscription("one", first, batch=2), Subscription("two", second, after="one", batch=10)
    streams(one, two)
    visits("1", "2", "3")
    assert subscriptions.advance(two) == 0
    subscriptions.advance(one)
    assert subscriptions.advance(two) == 2
    assert second.seen == ["1", "2"]


def test_a_failure_stops_only_its_own_stream_and_names_the_fact(streams, caplog):
    good, bad = Reader(), Reader()
    bad.poison = {"3"}
    streams(Subscription("good", good), Subscription("bad", bad, batch=4))
    visits("1", "2", "3", "4")
    with pytest.raises(RuntimeError, match="bad stopped: ValueError: cannot apply"):
        subscriptions.run_until_idle()
    assert good.seen == ["1", "2", "3", "4"]
    assert "subscription bad stopped" in caplog.text
    lag = {one.name: one for one in queries.lags()}
    assert (lag["good"].waiting, lag["bad"].waiting) == (0, 4)
    assert lag["bad"].error == "ValueError: cannot apply ['3']"


def test_a_fact_that_cannot_be_applied_is_set_aside_and_replayed(streams):
    reader = Reader()
    reader.poison = {"2"}
    stream = Subscription("a", reader, batch=1)
    streams(stream)
    visits("1", "2", "3")
    assert [subscriptions.advance(stream) for _ in range(3)] == [1, 0, 0]
    assert services.set_aside_next("a")
    subscriptions.run_until_idle()
    assert reader.seen == ["1", "3"]
    held = HeldFact.objects.get()
    assert (held.stage, held.key, held.reason) == ("a", "2", "handler_failed")
    reader.poison = set()
    assert services.replay(held.id).accepted == 1
    assert reader.seen == ["1", "3", "2"]


def test_a_restored_log_is_read_on_in_the_new_epoch(streams):
    """After a restore transaction ids start again: the raised epoch keeps new facts behind the old ones."""
    reader = Reader()
    stream = Subscription("a", reader)
    streams(stream)
    visits("1")
    with connection.cursor() as cursor:
        cursor.execute("update facts_fact set tx = '999999999999'::xid8")  # as if from a much older server
        cursor.execute("update facts_epoch set epoch = epoch + 1")
    visits("2")
    subscriptions.run_until_idle()
    assert reader.seen == ["1", "2"]
    with connection.cursor() as cursor:
        cursor.execute("update facts_epoch set epoch = 1")
