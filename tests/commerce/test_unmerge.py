"""People who were merged and told apart again are as if they had never been merged, whatever came in which order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from django.db import connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hetang.audiences import following
from hetang.audiences.live import LiveSets
from hetang.customers import deciding, division, queries
from hetang.customers.errors import AlreadyApart
from hetang.customers.models import Customer, Identity, Merge
from hetang.facts import intake
from hetang.facts.intake import Draft
from hetang.facts.models import SubscriptionCursor
from hetang.facts.rules import subject_of
from hetang.platform import clock
from tests.commerce.known import living_people, make_resources, sums_of, words_of
from tests.customers.drive import at, draft, fold_after, last_id, order, undone

pytestmark = pytest.mark.django_db

Who = tuple[str, str]
LEFT: list[Who] = [("member", "a"), ("phone", "13812340001"), ("external_userid", "w1")]
RIGHT: list[Who] = [("member", "b"), ("phone", "13812340002"), ("external_userid", "w2")]
LATE: list[Who] = [("card", "c1"), ("card", "c2")]  # of the left and the right: nobody has it before the merge
DECISIONS = frozenset({"customer.kept_apart", "customer.decision_lifted"})
days = st.integers(0, 3)  # few, so that ties are frequent

BODIES: list[tuple[str, dict[str, Any]]] = [
    ("visit.recorded", {"store": "330"}),
    ("customer.described", {"attributes": {"size": 1}, "home_store": "330"}),
    ("customer.described", {"attributes": {"size": None, "town": "Wuxi"}, "home_store": "331", "owner": "wu"}),
    ("tag.changed", {"tag": "gold", "on": True}),
    ("tag.changed", {"tag": "silver", "on": True, "expires_at": "2027-01-01T00:00:00Z"}),
    ("tag.changed", {"tag": "silver", "on": False}),
    ("consent.changed", {"purpose": "marketing", "channel": "wecom", "given": True, "basis": "consent"}),
    ("consent.changed", {"purpose": "marketing", "channel": "wecom", "given": False}),
    ("consent.changed", {"purpose": "marketing", "channel": "wecom", "given": True, "text_version": "v1"}),
    ("consent.basis_stated", {"basis": "consent", "text_version": "v1", "by": "lin"}),
    ("consent.basis_stated", {"basis": "contract", "by": "wu"}),
    ("do_not_disturb.changed", {"on": True}),
    ("do_not_disturb.changed", {"on": False}),
    ("relation.changed", {"staff": "li", "state": "active"}),
    ("relation.changed", {"staff": "wu", "state": "lost_by_customer"}),
    ("order.placed", {"store": "330"}),
    ("order.placed", {"store": "331"}),
    ("order.refunded", {}),
]


@st.composite
def facts_of_one_side(draw: st.DrawFn, phase: str, most: int) -> list[Draft]:
    """Facts of which each names people of one side only. Refunds name any order, also of the other side."""
    found = []
    for index in range(draw(st.integers(1, most))):
        side = draw(st.sampled_from([0, 1]))
        identities = [LEFT, RIGHT][side] + ([LATE[side]] if phase == "later" else [])
        who = draw(st.lists(st.sampled_from(identities), min_size=1, max_size=2, unique=True))
        kind, body = draw(st.sampled_from(BODIES))
        if kind == "relation.changed":
            who = list(dict.fromkeys([*who, identities[2]]))
        if kind == "consent.basis_stated":
            body = {"purpose": "marketing", "channel": "wecom", "given_at": at(draw(days)), **body}
        if kind == "order.refunded":
            body = {"order": f"before-{draw(st.integers(0, most - 1))}", "amount": draw(st.integers(1, 9))}
            who = draw(st.sampled_from([[], who]))
        if kind == "order.placed":
            placed = order("", who, draw(st.integers(1, 99)), 0, draw(st.sampled_from(["A", "B"])), **body)
            body = placed.body  # type: ignore[assignment]
        name = draw(st.sampled_from([None, "Anna", "Bea"])) if kind == "customer.described" else None
        found.append(Draft(kind, f"{phase}-{index}", at(draw(days)), who, body, name=name))
    return found


@st.composite
def stories(draw: st.DrawFn) -> tuple[list[Draft], list[Draft], list[Draft]]:
    """What was known before, the evidence that joins both sides, and what comes later."""
    known = [draft("visit.recorded", f"known-{index}", [one], 0) for index, one in enumerate(LEFT + RIGHT)]
    within = [draft("customer.identified", f"side-{side[0][1]}", side, 0) for side in (LEFT, RIGHT)]
    evidence = []
    for index in range(draw(st.integers(1, 2))):
        who = draw(st.permutations([draw(st.sampled_from(LEFT)), draw(st.sampled_from(RIGHT))]))
        evidence.append(order(f"evidence-{index}", who, draw(st.integers(1, 99)), draw(days), "A", store="330"))
    before = [*known, *within, *draw(facts_of_one_side("before", 8))]
    return before, evidence, draw(facts_of_one_side("later", 6))


def never_merged(evidence: Sequence[Draft]) -> list[Draft]:
    """The same facts, had they named only those whom they are about."""
    subjects = [[subject] if (subject := subject_of(list(one.who))) else [] for one in evidence]
    return [
        Draft(one.kind, one.key, one.occurred_at, who, one.body) for one, who in zip(evidence, subjects, strict=True)
    ]


@st.composite
def arrivals(draw: st.DrawFn, facts: list[Draft]) -> list[list[Draft]]:
    """Any order, with repetitions, in any batches."""
    everything = draw(st.permutations([*facts, *draw(st.lists(st.sampled_from(facts), max_size=4))]))
    cuts = sorted(draw(st.lists(st.integers(0, len(everything)), max_size=5)))
    return [everything[a:b] for a, b in zip([0, *cuts], [*cuts, len(everything)], strict=True) if a < b]


def take(batches: Sequence[Sequence[Draft]]) -> None:
    for batch in batches:
        before = last_id()
        assert not intake.record("pos", batch).rejected
        fold_after(before)


def everything_known() -> dict[str, object]:
    people = living_people()
    return {
        "people": set(people.values()),
        "sums": sums_of(people),
        **words_of(people),
        "history": {(one, event) for number, one in people.items() for event in queries.tag_history(number)},
        "timeline": {
            one: [(entry.occurred_at, entry.key) for entry in sorted(_entries(number), key=lambda entry: entry.key)]
            for number, one in people.items()
        },
        "sets": {
            (family, str(key), frozenset(people[number] for number in members))
            for family, known in following.build(clock.now()).families.items()
            for key, members in known.items()
            if members
        },
    }


def _entries(number: int) -> list[queries.Entry]:
    found = queries.timeline(number, limit=200).entries
    return [entry for entry in found if entry.kind not in DECISIONS]


def in_live_sets(sets: LiveSets) -> dict[Any, set[int]]:
    found = {(family, key): set(m) for family, known in sets.families.items() for key, m in known.items()}
    return {place: members for place, members in found.items() if members}


def stream_has_come_here() -> None:
    """The customers stream's cursor, as it would stand after these folds."""
    with connection.cursor() as cursor:
        cursor.execute("select epoch, tx::text::bigint, id from facts_fact order by id desc limit 1")
        epoch, tx, fact = cursor.fetchone()
    SubscriptionCursor.objects.update_or_create(name="customers", defaults={"epoch": epoch, "tx": tx, "fact_id": fact})


