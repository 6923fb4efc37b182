"""Any order, duplication and batching of the same facts ends in the same people and the same sums."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hetang.commerce.services import recompute_metrics
from hetang.customers.models import Customer, EvidencePolicy, Identity, Merge, NumberCounter
from hetang.facts import intake
from hetang.facts.intake import Draft
from tests.commerce.known import living_people, make_resources, sums_of, words_of
from tests.customers import reference
from tests.customers.drive import at, draft, fold_after, last_id, order, partition, undone

pytestmark = pytest.mark.django_db

IDENTITIES = [
    *(("member", "a"), ("member", "b"), ("member", "c"), ("phone", "13812340001"), ("phone", "13812340002")),
    *(("unionid", "u"), ("external_userid", "w1"), ("external_userid", "w2")),
]
LIMIT = 1  # of what a phone may tie together, so that shared ones are frequent
someone = st.sampled_from(IDENTITIES)
some_people = st.lists(someone, min_size=1, max_size=2, unique=True)
whoever = st.lists(someone, max_size=2, unique=True)
days = st.integers(0, 3)  # few, so that ties are frequent
stores = st.sampled_from([None, "330", "331"])


@st.composite
def facts(draw: st.DrawFn) -> Draft:
    """Any fact of the kinds that fold; the key is given later. Orders have keys that refunds name."""
    return draw(st.one_of(_orders(), _refunds(), _others(), _decisions()))


@st.composite
def _decisions(draw: st.DrawFn) -> Draft:
    """What somebody decided about people; decisions have keys that liftings name."""
    kind = draw(st.sampled_from(["customer.joined", "customer.kept_apart", "customer.kept_apart", "lifted", "judged"]))
    key = f"decision-{draw(st.sampled_from('xyz'))}"
    if kind == "lifted":
        return draft("customer.decision_lifted", "", [draw(someone)], draw(days), decision=f"pos\x1f{key}", by="lin")
    if kind == "judged":
        contact = draw(st.sampled_from([one for one in IDENTITIES if one[0] == "phone"]))
        return draft(
            "identity.judged",
            "",
            [contact],
            draw(days),
            verdict=draw(st.sampled_from(["shared", "own", "rule"])),
            by="lin",
        )
    if kind == "customer.joined":
        return draft(kind, key, draw(st.lists(someone, min_size=2, max_size=2, unique=True)), draw(days), by="lin")
    who = draw(st.lists(someone, min_size=2, max_size=5, unique=True))
    return draft(kind, key, who, draw(days), left=draw(st.integers(1, len(who) - 1)), by="lin")


@st.composite
def _orders(draw: st.DrawFn) -> Draft:
    place = {"store": store} if (store := draw(stores)) else {}
    key, net, category = draw(st.sampled_from("xyz")), draw(st.integers(1, 99)), draw(st.sampled_from(["A", "B"]))
    return order(f"order-{key}", draw(whoever), net, draw(days), category, **place)


@st.composite
def _refunds(draw: st.DrawFn) -> Draft:
    body = {"order": f"order-{draw(st.sampled_from('xyz'))}", "amount": draw(st.integers(1, 9))}
    return draft("order.refunded", "", draw(whoever), draw(days), **body)


@st.composite
def _others(draw: st.DrawFn) -> Draft:
    kind, body = draw(
        st.sampled_from(
            [
                ("visit.recorded", {"store": "330"}),
                ("customer.described", {"attributes": {"size": 1}, "home_store": "330"}),
                ("customer.described", {"attributes": {"size": 2, "town": "Wuxi"}, "owner": "li"}),
                ("customer.described", {"attributes": {"size": None}, "home_store": "331", "owner": "wu"}),
                ("customer.identified", {}),
                ("tag.changed", {"tag": "gold", "on": True}),
                ("tag.changed", {"tag": "silver", "on": True}),
                ("tag.changed", {"tag": "silver", "on": False}),
                ("consent.changed", {"purpose": "marketing", "channel": "wecom", "given": True, "basis": "consent"}),
                ("consent.changed", {"purpose": "marketing", "channel": "wecom", "given": False}),
                ("consent.changed", {"purpose": "marketing", "channel": "wecom", "given": True}),
                ("consent.basis_stated", {"basis": "consent", "text_version": "v1", "by": "lin"}),
                ("consent.basis_stated", {"basis": "contract", "by": "wu"}),
                ("do_not_disturb.changed", {"on": True}),
                ("do_not_disturb.changed", {"on": False}),
                ("relation.changed", {"staff": "li", "state": "active", "add_way": 1}),
                ("relation.changed", {"staff": "li", "state": "active", "channel_state": "till"}),
                ("relation.changed", {"staff": "li", "state": "lost_by_customer"}),
            ]
        )
    )
    who = draw(some_people)
    if kind == "customer.identified" and len(who) < 2:
        kind, body = "visit.recorded", {}
    if kind == "consent.basis_stated":
        body = {"purpose": "marketing", "channel": "wecom", "given_at": at(draw(days)), **body}
    if kind == "relation.changed" and not any(one == "external_userid" for one, _ in who):
        who = [*who, ("external_userid", "w1")]
    name = draw(st.sampled_from([None, "Anna", "Bea"])) if kind == "customer.described" else None
    return Draft(kind, "", at(draw(days)), who, body, name=name)


def with_keys(drafts: Sequence[Draft]) -> list[Draft]:
    """Facts with keys; a second order of the same key is left out, since the log would refuse it as a duplicate."""
    kept: dict[str, Draft] = {}
    for index, one in enumerate(drafts):
        key = one.key or f"fact-{index}"
        kept.setdefault(key, Draft(one.kind, key, one.occurred_at, one.who, one.body, None, one.name))
    return list(kept.values())


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[list[Draft]], list[list[Draft]]]:
    """The same facts twice: in any order, with repetitions, cut into any batches."""
    chosen = with_keys(draw(st.lists(facts(), min_size=2, max_size=16)))
    return draw(_arrivals(chosen)), draw(_arrivals(chosen))


@st.composite
def _arrivals(draw: st.DrawFn, chosen: list[Draft]) -> list[list[Draft]]:
    repeated = draw(st.lists(st.sampled_from(chosen), max_size=3))
    arrivals = draw(st.permutations([*chosen, *repeated]))
    cuts = sorted(draw(st.lists(st.integers(0, len(arrivals)), max_size=4)))
    return [arrivals[start:end] for start, end in zip([0, *cuts], [*cuts, len(arrivals)], strict=True) if start < end]


def outcome(batches: list[list[Draft]]) -> dict[str, object]:
    """Everything that the facts end in, with people named by their identities instead of their numbers."""
    for batch in batches:
        before = last_id()
        assert not intake.record("pos", batch).rejected
        fold_after(before)
    people = living_people()
    _check_numbers()
    sums = sums_of(people)
    recompute_metrics(sorted(people))
    assert sums_of(people) == sums
    facts = {one.key: one for batch in batches for one in batch}
    assert partition() == reference.hashed(reference.people(list(facts.values()), LIMIT))
    return {"people": partition(), "sums": sums, **words_of(people)}


def _check_numbers() -> None:
    """Numbers are dense, every identity stands at a survivor, every alias names one."""
    assert Customer.objects.count() == (NumberCounter.objects.get().next_number - 1 if Customer.objects.exists() else 0)
    assert set(Customer.objects.filter(merged_into=None).values_list("number", flat=True)) == set(
        Identity.objects.values_list("customer", flat=True)
    )
    aliases = Customer.objects.exclude(merged_into=None).values_list("number", flat=True)
    assert set(Merge.objects.filter(undone_at=None).values_list("absorbed", flat=True)) == set(aliases)
    assert not Identity.objects.exclude(customer__merged_into=None).exists()
    assert not Customer.objects.exclude(merged_into__merged_into=None).exists()


@pytest.fixture
def _resources() -> None:
    make_resources()
    EvidencePolicy.objects.create(contact_limit=LIMIT)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(histories())
def test_any_order_ends_the_same(_resources: None, both: tuple[list[list[Draft]], list[list[Draft]]]) -> None:
    found = []
    for batches in both:
        with undone():
            found.append(outcome(batches))
    assert found[0] == found[1]
