"""From facts to a preview, a snapshot, its entered and left facts, and why somebody is in: through the real engine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from pyroaring import BitMap

from hetang.audiences import catalogues, queries, refreshing, services
from hetang.audiences.errors import AudienceInUse, NameTaken, OutsideScope, StaleVersion, message
from hetang.audiences.models import Audience, AudienceSnapshot, AudienceVersion
from hetang.audiences.reading import parse
from hetang.audiences.rules import InvalidRule
from hetang.audiences.sentences import describe
from hetang.commerce import history as commerce_history
from hetang.customers.models import Customer, Tag, TagGroup
from hetang.facts.intake import Draft, record
from hetang.facts.models import Fact
from hetang.facts.subscriptions import run_until_idle
from hetang.platform import access, brand, engine_client, roles
from hetang.platform.access import Actor, Held, Scope
from hetang.platform.engine_client import ServiceError
from hetang.platform.models import AuditEntry, OrgNode
from hetang.resources.models import Product, Staff, Store

NOW = datetime.now(UTC).replace(microsecond=0)  # the engine is a process of its own: it cannot be frozen
EVERYTHING = Scope((), everything=True)
HEADQUARTERS = access.system("test")

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]


@pytest.fixture(autouse=True)
def shop(clickhouse: str) -> Iterator[None]:
    commerce_history.ensure_schema()
    brand.forget()
    catalogues.forget()
    root = OrgNode.objects.create(kind="brand", code="brand", name="Brand", path="x")
    root.path = f"{root.id}."
    root.save()
    for n in (1, 2):
        node = OrgNode.objects.create(kind="store", code=f"s{n}", name=f"Store {n}", path=f"draft{n}", parent=root)
        node.path = f"{root.id}.{node.id}."
        node.save()
        store = Store.objects.create(code=f"s{n}", name=f"Store {n}", org_node=node)
        Staff.objects.create(userid=f"u{n}", name=f"Adviser {n}", store=store, org_node=node)
    group = TagGroup.objects.create(name="Value")
    Tag.objects.create(code="gold", name="Gold", group=group)
    Product.objects.create(sku="p1", name="Green tea", category="tea")
    facts = []
    for n, (member, store, orders) in enumerate(
        [("ann", "s1", 3), ("bea", "s1", 1), ("cat", "s2", 2), ("dee", "s2", 0)]
    ):
        who = [("member", member)]
        described = {"attributes": {}, "home_store": store}
        facts.append(Draft("customer.described", f"d{n}", NOW - timedelta(days=90), who, described))
        for k in range(orders):
            lines = [{"sku": "p1", "category": "tea", "quantity": "1", "amount": 1250}]
            body = {"store": store, "channel": "store", "lines": lines, "net": 1250}
            facts.append(Draft("order.placed", f"o{n}-{k}", NOW - timedelta(days=1 + 10 * k), who, body))
    assert record("till", facts).rejected == []
    run_until_idle()
    engine_client.call("sets", "holds", {"numbers": []})  # previews may be a quarter of a second old: not across tests
    yield


def rule(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"version": 1, "rule": {"all": list(parts)}}


TEA_TWICE = {"type": "behaviour", "event": "bought", "op": "at_least", "value": 2, "days": 30, "category": "tea"}


def number(member: str) -> int:
    return Customer.objects.get(identities__kind="member", identities__key=member).number


def manager(path: str) -> Actor:
    return Actor("manager", None, (Held(roles.STORE_MANAGER, path, whole_brand=False),))


def test_preview_counts_everybody_or_the_scope_with_the_size_of_each_part() -> None:
    tagless = {"type": "tag", "op": "none", "tags": ["gold"]}
    found = queries.preview(rule(TEA_TWICE, tagless), EVERYTHING)
    assert (found.count, found.of, found.sample) == (2, 4, sorted([number("ann"), number("cat")]))
    assert found.sizes == {("rule",): 2, ("rule", "all", 0): 2, ("rule", "all", 1): 4}
    assert found.removes == {("rule", "all", 0): 2, ("rule", "all", 1): 0}
    path = OrgNode.objects.get(code="s2").path
    inside = queries.preview(rule(TEA_TWICE), manager(path).scope("audiences:view"))
    assert (inside.count, inside.of, inside.sample) == (1, 2, [number("cat")])


def test_a_fact_is_in_the_next_answer() -> None:
    gold = rule({"type": "tag", "op": "any", "tags": ["gold"]})
    assert queries.preview(gold, EVERYTHING).count == 0
    record("crm", [Draft("tag.changed", "t1", NOW, [("member", "ann")], {"tag": "gold", "on": True})])
    run_until_idle()
    assert queries.preview(gold, EVERYTHING).sample in ([], [number("ann")])
    import time

    time.sleep(0.3)  # the sets are at most 250 ms old
    assert queries.preview(gold, EVERYTHING).sample == [number("ann")]


def test_snapshots_write_who_came_and_went_once() -> None:
    root = OrgNode.objects.get(code="brand")
    saved = services.save(HEADQUARTERS, name="Tea twice", rule=rule(TEA_TWICE), org_node=root)
    first = services.take_snapshot(saved.id)
    assert (first.sequence, first.count, first.entered, first.left) == (1, 2, 2, 0)
    assert services.take_snapshot(saved.id).id == first.id
    body = {"store": "s1", "channel": "store", "net": 5,
            "lines": [{"sku": "p1", "category": "tea", "quantity": "1", "amount": 5}]}  # fmt: skip
    record("till", [Draft("order.placed", "late", NOW - timedelta(days=2), [("member", "bea")], body)])
    run_until_idle()
    second = services.take_snapshot(saved.id)
    assert (second.sequence, second.count, second.entered, second.left) == (2, 3, 1, 0)
    assert queries.members(saved.id) == BitMap([number("ann"), number("bea"), number("cat")])
    told = Fact.objects.filter(kind__startswith="audience.").order_by("id").values_list("kind", "body", "members")
    assert [(kind, body, set(BitMap.deserialize(bytes(members)))) for kind, body, members in told] == [
        ("audience.entered", {"audience": saved.id}, {number("ann"), number("cat")}),
        ("audience.entered", {"audience": saved.id}, {number("bea")}),
    ]
    saved.refresh_from_db()
    assert (saved.count, saved.problem) == (3, "")


def test_an_audience_of_a_store_counts_its_own_people() -> None:
    node = OrgNode.objects.get(code="s1")
    saved = services.save(HEADQUARTERS, name="Ours", rule={"version": 1, "rule": {"all": []}}, org_node=node)
    services.take_snapshot(saved.id)
    assert set(queries.members(saved.id)) == {number("ann"), number("bea")}


def test_the_audiences_of_one_person_are_those_whose_rule_and_place_she_fits() -> None:
    node = OrgNode.objects.get(code="s1")
    top = OrgNode.objects.get(code="brand")
    everybody = {"version": 1, "rule": {"all": []}}
    theirs = rule({"type": "store", "op": "home", "stores": ["s2"]})
    for name, document, place in (("Ours", everybody, node), ("All", everybody, top), ("Theirs", theirs, top)):
        services.save(HEADQUARTERS, name=name, rule=document, org_node=place)
    assert [one.name for one in queries.audiences_of(number("ann"), EVERYTHING)] == ["All", "Ours"]
    assert [one.name for one in queries.audiences_of(number("cat"), EVERYTHING)] == ["All", "Theirs"]


def test_why_she_is_in_names_what_each_condition_found() -> None:
    verdict = queries.explain(rule(TEA_TWICE, {"type": "store", "op": "home", "stores": ["s2"]}), number("ann"))
    assert verdict.holds is False
    assert [(child.holds, child.found) for child in verdict.children] == [(True, 3), (False, "s1")]


def test_one_person_is_read_as_the_sets_see_her() -> None:
    body = {"staff": "u2", "state": "active", "since": NOW.isoformat()}
    who = [("member", "ann"), ("external_userid", "wm1")]
    record("crm", [Draft("tag.changed", "t1", NOW, who[:1], {"tag": "gold", "on": True}),
                   Draft("relation.changed", "r1", NOW, who, body)])  # fmt: skip
    run_until_idle()
    ann = queries.person(number("ann"))
    assert (ann.tags, ann.friends, ann.home_store, ann.favourite_store) == (
        frozenset({"gold"}),
        frozenset({"u2"}),
        "s1",
        "s1",
    )
    assert (ann.orders, ann.gmv, len(ann.lines), ann.favourite_category) == (3, 3750, 3, "tea")
    with pytest.raises(LookupError):
        queries.person(10_000)


def test_saving_keeps_versions_and_refuses_what_must_not_be() -> None:
    root = OrgNode.objects.get(code="brand")
    first = services.save(HEADQUARTERS, name="Tea", rule=rule(TEA_TWICE), org_node=root)
    seen = Audience.objects.get(id=first.id)
    second = services.save(HEADQUARTERS, name="Tea!", rule=rule(), org_node=root, audience=seen)
    assert (second.version, list(AudienceVersion.objects.values_list("version", flat=True))) == (2, [1, 2])
    assert AuditEntry.objects.filter(action="audience.saved").count() == 2
    with pytest.raises(StaleVersion):
        services.save(HEADQUARTERS, name="Tea!", rule=rule(), org_node=root, audience=seen)
    with pytest.raises(NameTaken):
        services.save(HEADQUARTERS, name="Tea!", rule=rule(), org_node=root)
    outside = Actor("hq", None, (Held(roles.HEADQUARTERS, OrgNode.objects.get(code="s1").path, whole_brand=False),))
    with pytest.raises(OutsideScope):
        services.save(outside, name="Mine", rule=rule(), org_node=root)


def test_cycles_and_use_are_seen() -> None:
    root = OrgNode.objects.get(code="brand")
    inner = services.save(HEADQUARTERS, name="Inner", rule=rule(TEA_TWICE), org_node=root)
    member = {"type": "audience", "audience": str(inner.public_id)}
    outer = services.save(HEADQUARTERS, name="Outer", rule=rule({"not": member}), org_node=root)
    assert queries.preview(outer.rule, EVERYTHING).count == 2
    assert queries.used_by(inner) == [outer]
    with pytest.raises(InvalidRule) as refused:
        back = {"type": "audience", "audience": str(outer.public_id)}
        services.save(HEADQUARTERS, name="Inner", rule=rule(back), org_node=root, audience=inner)
    assert [problem.code for problem in refused.value.problems] == ["cycle"]
    with pytest.raises(AudienceInUse):
        services.archive(HEADQUARTERS, inner)
    services.archive(HEADQUARTERS, outer)
    services.archive(HEADQUARTERS, inner)
    assert list(queries.visible(EVERYTHING)) == []


def test_an_audience_being_archived_is_not_taken_into_a_rule() -> None:
    """Two connections: whoever comes second sees what the first one did, and nothing is left half done."""
    root = OrgNode.objects.get(code="brand")
    inner = services.save(HEADQUARTERS, name="Inner", rule=rule(TEA_TWICE), org_node=root)
    member = {"type": "audience", "audience": str(inner.public_id)}
    problems: list[str] = []
    saved = threading.Event()

    def archive() -> None:
        try:
            services.archive(HEADQUARTERS, inner)
        except AudienceInUse as used:
            problems.extend(used.names)
        finally:
            connection.close()

    thread = threading.Thread(target=archive)
    with transaction.atomic():
        services.save(HEADQUARTERS, name="Outer", rule=rule(member), org_node=root)
        thread.start()
        saved.wait(0.3)  # long enough for the other to arrive at the row that this one holds
        assert thread.is_alive()
    thread.join(10)
    assert problems == ["Outer"]
    assert Audience.objects.filter(archived_at=None).count() == 2

    services.archive(HEADQUARTERS, Audience.objects.get(name="Outer"))
    services.archive(HEADQUARTERS, inner)
    with pytest.raises(InvalidRule):
        services.hold(rule(member))


def test_an_archived_audience_comes_back_unless_its_name_is_taken() -> None:
    root = OrgNode.objects.get(code="brand")
    first = services.save(HEADQUARTERS, name="Tea", rule=rule(TEA_TWICE), org_node=root, live=True)
    services.archive(HEADQUARTERS, first)
    second = services.save(HEADQUARTERS, name="Tea", rule=rule(), org_node=root)
    with pytest.raises(NameTaken):
        services.restore(HEADQUARTERS, first)
    services.archive(HEADQUARTERS, second)
    services.restore(HEADQUARTERS, first)
    assert list(queries.visible(EVERYTHING)) == [first]
    assert list(queries.archived(EVERYTHING)) == [second]
    with pytest.raises(StaleVersion):
        services.restore(HEADQUARTERS, first)
    actions = AuditEntry.objects.order_by("id").values_list("action", flat=True)
    assert list(actions)[-2:] == ["audience.archived", "audience.restored"]


def test_random_buckets_are_a_part_of_everybody() -> None:
    def bucket(first: int, last: int) -> dict[str, Any]:
        return {"type": "bucket", "from": first, "to": last, "draw": "spring"}

    parts = [queries.evaluate(rule(bucket(n, n + 9)), EVERYTHING) for n in range(1, 100, 10)]
    assert sum(len(part) for part in parts) == 4
    assert BitMap.union(*parts) == queries.evaluate(rule(), EVERYTHING)
    known = catalogues.catalogue(fresh=True)
    named = parse(rule(bucket(1, 10)), known)
    assert describe(named, known, "zh-hans") == "随机分桶第 1–10 桶（共 100 桶）（抽签“spring”）"
    assert describe(named, known, "en") == "random buckets 1 to 10 of 100 of the draw “spring”"


def test_the_engine_says_what_is_wrong() -> None:
    with pytest.raises(ServiceError) as refused:
        queries.preview(rule({"type": "tag", "op": "any", "tags": ["nothing"]}), EVERYTHING)
    assert refused.value.code == "invalid_rule", refused.value.detail


def test_live_audiences_are_refreshed_once_a_minute() -> None:
    root = OrgNode.objects.get(code="brand")
    live = services.save(HEADQUARTERS, name="Live", rule=rule(TEA_TWICE), org_node=root, live=True)
    services.save(HEADQUARTERS, name="Still", rule=rule(TEA_TWICE), org_node=root)
    assert refreshing.refresh_due() == 0.0
    assert refreshing.refresh_due() > 0
    assert list(AudienceSnapshot.objects.values_list("audience_id", "count")) == [(live.id, 2)]


def test_every_kind_of_condition_has_a_sentence_in_both_languages() -> None:
    known = catalogues.catalogue({"sku": "p1"}, fresh=True)
    node = parse(rule(TEA_TWICE, {"not": {"type": "tag", "op": "any", "tags": ["gold"]}}), known)
    assert describe(node, known, "zh-hans") == "最近 30 天购买品类“tea”至少 2 次，且排除（有标签“Value·Gold”）"
    assert describe(node, known, "en") == (
        "bought category “tea” at least 2 times in the last 30 days, and not (has the tag “Value·Gold”)"
    )
    assert describe(parse(rule(), known), known, "zh-hans") == "全部客户"
    with pytest.raises(InvalidRule) as refused:
        parse(rule({"type": "metric", "metric": "gmv", "op": "between", "value": [5, 1]}), known)
    assert [message(problem) for problem in refused.value.problems]