@pytest.fixture
def _resources() -> None:
    make_resources()


SETTINGS = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@settings(SETTINGS, max_examples=20)
@given(st.data())
def test_in_any_order_it_is_as_if_they_had_never_been_merged(_resources: None, data: st.DataObject) -> None:
    before, evidence, later = data.draw(stories())
    apart = draft("customer.kept_apart", "apart", [*LEFT, *RIGHT], 9, left=len(LEFT), by="lin")
    with undone():
        take([[*before, *never_merged(evidence), *later]])
        expected = everything_known()
    with undone():
        take(data.draw(arrivals([*before, *evidence, *later, apart])))
        assert everything_known() == expected


@settings(SETTINGS, max_examples=12)
@given(stories())
def test_unmerging_gives_both_their_numbers_back_and_taking_it_back_merges_them_again(
    _resources: None, story: tuple[list[Draft], list[Draft], list[Draft]]
) -> None:
    before, evidence, later = story
    with undone():
        take([before, never_merged(evidence), later])
        expected = everything_known()
    with undone():
        take([before])
        numbers = _numbers()
        take([evidence])
        stream_has_come_here()
        sets = following.build(clock.now())
        take([later])
        merge = Merge.objects.latest("id")
        assert len(living_people()[merge.survivor]) >= len(LEFT + RIGHT)
        merged = everything_known()
        foreseen = {one: _shown(people) for one, people in division.foresee(*deciding.sides_of(merge))}
        _decide(lambda: deciding.unmerge(merge, "lin", "mother and daughter"))
        _decide(lambda: deciding.unmerge(merge, "lin", "a second click"))
        assert everything_known() == expected
        assert {key: _numbers()[key] for key in numbers} == numbers
        assert {one: living_people()[one] for one in foreseen} == foreseen
        stream_has_come_here()
        assert in_live_sets(following.follow(sets, clock.now())) == in_live_sets(following.build(clock.now()))
        decision = deciding.decision_of(deciding.unmerge_key(merge))
        assert decision is not None and decision.reason == "mother and daughter"
        _decide(lambda: deciding.lift(decision.key, deciding.concerned(decision), "lin"))
        assert everything_known() == merged
        merge.refresh_from_db()
        with pytest.raises(AlreadyApart):
            deciding.unmerge(merge, "lin", "stale page")


def _numbers() -> dict[tuple[str, str], object]:
    """The number and public id of each identity's person, and since when she is known."""
    rows = Identity.objects.values_list("kind", "key", "customer", "customer__public_id", "customer__created_at")
    return {(kind, key): rest for kind, key, *rest in rows}


def _shown(ids: set[int]) -> frozenset[tuple[str, str]]:
    return frozenset(Identity.objects.filter(pk__in=ids).values_list("kind", "key"))


def _decide(verb: Any) -> None:
    before = last_id()
    verb()
    fold_after(before)
    assert not Customer.objects.exclude(merged_into__merged_into=None).exists()
