"""The live sets follow what the customers stream applied, and equal the tables after anything."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pyroaring import BitMap

from hetang.audiences import following
from hetang.audiences.catalogues import catalogue
from hetang.audiences.engine import SetService
from hetang.audiences.live import LiveSets
from hetang.audiences.matching import matches
from hetang.audiences.moments import Moment
from hetang.audiences.people import Person
from hetang.audiences.reading import parse
from hetang.customers import friendships, tag_words
from hetang.customers.models import Customer, Tag, TagGroup
from hetang.customers.subscriptions import customers
from hetang.facts.intake import Draft, record
from hetang.facts.subscriptions import advance
from hetang.platform import clock
from hetang.platform.models import OrgNode
from hetang.resources.models import Staff, Store

NOW = datetime(2026, 3, 1, 4, tzinfo=UTC)
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def brand() -> Iterator[None]:
    clock.freeze(NOW)
    root = OrgNode.objects.create(kind="brand", code="brand", name="Brand", path="1.")
    for n in (1, 2):
        node = OrgNode.objects.create(kind="store", code=f"s{n}", name=f"S{n}", path=f"1.{n}.", parent=root)
        store = Store.objects.create(code=f"s{n}", name=f"S{n}", org_node=node)
        Staff.objects.create(userid=f"u{n}", name=f"U{n}", store=store, org_node=node)
    group = TagGroup.objects.create(name="value")
    for code in ("gold", "silver"):
        Tag.objects.create(code=code, name=code, group=group)
    one_of = TagGroup.objects.create(name="skin", exclusive=True)
    for code in ("dry", "oily"):
        Tag.objects.create(code=code, name=code, group=one_of)
    yield
    clock.freeze(None)


def tell(
    kind: str, member: str, body: dict[str, Any], key: str, more: tuple[tuple[str, str], ...] = (), at: int = 0
) -> None:
    draft = Draft(kind, key, NOW - timedelta(days=1) + timedelta(minutes=at), [("member", member), *more], body)
    assert record("test", [draft]).rejected == []


def apply() -> None:
    while advance(customers):
        pass


def everything(sets: LiveSets) -> dict[Any, set[int]]:
    found = {(family, key): set(m) for family, known in sets.families.items() for key, m in known.items()}
    return {place: members for place, members in found.items() if members}


def number_of(member: str) -> int:
    return Customer.objects.get(identities__kind="member", identities__key=member).number


def test_each_family_follows_its_facts() -> None:
    sets = following.build(clock.now())
    tell("tag.changed", "ann", {"tag": "gold", "on": True}, "1")
    tell("consent.changed", "ann", {"purpose": "marketing", "channel": "wecom", "given": True, "basis": "consent",
                                    "text_version": "1"}, "2")  # fmt: skip
    tell("do_not_disturb.changed", "ann", {"on": True, "until": None}, "3")
    tell("relation.changed", "ann", {"staff": "u1", "state": "active", "since": NOW.isoformat()}, "4",
         (("external_userid", "wm1"),))  # fmt: skip
    tell("customer.described", "ann", {"attributes": {}, "home_store": "s2"}, "5")
    tell("household.member_described", "ann", {"member": "1", "kind": "child", "born_on": "2024-02-29"}, "h")
    apply()
    sets = following.follow(sets, clock.now())
    ann = number_of("ann")
    tag, store, staff = (
        Tag.objects.get(code="gold").id,
        Store.objects.get(code="s2").id,
        Staff.objects.get(userid="u1").id,
    )
    assert everything(sets) == {
        ("alive", True): {ann},
        ("tag", tag): {ann},
        ("consent", ("marketing", "wecom")): {ann},
        ("left_alone", True): {ann},
        ("home_store", store): {ann},
        ("friends", staff): {ann},
        ("household", ("child", "2024-02-29")): {ann},
    }
    for kind, spans, found in (
        ("child", [("2024-02-28", "2024-02-29")], {ann}),
        ("any", [("2024-02-20", "2024-02-28"), ("2024-02-28", "2024-03-01")], {ann}),
        ("child", [("2024-02-29", "2024-03-01")], set()),
        ("pet", [("2024-02-28", "2024-02-29")], set()),
    ):
        assert set(sets.household(kind, spans)) == found
    tell("tag.changed", "ann", {"tag": "gold", "on": False}, "6", at=1)
    tell("relation.changed", "ann", {"staff": "u1", "state": "lost_by_customer", "since": NOW.isoformat()}, "7",
         (("external_userid", "wm1"),), at=1)  # fmt: skip
    apply()
    sets = following.follow(sets, clock.now())
    assert set(sets.union("tag", (tag,))) == set()
    assert set(sets.friends(1, ())) == set()
    assert everything(sets) == everything(following.build(clock.now()))


def test_what_ends_by_itself_ends_on_time() -> None:
    ends = NOW + timedelta(hours=1)
    tell("tag.changed", "ann", {"tag": "gold", "on": True, "expires_at": ends.isoformat()}, "1")
    tell("do_not_disturb.changed", "ann", {"on": True, "until": ends.isoformat()}, "2")
    apply()
    sets = following.build(NOW)
    tag = Tag.objects.get(code="gold").id
    assert (len(sets.union("tag", (tag,))), len(sets.union("left_alone", (True,)))) == (1, 1)
    sets = following.follow(sets, ends - timedelta(seconds=1))
    assert len(sets.union("tag", (tag,))) == 1
    sets = following.follow(sets, ends)
    assert (len(sets.union("tag", (tag,))), len(sets.union("left_alone", (True,)))) == (0, 0)


def test_a_merge_moves_the_memberships_and_leaves_nothing_behind() -> None:
    tell("tag.changed", "ann", {"tag": "gold", "on": True}, "1")
    tell("tag.changed", "bea", {"tag": "silver", "on": True}, "2")
    apply()
    sets = following.build(NOW)
    tell("customer.identified", "ann", {}, "3", (("member", "bea"),))
    apply()
    sets = following.follow(sets, NOW)
    survivor = number_of("ann")
    assert everything(sets) == everything(following.build(NOW))
    assert set(sets.universe) == {survivor}
    assert {place: members for place, members in everything(sets).items() if place[0] == "tag"} == {
        ("tag", Tag.objects.get(code="gold").id): {survivor},
        ("tag", Tag.objects.get(code="silver").id): {survivor},
    }


@pytest.mark.parametrize("seed", range(4))
def test_following_ends_where_building_does(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    sets = following.build(NOW)
    for n in range(120):
        who = f"m{rng.randrange(12)}"
        match rng.randrange(10):
            case 0 | 1:
                body = {"tag": rng.choice(["gold", "silver", "dry", "oily"]), "on": rng.random() < 0.6}
                if body["on"] and rng.random() < 0.2:
                    body["expires_at"] = (NOW + timedelta(minutes=rng.choice([-5, 50, 500]))).isoformat()
                tell("tag.changed", who, body, str(n), at=rng.randrange(600))
            case 2:
                body = {"attributes": {}, "home_store": rng.choice(["s1", "s2"])}
                tell("customer.described", who, body, str(n), at=rng.randrange(600))
            case 3:
                tell("customer.identified", who, {}, str(n), (("card", f"c{rng.randrange(20)}"),))
            case 4:
                until = NOW + timedelta(minutes=rng.choice([-5, 5, 500]))
                tell(
                    "do_not_disturb.changed",
                    who,
                    {"on": True, "until": until.isoformat()},
                    str(n),
                    at=rng.randrange(600),
                )
            case 5:
                body = {
                    "staff": rng.choice(["u1", "u2"]),
                    "state": rng.choice(["active", "half"]),
                    "since": NOW.isoformat(),
                }
                tell("relation.changed", who, body, str(n), (("external_userid", f"wm-{who}"),), at=rng.randrange(600))
            case 6:
                body = {"left": 1, "by": "lin"}
                other = f"m{(int(who[1:]) + 1 + rng.randrange(11)) % 12}"
                tell("customer.kept_apart", who, body, str(n), (("member", other),))
            case 7:
                body = {"decision": f"test\x1f{rng.randrange(n + 1)}", "by": "lin"}
                tell("customer.decision_lifted", who, body, str(n))
            case 8:
                body = {"member": rng.choice("123"), "kind": rng.choice(["child", "pet"])}
                body |= {rng.choice(["born_on", "due_on"]): rng.choice(["2024-02-29", "2026-03-01"])}
                tell("household.member_described", who, body, str(n), at=rng.randrange(600))
            case 9:
                tell("household.member_removed", who, {"member": rng.choice("123")}, str(n), at=rng.randrange(600))
        if rng.random() < 0.2:
            apply()
            sets = following.follow(sets, NOW + timedelta(minutes=n))
        if rng.random() < 0.05:  # a restart from the snapshot file
            sets.save(tmp_path / "live.bin")
            loaded = LiveSets.load(tmp_path / "live.bin")
            assert loaded == LiveSets(sets.position, sets.families, sorted(sets.ends, key=str)) or loaded is not None
            sets = loaded
    apply()
    sets = following.follow(sets, NOW + timedelta(minutes=200))
    assert everything(sets) == everything(following.build(NOW + timedelta(minutes=200)))
    assert all(members <= sets.universe for known in sets.families.values() for members in known.values())


def test_a_damaged_snapshot_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "live.bin"
    assert LiveSets.load(path) is None
    following.build(NOW).save(path)
    assert LiveSets.load(path) is not None
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert LiveSets.load(path) is None


def test_scope_counts_home_store_and_active_friends(tmp_path: Path) -> None:
    tell("customer.described", "ann", {"attributes": {}, "home_store": "s1"}, "1")
    tell("customer.described", "bea", {"attributes": {}, "home_store": "s2"}, "2")
    tell("relation.changed", "cat", {"staff": "u1", "state": "active", "since": NOW.isoformat()}, "3",
         (("external_userid", "wm1"),))  # fmt: skip
    tell("relation.changed", "dee", {"staff": "u1", "state": "half", "since": NOW.isoformat()}, "4",
         (("external_userid", "wm2"),))  # fmt: skip
    apply()
    service = SetService(tmp_path)
    everybody = {"rule": {"version": 1, "rule": {"all": []}}, "members": True, "sample": 10}
    assert service.handle("evaluate", {**everybody, "scope": None})["count"] == 4
    seen = service.handle("evaluate", {**everybody, "scope": ["1.1."]})
    assert seen["sample"] == sorted([number_of("ann"), number_of("cat")])
    assert service.handle("evaluate", {**everybody, "scope": []})["count"] == 0


def test_sets_of_another_database_are_built_again(tmp_path: Path) -> None:
    tell("tag.changed", "ann", {"tag": "gold", "on": True}, "1")
    apply()
    stale = LiveSets()
    stale.families["alive"][True] = BitMap([77])
    sets = following.follow(stale, NOW)
    assert set(sets.universe) == {number_of("ann")}


def test_friendships_are_asked_for_by_how_and_when_they_began_or_were_lost(tmp_path: Path) -> None:
    def friend(member: str, key: str, staff: str, state: str, days: int, way: int, code: str, at: int = 0) -> None:
        since = (NOW - timedelta(days=days)).isoformat()
        body = {"staff": staff, "state": state, "since": since, "add_way": way, "channel_state": code}
        tell("relation.changed", member, body, key, (("external_userid", f"wm-{member}"),), at)

    friend("ann", "1", "u1", "active", 40, 1, "till")
    friend("ann", "2", "u2", "active", 3, 16, "web")
    friend("bea", "3", "u1", "lost_by_customer", 400, 1, "till", at=1)  # lost yesterday
    friend("cat", "4", "u1", "half", 2, 1, "till")
    apply()
    service = SetService(tmp_path)
    people = {member: number_of(member) for member in ("ann", "bea", "cat")}
    moment = Moment(clock.today(), clock.zone().key)
    known = catalogue(fresh=True)
    for rule, expected in (
        ({}, ["ann"]),
        ({"state": "lost"}, ["bea"]),
        ({"state": "any", "ways": ["qr_code"]}, ["ann", "bea"]),
        ({"ways": ["qr_code"], "days": 30}, []),
        ({"ways": ["acquisition_link"], "days": 4, "channel_states": ["web"], "staff": ["u2"]}, ["ann"]),
        ({"state": "lost", "days": 2}, ["bea"]),
        ({"state": "lost", "days": 1}, []),
        ({"channel_states": ["till"], "staff": ["u2"]}, []),
    ):
        document = {"version": 1, "rule": {"type": "friendship", **rule}}
        found = service.handle("evaluate", {"rule": document, "scope": None, "sample": 10})["sample"]
        assert found == sorted(people[member] for member in expected), rule
        node = parse(document, known)
        for member, number in people.items():
            person = Person(number, friendships=friendships.of_customer(number))
            assert matches(node, person, known, moment) == (member in expected), (rule, member)
    assert friendships.channel_states(["i"], 5) == ["till"]


def test_tags_are_asked_for_by_when_and_by_whom_they_were_put_on(tmp_path: Path) -> None:
    def put(source: str, member: str, tag: str, key: str, days: int, **more: Any) -> None:
        at = NOW - timedelta(days=days)
        draft = Draft("tag.changed", key, at, [("member", member)], {"tag": tag, "on": True, **more})
        assert record(source, [draft]).rejected == []

    put("console", "ann", "gold", "1", 2)
    put("crm", "bea", "gold", "2", 40)
    put("wecom", "bea", "silver", "3", 1)
    put("console", "cat", "gold", "4", 1, expires_at=(NOW - timedelta(hours=1)).isoformat())  # over
    put("crm", "dan", "gold", "5", 9)
    put("console", "dan", "gold", "6", 3)  # the newest word counts
    apply()
    service = SetService(tmp_path)
    people = {member: number_of(member) for member in ("ann", "bea", "cat", "dan")}
    moment, known = Moment(clock.today(), clock.zone().key), catalogue(fresh=True)
    for rule, expected in (
        ({"days": 7}, ["ann", "dan"]),
        ({"days": 3}, ["ann"]),
        ({"sources": ["crm"]}, ["bea"]),
        ({"sources": ["console", "crm"], "days": 41}, ["ann", "bea", "dan"]),
        ({"op": "all", "tags": ["gold", "silver"], "sources": ["crm", "wecom"]}, ["bea"]),
        ({"op": "none", "days": 7}, ["bea", "cat"]),
    ):
        document = {"version": 1, "rule": {"type": "tag", "tags": ["gold"], **rule}}
        found = service.handle("evaluate", {"rule": document, "scope": None, "sample": 10})["sample"]
        assert found == sorted(people[member] for member in expected), rule
        node = parse(document, known)
        for member, number in people.items():
            words = tag_words.of_customer(number)
            person = Person(number, tags=frozenset(one.tag for one in words), tag_words=words)
            assert matches(node, person, known, moment) == (member in expected), (rule, member)
    assert tag_words.sources(["c"], 5) == ["console", "crm", "wecom"]
