"""People are what the set of facts says, evidence and decisions alike, whatever the order and the repetitions."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hetang.customers.models import Customer, EvidencePolicy, Identity, Merge, NumberCounter
from hetang.facts import intake
from hetang.facts.intake import Draft
from tests.customers import reference
from tests.customers.drive import draft, fold_after, last_id, partition, undone

pytestmark = pytest.mark.django_db

PHONES = [("phone", "13812340001"), ("phone", "13812340002"), ("phone", "13800000000")]
IDENTITIES = [*(("member", name) for name in "abcde"), *PHONES, ("email", "x@brand.cn"), ("unionid", "u")]
someone = st.sampled_from(IDENTITIES)
days = st.integers(0, 5)


def some(least: int, most: int) -> st.SearchStrategy[list[tuple[str, str]]]:
    return st.lists(someone, min_size=least, max_size=most, unique=True)


@st.composite
def words(draw: st.DrawFn) -> Draft:
    kind = draw(st.sampled_from(["evidence"] * 5 + ["alone", "joined", "apart", "apart", "lifted", "judged"]))
    decision = f"decision-{draw(st.sampled_from('wxyz'))}"
    if kind == "evidence":
        return draft("customer.identified", "", draw(some(2, 3)), draw(days))
    if kind == "alone":
        return draft("visit.recorded", "", [draw(someone)], draw(days))
    if kind == "joined":
        return draft("customer.joined", decision, draw(some(2, 2)), draw(days), by="lin")
    if kind == "apart":
        who = draw(some(2, 6))
        return draft(
            "customer.kept_apart", decision, who, draw(days), left=draw(st.integers(1, len(who) - 1)), by="lin"
        )
    if kind == "lifted":
        named = f"pos\x1f{decision}"
        return draft("customer.decision_lifted", "", [draw(someone)], draw(days), decision=named, by="lin")
    verdict = draw(st.sampled_from(["shared", "own", "rule"]))
    return draft(
        "identity.judged",
        "",
        [draw(st.sampled_from([*PHONES, ("member", "a")]))],
        draw(days),
        verdict=verdict,
        by="lin",
    )


@st.composite
def arrivals(draw: st.DrawFn) -> list[list[Draft]]:
    drawn = draw(st.lists(words(), min_size=3, max_size=24))
    chosen: dict[str, Draft] = {}
    for index, one in enumerate(drawn):
        key = one.key or f"fact-{index}"
        chosen.setdefault(key, Draft(one.kind, key, one.occurred_at, one.who, one.body))
    facts = list(chosen.values())
    order = draw(st.permutations([*facts, *draw(st.lists(st.sampled_from(facts), max_size=3))]))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=8)))
    return [order[start:end] for start, end in zip([0, *cuts], [*cuts, len(order)], strict=True) if start < end]


def take(batches: Sequence[Sequence[Draft]]) -> None:
    for batch in batches:
        before = last_id()
        assert not intake.record("pos", batch).rejected
        fold_after(before)
        check_books()


def check_books() -> None:
    """Numbers are dense, customers are those who have identities, aliases name them, and each has its merge."""
    counter = NumberCounter.objects.first()
    assert Customer.objects.count() == (counter.next_number - 1 if counter else 0)
    living = set(Customer.objects.filter(merged_into=None).values_list("number", flat=True))
    assert living == set(Identity.objects.values_list("customer", flat=True))
    aliases = dict(Customer.objects.exclude(merged_into=None).values_list("number", "merged_into"))
    assert set(aliases.values()) <= living
    merges = dict(Merge.objects.filter(undone_at=None).values_list("absorbed", "survivor"))
    assert merges.keys() == aliases.keys()
    for absorbed, survivor in merges.items():
        assert aliases[absorbed] == aliases.get(survivor, survivor)


def test_whoever_was_between_two_numbers_leaves_and_the_books_agree() -> None:
    """One number absorbed another, which had absorbed a third: the third stays, the second goes."""
    both, phone = [("member", "a"), ("member", "b")], ("phone", "13800000000")
    mail = ("email", "x@brand.cn")
    EvidencePolicy.objects.create(contact_limit=1)
    everybody = [mail, *((("member", name)) for name in "abcd"), phone]
    take([
        [draft("visit.recorded", "f8", both[:1], 0)],
        [
            draft("customer.identified", "f7", [both[0], mail, both[1]], 0),
            draft("customer.identified", "f15", both, 0),
            draft("customer.identified", "f5", [("member", "d"), mail, phone], 0),
        ],
        [draft("identity.judged", "f6", [phone], 0, verdict="own", by="lin")],
        [draft("customer.identified", "f3", [both[0], ("member", "d")], 0)],
        [draft("customer.kept_apart", "apart", everybody, 0, left=5, by="lin")],
    ])  # fmt: skip


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(arrivals(), st.integers(1, 2))
def test_people_are_what_all_facts_together_say(db: None, batches: list[list[Draft]], limit: int) -> None:
    with undone():
        EvidencePolicy.objects.create(contact_limit=limit)
        take(batches)
        facts = {one.key: one for batch in batches for one in batch}
        assert partition() == reference.hashed(reference.people(list(facts.values()), limit))
