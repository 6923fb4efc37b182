"""The queue of those who might be one person: what puts a pair into it, and what a decision makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest

from hetang.customers import reviewing, suspicions
from hetang.customers.errors import KeptApart
from hetang.customers.grounds import GROUNDS
from hetang.customers.models import Customer, Decision, EvidencePolicy, Identity, Proposal
from hetang.customers.rules import name_to_match
from hetang.facts.intake import Draft
from hetang.platform import clock
from hetang.resources import services as resources
from hetang.resources.rules import StoreRow
from tests.customers.drive import apply, at, customer_of, draft, fold_after, last_id, number_of, partition

pytestmark = pytest.mark.django_db

ANNA, BEA, CIL, DORA, EVE = (("member", name) for name in ("900", "901", "902", "903", "904"))
PHONE = ("phone", "13812345678")


def described(key: str, who: tuple[str, str], name: str, **attributes: str) -> Draft:
    return Draft("customer.described", key, at(1), [who], {"attributes": attributes, "home_store": "330"}, name=name)


def look() -> tuple[int, int]:
    """What the job does."""
    assert suspicions.key_names() is not None
    return suspicions.keep(suspicions.suspected(suspicions.active_grounds()))


def queue() -> list[tuple[int, int, list[str], int]]:
    found = Proposal.objects.filter(state=Proposal.OPEN, later_until=None).order_by("-weight", "-id")
    return list(found.values_list("one", "other", "grounds", "weight"))


@pytest.fixture
def two(db: None) -> list[int]:
    """Anna and Bea have one name, birthday and address; Cil has only the name."""
    resources.upsert_stores([StoreRow("330", "North Gate")])
    apply(
        described("d1", ANNA, "王小梅", birthday="1990-02-03", address="南京西路 100 号 3 栋"),
        described("d2", BEA, " 王 小梅", birthday="1990-02-03T00:00:00Z", address="南京西路100号3栋"),
        described("d3", CIL, "王小梅", birthday="1990-02-04", address="南京路"),
        described("d4", DORA, "王女士", birthday="1990-02-03"),
    )
    return [number_of(*ANNA), number_of(*BEA)]


def test_equal_names_with_equal_birthdays_or_addresses_are_suspected(two: list[int]) -> None:
    assert look() == (1, 0)
    assert queue() == [(*two, ["name_address", "name_birthday"], 8)]
    assert look() == (0, 0)
    apply(draft("customer.described", "d5", [BEA], 3, attributes={"birthday": "1991-01-01", "address": None}))
    assert look() == (0, 1)
    assert queue() == []


def test_a_contact_that_too_many_share_joins_nobody_and_makes_somebody_look(db: None) -> None:
    EvidencePolicy.objects.create(contact_limit=1)
    apply(*(draft("customer.identified", f"i{who[1]}", [who, PHONE]) for who in (ANNA, BEA)))
    assert look() == (1, 0)
    assert queue() == [(number_of(*ANNA), number_of(*BEA), ["contact"], 3)]
    apply(*(draft("customer.identified", f"j{n}", [("member", str(n)), PHONE]) for n in range(5)))
    assert look() == (0, 1)  # a till's
    apply(draft("identity.judged", "s", [PHONE], 1, verdict="shared", by="lin"))
    assert queue() == []


def test_the_brand_chooses_the_grounds(two: list[int]) -> None:
    EvidencePolicy.objects.create(grounds=["name_store"])
    assert look() == (3, 0)  # Anna, Bea and Cil; Dora's is no name
    assert {tuple(row[2]) for row in queue()} == {("name_store",)}
    EvidencePolicy.objects.update(grounds=[])
    assert look() == (0, 3)
    assert [one.code for one in GROUNDS.values() if not one.usual] == ["name_store"]


@pytest.mark.parametrize(
    ("name", "key"),
    [("王 小-梅", "王小梅"), ("ＢＯ Smith", "bosmith"), ("王女士", ""), ("Mr. W", ""), ("13812345678", ""), ("王", "")],
)
def test_names_that_say_too_little_are_left_out(name: str, key: str) -> None:
    assert name_to_match(name) == key


def test_the_same_person_and_back_again(two: list[int]) -> None:
    look()
    pair = Proposal.objects.get()
    assert _decided(pair, Decision.SAME)
    assert not reviewing.decide(pair, Decision.APART, "wu", "too late")
    assert number_of(*ANNA) == number_of(*BEA) == two[0]
    assert look() == (0, 0)
    assert _taken_back(pair)
    assert [number_of(*ANNA), number_of(*BEA)] == two
    assert queue() == [(*two, ["name_address", "name_birthday"], 8)]
    assert _decided(pair, Decision.SAME)  # a decision of its own, not the one that was taken back
    assert number_of(*ANNA) == number_of(*BEA)


def test_not_the_same_person_and_back_again(two: list[int]) -> None:
    look()
    pair = Proposal.objects.get()
    assert _decided(pair, Decision.APART)
    assert look() == (0, 0)
    assert queue() == []
    apply(draft("customer.identified", "i1", [ANNA, BEA], 5))
    assert [number_of(*ANNA), number_of(*BEA)] == two  # whatever joins them later
    with pytest.raises(KeptApart):
        reviewing.propose(customer_of(*ANNA), customer_of(*BEA), "wu", "I know them")
    assert _taken_back(pair)
    assert number_of(*ANNA) == number_of(*BEA)
    assert look() == (0, 1)  # they are one now


def test_taking_back_before_the_stream_has_followed_leaves_nothing(two: list[int]) -> None:
    look()
    pair = Proposal.objects.get()
    before, people = last_id(), partition()
    reviewing.decide(pair, Decision.SAME, "lin", "")
    assert reviewing.take_back(pair, "lin")
    assert not reviewing.take_back(pair, "lin")
    fold_after(before)
    assert partition() == people
    assert len(queue()) == 1


def test_a_pair_that_is_put_off_comes_back(two: list[int]) -> None:
    look()
    pair = Proposal.objects.get()
    assert reviewing.put_off(pair)
    assert look() == (0, 0)
    pair.refresh_from_db()
    assert queue() == [] and pair.later_until is not None and pair.later_until > clock.now() + timedelta(days=29)
    assert reviewing.take_back(pair, "lin")
    assert len(queue()) == 1


def test_a_colleagues_proposal_stays_whatever_the_grounds_say(two: list[int]) -> None:
    people: Sequence[Customer] = [customer_of(*CIL), customer_of(*ANNA)]
    made, new = reviewing.propose(*people, "wu", "she told me")
    assert new and not reviewing.propose(*people, "lin", "me too")[1]
    with pytest.raises(ValueError, match="herself"):
        reviewing.propose(people[0], people[0], "wu", "")
    EvidencePolicy.objects.create(grounds=["name_store"])
    look()
    assert {(row[0], row[1], tuple(row[2])) for row in queue()} >= {
        (two[0], number_of(*CIL), ("colleague", "name_store")),
    }
    EvidencePolicy.objects.update(grounds=[])
    look()
    assert [row[:2] for row in queue()] == [(two[0], number_of(*CIL))]
    assert _decided(made, Decision.SAME)
    assert number_of(*ANNA) == number_of(*CIL)


def test_whom_somebody_erased_nobody_can_decide_about(two: list[int]) -> None:
    from hetang.customers.errors import NoIdentity

    look()
    Identity.objects.filter(customer=two[1]).delete()
    with pytest.raises(NoIdentity):
        reviewing.decide(Proposal.objects.get(), Decision.SAME, "lin", "")
    assert Proposal.objects.get().state == Proposal.OPEN


def _decided(pair: Proposal, verdict: str) -> bool:
    before = last_id()
    done = reviewing.decide(pair, verdict, "lin", "")
    fold_after(before)
    return done


def _taken_back(pair: Proposal) -> bool:
    before = last_id()
    done = reviewing.take_back(pair, "lin")
    fold_after(before)
    return done
