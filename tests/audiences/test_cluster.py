"""Rules on a real cluster: two servers of Debian's ClickHouse answer as our engine does, and as the plain reading."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from pyroaring import BitMap

from hetang.audiences.plans import Query
from hetang.audiences.reading import parse
from hetang.audiences.sets import evaluate
from tests import cluster
from tests.audiences import population
from tests.audiences.population import CATALOGUE, MOMENT, Population, fits, invent, store_history
from tests.audiences.test_evaluators import trees
from tests.cluster import Server

MISSING = "SKIPPED: no ClickHouse server here, so rules are not tried on a real cluster (python -m tests.cluster)"
pytestmark = [pytest.mark.engine, pytest.mark.skipif(cluster.program() is None, reason=MISSING)]

# The tables of `history_schema`, of the columns that rules read, in types of 2018.
TABLES = {
    "orders": "customer UInt32, placed_at DateTime, day Date, source String, order_key String, store String,"
    " channel String, net Int64, discount Int64, lines UInt32",
    "order_lines": "customer UInt32, placed_at DateTime, day Date, source String, order_key String, store String,"
    " channel String, sku String, category String, quantity Float64, amount Int64",
    "visits": "customer UInt32, at DateTime, day Date, store String, channel String",
    "touches": "customer UInt32, at DateTime, day Date, channel String, programme Int64, message_class String,"
    " state String",
    "clicks": "customer UInt32, at DateTime, day Date, channel String, programme Int64, message_class String",
    "facts": "customer UInt32, occurred_at DateTime, kind String, source String, key String",
    "customer_profile": "customer UInt32, version UInt64, home_store String, owner String,"
    " first_order_at Nullable(DateTime), last_order_at Nullable(DateTime), orders UInt32, gmv Int64, refunded Int64,"
    " visits UInt32, last_visit_at Nullable(DateTime), favourite_store String, favourite_category String, alive UInt8",
}


class Clustered(Population):
    """The people, whose history both the engine and the cluster hold; what they answer must be the same."""

    servers: Sequence[Server] = ()
    compared = 0

    def query(self, query: Query) -> BitMap:
        ours = super().query(query)
        if cluster.portable(query):
            text = cluster.inlined(query)
            shards = [server.numbers(f"select distinct customer from ({text})") for server in self.servers]
            assert shards[0].isdisjoint(shards[1])
            assert set(ours) == shards[0] | shards[1], text
            self.compared += 1
        return ours


@pytest.fixture(scope="module")
def clustered(history: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clustered]:
    people = [invent(random.Random(20260303 + number), number) for number in range(1, 301)]
    with cluster.pair(tmp_path_factory.mktemp("cluster")) as servers, pytest.MonkeyPatch.context() as patch:
        insert = population.clickhouse.insert

        def to_both(table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], token: str) -> None:
            insert(table, columns, rows, token)
            share(servers, table, columns, rows)

        patch.setattr(population.clickhouse, "insert", to_both)
        store_history(people)
        found = Clustered(people)
        found.servers = servers
        yield found


def share(servers: Sequence[Server], table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Make the table, and put each customer's rows on her server."""
    known = [one.split()[0] for one in TABLES[table].split(", ")]
    places = [columns.index(name) for name in known]
    kind = "ReplacingMergeTree(version) order by customer"
    if table != "customer_profile":
        when = "occurred_at" if table == "facts" else "day"
        kind = f"MergeTree() partition by toYear({when}) order by {when}"
    for shard, server in enumerate(servers):
        server.ask(f"create table {table} ({TABLES[table]}) engine = {kind}")
        hers = [row for row in rows if row[0] % population.clickhouse.BUCKETS % len(servers) == shard]
        lines = ["\t".join(_text(row[place]) for place in places) + "\n" for row in hers]
        server.ask(f"insert into {table} format TabSeparated\n", "".join(lines).encode())
        server.ask(f"create table {table}_of_both as {table} engine = Distributed(pair, default, {table}, customer)")


def _text(value: Any) -> str:
    if value is None:
        return "\\N"
    return f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else str(value)


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(rule=trees)
def test_rules_on_a_cluster_answer_as_on_the_engine(clustered: Clustered, rule: dict[str, Any]) -> None:
    node = parse({"version": 1, "rule": rule}, CATALOGUE)
    expected = {one.number for one in clustered.people if one.alive and fits(rule, one)}
    for sizes in (True, False):
        assert set(evaluate(node, CATALOGUE, MOMENT, clustered, sizes=sizes).members) == expected


def test_most_conditions_were_tried_and_its_own_coordinator_agrees(clustered: Clustered) -> None:
    twice = {"type": "behaviour", "event": "bought", "op": "at_least", "value": 2, "category": "tea"}
    often = {"type": "metric", "metric": "orders", "op": ">", "value": 2}
    node = parse({"version": 1, "rule": {"all": [twice, often]}}, CATALOGUE)
    asked: list[Query] = []
    before, clustered.compared = clustered.compared, 0
    query = clustered.query
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(clustered, "query", lambda one: (asked.append(one), query(one))[1])
        evaluate(node, CATALOGUE, MOMENT, clustered)
    assert before > 40
    assert clustered.compared == 2
    for one in asked:
        text = cluster.inlined(one).replace("from order_lines", "from order_lines_of_both")
        text = text.replace("from customer_profile final", "from customer_profile_of_both final")
        assert clustered.servers[0].numbers(f"select distinct customer from ({text})") == set(clustered.known[one])
        assert len(clustered.known[one]) > 5
