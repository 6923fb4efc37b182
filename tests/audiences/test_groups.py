"""Group chats in rules: stays as they are written, as a set, for one person, and in words."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from django.utils import translation
from pyroaring import BitMap

from hetang.audiences import catalogues, queries
from hetang.audiences.matching import matches
from hetang.audiences.moments import Moment
from hetang.audiences.people import GroupStay, Person
from hetang.audiences.plans import Live, plan
from hetang.audiences.reading import parse
from hetang.audiences.rules import Catalogue, InGroups
from hetang.audiences.sentences import describe
from hetang.communities.models import GroupChat, GroupMember
from hetang.communities.queries import customers_in
from hetang.communities.timeline import group_stays
from hetang.customers import queries as customers
from hetang.customers.models import Customer, Identity
from hetang.platform import organisation
from hetang.resources.models import Store

NOW = datetime(2026, 3, 1, 4, tzinfo=UTC)
MOMENT = Moment(date(2026, 3, 1), "Asia/Shanghai")
# person -> her accounts; group -> its store; (group, account) -> days ago that she joined, and whether she is still in
ACCOUNTS = {1: ["wm1", "wm1b"], 2: ["wm2"], 3: ["wm3"]}
STAYS = {
    ("bread", "wm1"): (0, True),
    ("bread", "wm1b"): (40, True),
    ("milk", "wm2"): (6, True),
    ("bread", "wm2"): (7, True),
    ("milk", "wm3"): (3, False),
    ("bread", "nobody"): (1, True),
}


@pytest.fixture
def groups(db: None) -> dict[str, GroupChat]:
    catalogues.forget()
    root = organisation.root()
    store = Store.objects.create(code="s1", name="First", org_node=root)
    made = {
        name: GroupChat.objects.create(chat_id=name, name=name, org_node=root, store=of, told_at=NOW)
        for name, of in (("bread", store), ("milk", None))
    }
    for number, accounts in ACCOUNTS.items():
        customer = Customer.objects.create(number=number, created_at=NOW)
        for key in accounts:
            Identity.objects.create(
                kind="external_userid", key=key, customer=customer, evidence_number=number, first_seen_at=NOW
            )
    for (group, member), (days, inside) in STAYS.items():
        at = NOW - timedelta(days=days)
        left = None if inside else NOW
        GroupMember.objects.create(
            group=made[group], member=member, joined_at=at, joined_on=at.date(), left_at=left, left_on=left
        )
    GroupMember.objects.create(group=made["milk"], member="anna", is_staff=True, joined_at=NOW, joined_on=NOW.date())
    return made


@pytest.mark.parametrize(
    ("condition", "inside", "chinese", "english"),
    [
        ({}, {1, 2}, "在任一客户群里", "is in any group chat"),
        (
            {"number": 2},
            {2},  # two accounts in one group are one group
            "在至少 2 个客户群里",
            "is in at least 2 group chats",
        ),
        ({"groups": ["milk"]}, {2}, "在客户群“milk”里", "is in the group chat “milk”"),
        (
            {"groups": ["bread", "milk"], "days": 7},
            {1, 2},
            "最近 7 天内（含今天）加入了客户群“bread”、“milk”之一，并且还在群里",
            "joined one of the group chats “bread”, “milk” within the last 7 days (today included) and is still there",
        ),
        (
            {"stores": ["s1"], "days": 7},
            {1},
            "最近 7 天内（含今天）加入了门店“First”的任一客户群，并且还在群里",
            "joined any group chat of “First” within the last 7 days (today included) and is still there",
        ),
        (
            {"groups": ["bread", "milk"], "number": 2},
            {2},
            "在客户群“bread”、“milk”中的至少 2 个里",
            "is in at least 2 of the group chats “bread”, “milk”",
        ),
        ({"stores": ["s1"], "groups": ["milk"]}, set(), "在门店“First”的客户群“milk”里", None),
    ],
)
def test_as_a_set_for_one_and_in_words(
    groups: dict[str, GroupChat], condition: dict[str, Any], inside: set[int], chinese: str, english: str | None
) -> None:
    named = [str(groups[name].public_id) for name in condition.get("groups", [])]
    document = {"version": 1, "rule": {"type": "group_chat", **condition, "groups": named}}
    known = catalogues.catalogue(document, fresh=True)
    node = parse(document, known)
    assert isinstance(node, InGroups)
    live = plan(node, known, MOMENT)
    assert isinstance(live, Live)
    assert customers_in(*live.keys) == BitMap(inside)  # type: ignore[arg-type]
    people = {number: person(number) for number in ACCOUNTS}
    assert {number for number, one in people.items() if matches(node, one, known, MOMENT)} == inside
    assert describe(node, known, "zh-hans") == chinese
    assert english is None or describe(node, known, "en") == english


def person(number: int) -> Person:
    """As the page that explains sees her, without the history."""
    return Person(number, groups=queries.stays_of(number))


def test_a_person_s_stays_carry_what_rules_ask(groups: dict[str, GroupChat]) -> None:
    bread, milk = str(groups["bread"].public_id), str(groups["milk"].public_id)
    assert set(queries.stays_of(2)) == {
        GroupStay(bread, "bread", "s1", date(2026, 2, 22)),
        GroupStay(milk, "milk", "", date(2026, 2, 23)),
    }
    assert queries.stays_of(3) == ()


def test_only_named_groups_are_known(groups: dict[str, GroupChat]) -> None:
    milk = str(groups["milk"].public_id)
    known = catalogues.catalogue({"groups": [milk, "no id"]}, fresh=True)
    assert {key: one.name for key, one in known.groups.items()} == {milk: "milk"}
    assert catalogues.catalogue().groups == Catalogue().groups


def test_stays_stand_in_the_timeline(groups: dict[str, GroupChat]) -> None:
    """Of all accounts of a person, newest first, page by page; a stay that was erased is gone from it."""
    GroupMember.objects.filter(group=groups["milk"], member="wm3").update(quit_scene=1, join_scene=3)
    GroupMember.objects.filter(member="wm1b").update(left_at=NOW, left_on=NOW.date())
    groups["bread"].dissolved_at = NOW
    groups["bread"].save()
    with translation.override("en"):
        removed = customers.timeline(3, sources=group_stays)
        first = customers.timeline(1, limit=2, sources=group_stays)
        rest = customers.timeline(1, first.before, limit=2, sources=group_stays)
    assert [entry.text for entry in removed.entries] == [
        "Was removed from the group chat “milk”",
        "Joined the group chat “milk” by a code",
    ]
    joined, dissolved = "Joined the group chat “bread”", "The group chat “bread” was dissolved"
    assert sorted(entry.text for entry in (*first.entries, *rest.entries)) == [joined, joined, dissolved]
    assert rest.before is None
    assert [entry.kind for entry in customers.timeline(3, kinds={"group.left"}, sources=group_stays).entries] == [
        "group.left"
    ]
    GroupMember.objects.filter(member="wm3").delete()
    assert not customers.timeline(3, sources=group_stays).entries
