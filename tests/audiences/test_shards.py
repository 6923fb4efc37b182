"""The history on several servers: rules answer as on one, every row lies where it belongs, whatever happens to it."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, example, given, settings
from pyroaring import BitMap

from hetang.audiences.matching import matches
from hetang.audiences.reading import parse
from hetang.audiences.sets import evaluate
from hetang.commerce import history, history_schema, verification
from hetang.customers.models import Customer
from hetang.facts.intake import Draft, record
from hetang.facts.models import Fact, SubscriptionCursor
from hetang.facts.subscriptions import run_until_idle
from hetang.insights import queries as boards
from hetang.insights.periods import Comparison, Period
from hetang.platform import clickhouse as store
from hetang.platform import environment
from hetang.platform.models import OrgNode
from hetang.resources.models import Store
from tests.audiences.population import CATALOGUE, MOMENT, Population, fits, invent, person, store_history
from tests.audiences.test_evaluators import trees
from tests.processes import EngineProcess

pytestmark = pytest.mark.engine

SERVERS = 3
NOW = datetime(2026, 3, 1, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def servers(engine: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """The engine of all tests and two more, each with a directory of its own: their addresses with the password."""
    more = []
    for number in range(1, SERVERS):
        home = tmp_path_factory.mktemp(f"shard{number}")
        shutil.copy(environment.home() / "secrets.json", home)
        more.append(EngineProcess(home, database=str(connection.settings_dict["NAME"])))
        more[-1].launch()
    for process in more:
        process.wait()
    password = environment.secrets_of_home().engine
    addresses = [engine, *(process.address for process in more)]
    yield [address.replace("http://", f"http://default:{password}@") for address in addresses]
    for process in more:
        process.kill()


@pytest.fixture
def shards(servers: list[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    use(monkeypatch, servers)
    history.ensure_schema()
    yield servers
    use(monkeypatch, servers)
    for table in history_schema.ALL:
        store.command(f"truncate table {table}")


def use(patch: pytest.MonkeyPatch, servers: list[str]) -> None:
    patch.setenv("HETANG_CLICKHOUSE_URL", ",".join(servers))
    store.forget()


def strangers() -> int:
    """Rows of customers that lie on a server that is not theirs."""
    found = 0
    for shard in range(store.shards()):
        for table in history_schema.ALL_OF_PEOPLE:
            where = f"customer > 0 and customer % {store.BUCKETS} % {store.shards()} <> {shard}"
            found += int(store.client(shard).command(f"select count() from {table} where {where}"))
    return found


def test_rules_on_three_servers_answer_as_the_plain_reading(shards: list[str]) -> None:
    rng = random.Random(20260302)
    people = [invent(rng, number) for number in range(1, 301)]
    store_history(people)
    assert strangers() == 0
    assert min(int(store.client(shard).command("select count() from orders")) for shard in range(SERVERS)) > 20
    population = Population(people)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rule=trees)
    @example(rule={"type": "percentile", "side": "top", "percent": 33.3, "by": "spent", "days": 365})
    @example(rule={"type": "rfm", "segments": ["important_keep", "general_develop"], "days": 365})
    def agree(rule: dict[str, Any]) -> None:
        node = parse({"version": 1, "rule": rule}, CATALOGUE)
        expected = {one.number for one in people if one.alive and fits(rule, one)}
        assert set(evaluate(node, CATALOGUE, MOMENT, population, None).members) == expected

    agree()
    twice = {"type": "behaviour", "event": "bought", "op": "at_least", "value": 2}
    node = parse({"version": 1, "rule": twice}, CATALOGUE)
    found = evaluate(node, CATALOGUE, MOMENT, population, None).members
    assert found == BitMap(one.number for one in people if one.alive and matches(node, person(one), CATALOGUE, MOMENT))


@pytest.mark.django_db(transaction=True)
def test_what_streams_in_lies_where_it_belongs_and_adds_up(
    clickhouse: str, shards: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = OrgNode.objects.create(kind="brand", code="brand", name="Brand", path="1.")
    node = OrgNode.objects.create(kind="store", code="s1", name="S1", path="1.2.", parent=root)
    Store.objects.create(code="s1", name="S1", org_node=node)
    rng = random.Random(5)
    drafts = [order(rng, n, f"m{rng.randrange(40)}") for n in range(150)] + [refund(rng, n) for n in range(0, 150, 9)]
    tell(
        drafts + [Draft("visit.recorded", f"v{n}", NOW, [("member", f"m{n}")], {"channel": "store"}) for n in range(40)]
    )
    merges = [[("member", f"m{rng.randrange(40)}"), ("member", f"m{rng.randrange(40)}")] for _ in range(15)]
    tell([Draft("customer.identified", f"i{n}", NOW, both, {}) for n, both in enumerate(merges)])
    assert Customer.objects.exclude(merged_into=None).count() > 5
    check()
    apart = {"left": 1, "by": "lin"}
    drafts = [Draft("customer.kept_apart", f"k{n}", NOW, both, apart) for n, both in enumerate(merges[:6])]
    tell(drafts + [order(rng, n, f"m{rng.randrange(40)}") for n in range(150, 200)])
    assert Fact.objects.filter(kind="customer.unmerged").exists()
    check()
    on_three = board()
    before = sums()
    numbers = list(Customer.objects.filter(merged_into=None).order_by("number").values_list("number", flat=True)[:3])
    assert history.count_of_people(numbers) > 0
    history.forget_people(numbers)
    assert history.count_of_people(numbers) == 0
    assert sums() == before  # sales stay, as nobody's
    use(monkeypatch, [shards[1], shards[0]])  # fewer, in another order: built anew by itself
    while not history.ready() or SubscriptionCursor.objects.get(name="history").fact_id == 0:
        run_until_idle()
    check()
    boards.forget()
    assert board() == on_three


def tell(drafts: list[Draft]) -> None:
    assert record("till", drafts).rejected == []
    run_until_idle()


def order(rng: random.Random, n: int, member: str) -> Draft:
    net = rng.randrange(100, 5000)
    body = {"store": "s1", "channel": "store", "net": net, "lines": [{"sku": "p1", "quantity": "1", "amount": net}]}
    who = [("member", member)] if rng.random() < 0.9 else []
    return Draft("order.placed", f"o{n}", NOW - timedelta(days=rng.randrange(40)), who, body)


def refund(rng: random.Random, n: int) -> Draft:
    return Draft("order.refunded", f"r{n}", NOW, [], {"order": f"o{n}", "amount": rng.randrange(1, 100)})


def check() -> None:
    assert list(verification.differences()) == []
    assert strangers() == 0


def sums() -> list[int]:
    return [sum(int(one) for (one,) in store.rows(f"select {what} from orders")) for what in ("count()", "sum(net)")]


def board() -> Any:
    last = NOW.date()
    before = Period(last - timedelta(days=39), last - timedelta(days=20))
    return boards.board(Comparison(before, Period(last - timedelta(days=19), last)))
