"""Where customers first came from: facts and stays as a set, for one person, and from the builder."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from pyroaring import BitMap

from hetang.audiences import queries, verification
from hetang.audiences.catalogues import catalogue
from hetang.audiences.first_source_sets import answer, first_friendships, joining_codes
from hetang.audiences.matching import explain
from hetang.audiences.moments import Moment
from hetang.audiences.queries import coming_by
from hetang.audiences.reading import parse
from hetang.audiences.services import take_snapshot
from hetang.campaigns import codes
from hetang.campaigns.models import Campaign
from hetang.commerce import history
from hetang.communities.models import GroupChat, GroupMember
from hetang.console.audiences.verdicts import shown_value
from hetang.facts.intake import Draft, record
from hetang.facts.subscriptions import run_until_idle
from hetang.platform import clock
from hetang.platform.models import OrgNode
from hetang.resources.models import Staff, Store
from tests.audiences.three_people import EVERYTHING, HEADQUARTERS, NOW, number, save

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.engine]


def tell(kind: str, member: str, days: float, source: str = "till", **body: Any) -> Draft:
    """A fact of so many days ago."""
    who = [("member", member), ("external_userid", f"wm-{member}")]
    return Draft(kind, f"{kind}-{member}-{days}", NOW - timedelta(days=days), who, body)


def order(member: str, days: float, store: str, channel: str, **more: Any) -> Draft:
    line = {"sku": "p1", "category": "tea", "quantity": "1", "amount": 100}
    return tell("order.placed", member, days, store=store, channel=channel, lines=[line], net=100, **more)


@pytest.fixture
def came(three_people: None) -> Iterator[GroupChat]:
    """ann by the code of a till, whose friendship is lost since; bea with an order; cat by a group; dan not at all."""
    root = OrgNode.objects.get(code="brand")
    for n in (1, 2):
        node = OrgNode.objects.create(kind="store", code=f"s{n}", name=f"S{n}", path=f"{root.path}{n}000.", parent=root)
        store = Store.objects.create(code=f"s{n}", name=f"S{n}", org_node=node)
        Staff.objects.create(userid=f"u{n}", name=f"U{n}", store=store, org_node=node)
    friend = {"state": "active", "add_way": 1}
    facts = [
        tell("relation.changed", "ann", 40, staff="u1", channel_state="till", **friend),
        tell("relation.changed", "ann", 30, staff="u2", channel_state="web", **friend),
        tell("relation.changed", "ann", 5, staff="u1", state="lost_by_customer"),
        order("ann", 10, "s2", "store", staff="u2"),
        order("bea", 20, "s1", "online", staff="u2"),
        order("bea", 15, "s2", "store", staff="u1"),
        tell("relation.changed", "bea", 10, staff="u1", channel_state="till", **friend),
        tell("relation.changed", "cat", 1, staff="u2", channel_state="web", **friend),
        tell("customer.described", "dan", 1, attributes={}),
    ]
    assert record("till", facts).rejected == []
    run_until_idle()
    group = GroupChat.objects.create(
        chat_id="g", name="Bread", org_node=root, store=Store.objects.get(code="s2"), told_at=NOW
    )
    for member, days, left in (("wm-cat", 3, NOW), ("wm-bea", 12, None)):
        at = NOW - timedelta(days=days)
        GroupMember.objects.create(
            group=group, member=member, joined_at=at, joined_on=at.date(), channel_state="door", left_at=left
        )
    yield group


def test_a_campaign_is_the_source_of_those_who_came_by_its_codes(came: GroupChat) -> None:
    people = {member: number(member) for member in ("ann", "bea", "cat", "dan")}
    root = OrgNode.objects.get(code="brand")
    of = {"org_node": root, "created_at": NOW, "starts_on": clock.today(), "ends_on": clock.today()}
    spring, empty = (Campaign.objects.create(name=name, **of) for name in ("Spring", "Empty"))
    by = {"type": "first_source", "campaigns": [str(spring.public_id)]}
    audience = save("Of spring", {"version": 1, "rule": by})

    def those(members: str) -> BitMap:
        return BitMap(people[member] for member in members.split())

    def found(rule: dict[str, Any]) -> BitMap:
        """Whoever is in, by sets and by a look at each."""
        document = {"version": 1, "rule": rule}
        inside = queries.evaluate(document, EVERYTHING)
        assert inside == BitMap(one for one in people.values() if queries.explain(document, one).holds)
        return inside

    def say(state: str, name: str, campaign: Campaign | None) -> None:
        codes.describe(HEADQUARTERS, state, name, campaign)

    assert (take_snapshot(audience.pk).count, found(by)) == (0, BitMap())
    assert coming_by(str(spring.public_id)) == ["Of spring"]
    say("till", "The till", spring)
    assert (take_snapshot(audience.pk).count, found(by)) == (1, those("ann"))  # bea came by it too, but ordered before
    say("door", "", spring)
    assert (take_snapshot(audience.pk).count, found(by)) == (2, those("ann cat"))
    assert found(by | {"days": 25}) == found(by | {"stores": ["s2"]}) == those("cat")
    assert found(by | {"by": "friendship", "channel_states": ["till", "web"]}) == those("ann")
    assert found(by | {"by": "friendship", "channel_states": ["web"]}) == BitMap()
    assert found(by | {"by": "group_chat"}) == those("cat")
    assert found(by | {"campaigns": [str(empty.public_id)]}) == BitMap()
    added = {"type": "friendship", "campaigns": by["campaigns"]}
    assert found(added | {"state": "any"}) == those("ann bea")  # bea too, although that was not the first of her
    assert found(added) == those("bea")
    assert found(added | {"state": "any", "channel_states": ["web"]}) == BitMap()
    assert found(added | {"campaigns": [str(empty.public_id)]}) == BitMap()
    told = queries.explain(audience.rule, people["ann"])
    assert shown_value(told.node, told.found, catalogue(audience.rule), set()).split(" · ")[2:5] == [
        *("The till", "till", "Spring"),
    ]
    say("till", "The till", empty)
    assert (take_snapshot(audience.pk).count, found(by)) == (1, those("cat"))
    say("door", "", None)
    assert (take_snapshot(audience.pk).count, found(by)) == (0, BitMap())
    assert verification.verify(rest_s=0).equal


def test_the_first_that_is_known_counts(came: GroupChat) -> None:
    people = {member: number(member) for member in ("ann", "bea", "cat", "dan")}
    group = str(came.public_id)
    moment = Moment(clock.today(), clock.zone().key)
    for rule, expected in (
        ({}, "ann bea cat"),
        ({"days": 25}, "bea cat"),
        ({"stores": ["s1"]}, "ann bea"),
        ({"by": "friendship"}, "ann"),
        ({"by": "friendship", "channel_states": ["till"], "ways": ["qr_code"], "staff": ["u1"]}, "ann"),
        ({"by": "friendship", "channel_states": ["web"]}, ""),
        ({"by": "friendship", "stores": ["s1"], "days": 30}, ""),
        ({"by": "group_chat", "channel_states": ["door"], "groups": [group], "stores": ["s2"]}, "cat"),
        ({"by": "group_chat", "days": 3}, ""),
        ({"by": "order"}, "bea"),
        ({"by": "order", "channels": ["online"], "sources": ["till"], "stores": ["s1"], "days": 21}, "bea"),
        ({"by": "order", "stores": ["s2"]}, ""),
        ({"by": "order", "staff": ["u2"], "channels": ["online"], "days": 21}, "bea"),
        ({"by": "order", "staff": ["u2", "u1"], "days": 19}, ""),
        ({"by": "order", "staff": ["u1"]}, ""),  # she sold bea's second one, and u2 ann's, who had come before
    ):
        document = {"version": 1, "rule": {"type": "first_source", **rule}}
        inside = BitMap(people[member] for member in expected.split())
        assert queries.evaluate(document, EVERYTHING) == inside, rule
        known = catalogue(document)
        node = parse(document, known)
        for one in people.values():
            assert explain(node, queries.person(one), known, moment).holds == (one in inside), (rule, one)
    befriended, ann = first_friendships(), BitMap([people["ann"]])
    assert befriended == {(1, "till"): ann}
    for wanted, expected in (
        ((), ann),
        ((("ways", (1, 2)),), ann),
        ((("ways", (2,)),), BitMap()),
        ((("channel_states", ("till", "x")),), ann),
        ((("channel_states", ("web",)),), BitMap()),
        ((("ways", (1,)), ("channel_states", ("till",))), ann),
        ((("ways", (2,)), ("channel_states", ("till",))), BitMap()),
    ):
        keys = ("friendship", None, *wanted)
        assert answer(keys, befriended) == answer(keys) == expected, wanted
    assert answer(("friendship", NOW, ("ways", (1,))), befriended) == BitMap()  # asks for more than way and state
    assert joining_codes(["OO"], 5) == ["door"]
    assert history.order_words("channel") == ["online", "store"]
