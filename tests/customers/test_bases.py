"""A marketing consent counts once its legal basis is known: in the rows, both evaluators, the live sets, the split."""

from __future__ import annotations

from dataclasses import replace

import pytest
from django.db import transaction

from hetang.audiences import following, history, queries
from hetang.audiences.live import LiveSets
from hetang.customers import bases, services
from hetang.customers.bases import Lot
from hetang.customers.errors import BasisMissing, NoIdentity, NothingToState
from hetang.customers.models import Consent, ConsentBasis, Identity
from hetang.facts.errors import Refusal
from hetang.facts.models import Fact
from hetang.platform import clock
from hetang.touch import planning
from tests.customers.drive import apply, at, draft, fold_after, last_id, number_of
from tests.touch.world import request

pytestmark = pytest.mark.django_db
LOT = Lot("pos", "marketing", "wecom")
ANN, BEA, CAT, DAN = (("member", name) for name in ("ann", "bea", "cat", "dan"))


@pytest.fixture(autouse=True)
def _still(monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(history, "of_person", lambda _number: {})  # what she bought is not asked here
    clock.freeze(at(10))
    yield
    clock.freeze(None)


def consent(key: str, who: tuple[str, str], days: float = 0, **body: object) -> None:
    said = {"purpose": "marketing", "channel": "wecom", "given": True, **body}
    apply(draft("consent.changed", key, [who], days, **said))


def four() -> dict[str, int]:
    """Ann with a basis, Bea without (but with a text), Cat who withdrew, Dan without a word."""
    consent("a", ANN, basis="consent", text_version="v2")
    consent("b", BEA, text_version="v1")
    consent("c", CAT, basis="unknown", given=False)
    apply(draft("customer.described", "d", [DAN]))
    return {who[1]: number_of(*who) for who in (ANN, BEA, CAT, DAN)}


def said(basis: str = "contract", text: str = "", key: str = "k") -> bases.Statement:
    return bases.now_said(key, basis, text, "lin", "in the folder")


def state(number: int, statement: bases.Statement, purpose: str = "marketing", channel: str = "wecom") -> None:
    before = last_id()
    bases.state(number, purpose, channel, statement)
    fold_after(before)


def row(number: int) -> tuple[object, ...]:
    return Consent.objects.values_list("given", "counts", "basis", "text_version", "stated", "source").get(
        customer=number, purpose="marketing"
    )


def agreeing() -> set[int]:
    """Who has consented to marketing by WeCom; every part of the house that answers must say the same."""
    everybody = [number_of(*who) for who in (ANN, BEA, CAT, DAN)]
    in_sets = set(following.build(clock.now()).families["consent"].get(("marketing", "wecom"), ()))
    one_by_one = {number for number in everybody if ("marketing", "wecom") in queries.person(number).consents}
    assert in_sets == one_by_one == set(Consent.objects.filter(purpose="marketing", counts=True).values_list(
        "customer", flat=True
    ))  # fmt: skip
    return in_sets


def reasons() -> dict[str, set[int]]:
    """The split of a marketing plan over all four."""
    from pyroaring import BitMap

    members = BitMap([number_of(*who) for who in (ANN, BEA, CAT, DAN)]).serialize()
    plan = planning.run(planning.begin(members, replace(request(), slot_at=clock.now())))
    return {group.reason: set(BitMap.deserialize(bytes(group.members))) for group in plan.groups.all()}


def test_without_a_basis_it_is_kept_and_does_not_count_until_somebody_states_it() -> None:
    who = four()
    assert row(who["bea"]) == (True, False, "unknown", "v1", False, "pos")
    assert agreeing() == {who["ann"]}
    split = reasons()
    assert (split["no_basis"], split["no_consent"]) == ({who["bea"]}, {who["cat"], who["dan"]})
    state(who["bea"], said())
    assert row(who["bea"]) == (True, True, "contract", "v1", True, "pos")
    assert agreeing() == {who["ann"], who["bea"]}
    assert reasons().get("no_basis") is None
    state(who["bea"], said("consent", "v9", "second"))  # a statement may be corrected
    assert row(who["bea"]) == (True, True, "consent", "v9", True, "pos")


def test_the_live_sets_follow_a_statement() -> None:
    """Following reads the stream's place, which these folds do not move: so only who is read again is asked for."""
    who = four()
    sets = LiveSets()
    everybody = following.build(clock.now()).universe
    following.refresh(sets, everybody, clock.now())
    assert set(sets.union("consent", [("marketing", "wecom")])) == {who["ann"]}
    state(who["bea"], said())
    following.refresh(sets, everybody, clock.now())
    assert set(sets.union("consent", [("marketing", "wecom")])) == {who["ann"], who["bea"]}
    assert "consent.basis_stated" in following.KINDS


def test_only_what_waits_can_be_stated() -> None:
    who = four()
    for name in ("ann", "cat", "dan"):
        with pytest.raises(NothingToState):
            bases.state(who[name], "marketing", "wecom", said())
    with pytest.raises(Refusal), transaction.atomic():
        bases.state(who["bea"], "marketing", "wecom", said("unknown"))
    Identity.objects.filter(customer=who["bea"]).delete()
    with pytest.raises(NoIdentity):
        bases.state(who["bea"], "marketing", "wecom", said())


def test_a_statement_covers_no_other_word_of_hers() -> None:
    who = four()
    state(who["bea"], said())
    consent("b0", BEA, -1)  # an older word that arrives late changes nothing
    assert row(who["bea"])[:3] == (True, True, "contract")
    consent("b2", BEA, 1)  # a newer one has no basis again
    assert row(who["bea"])[:5] == (True, False, "unknown", "", False)
    consent("b3", BEA, 2, given=False)
    assert row(who["bea"])[:2] == (False, False)
    assert ConsentBasis.objects.count() == 1


def test_a_withdrawal_that_arrives_late_stands_above_a_statement() -> None:
    who = four()
    state(who["bea"], said())
    consent("w", BEA, 0.5, given=False)  # before the statement was made, after what it is about
    assert row(who["bea"])[:2] == (False, False)
    assert agreeing() == {who["ann"]}


def test_the_fact_names_whoever_the_consent_came_by_and_who_stated_it() -> None:
    apply(draft("consent.changed", "x", [("phone", "13812345678")], purpose="marketing", channel="sms", given=True))
    apply(draft("customer.identified", "same", [("phone", "13812345678"), ANN]))
    number = number_of(*ANN)
    before = last_id()
    bases.state(number, "marketing", "sms", said("consent", "v1"))
    fold_after(before)
    fact = Fact.objects.get(kind="consent.basis_stated")
    assert (fact.subject_kind, fact.source) == ("phone", "console")
    assert fact.body == {
        **{"purpose": "marketing", "channel": "sms", "given_at": "2026-03-01T12:00:00Z"},
        **{"basis": "consent", "text_version": "v1", "by": "lin", "reason": "in the folder"},
    }
    assert Consent.objects.get(customer=number).counts


def test_a_guardians_consent_needs_a_basis_too_and_other_purposes_do_not() -> None:
    consent("g", ANN, purpose="guardian", channel="any")
    consent("s", ANN, purpose="service")
    consent("p", ANN, purpose="personalisation", channel="any")
    assert dict(Consent.objects.values_list("purpose", "counts")) == {
        **{"guardian": False, "service": True, "personalisation": True}
    }


def test_a_lot_is_walked_in_order_and_to_the_moment() -> None:
    who = four()
    consent("e", ("member", "eve"), 8)  # after the moment of the statement
    assert bases.waiting(LOT, at(5)) == 1
    assert bases.waiting(LOT, at(9)) == 2
    assert bases.waiting(replace(LOT, channel="sms"), at(9)) == 0
    assert [one.customer for one in bases.next_of(LOT, at(9), 0, 1)] == [who["bea"]]
    assert bases.next_of(LOT, at(5), who["bea"], 10) == []


def test_colleagues_cannot_note_a_marketing_consent_without_a_basis() -> None:
    who = four()
    for purpose, channel in (("marketing", "wecom"), ("guardian", "any")):
        with pytest.raises(BasisMissing):
            services.change_consent(who["dan"], purpose, channel, given=True, basis="unknown")
    services.change_consent(who["dan"], "marketing", "wecom", given=False, basis="unknown")
    services.change_consent(who["dan"], "service", "wecom", given=True, basis="unknown")
    assert Fact.objects.filter(source="console").count() == 2
