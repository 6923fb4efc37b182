from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from hetang.customers.rules import Evidence, IdentityKey, resolve

START = datetime(2026, 3, 1, tzinfo=UTC)


def identity(name: str) -> IdentityKey:
    return ("member", name)


def evidence(*pairs: str) -> list[Evidence]:
    return [
        Evidence("pos", f"k{index}", START + timedelta(days=index), tuple(identity(name) for name in names))
        for index, names in enumerate(pairs)
    ]


def test_new_identities_of_one_fact_are_one_new_person() -> None:
    result = resolve({}, [identity("a"), identity("b"), identity("c")], evidence("ab"))
    assert result.new_people == [[identity("a"), identity("b")], [identity("c")]]
    assert result.merges == []


def test_a_new_identity_joins_the_known_person() -> None:
    result = resolve({identity("a"): 7}, [identity("b")], evidence("ba"))
    assert result.joined == {identity("b"): 7}
    assert result.new_people == []


def test_the_lowest_number_stays_through_a_chain() -> None:
    known = {identity("a"): 5, identity("b"): 3, identity("c"): 1}
    result = resolve(known, [], evidence("ab", "bc"))
    assert [(step.survivor, step.absorbed, step.evidence.key) for step in result.merges] == [(3, 5, "k0"), (1, 3, "k1")]
    assert result.survivor_of == {5: 1, 3: 1}


def test_a_new_identity_can_be_the_bridge() -> None:
    known = {identity("a"): 4, identity("b"): 2}
    result = resolve(known, [identity("x")], evidence("xa", "xb"))
    assert result.survivor_of == {4: 2}
    assert result.joined == {identity("x"): 2}


names = st.sampled_from("abcdefgh")


@given(
    st.dictionaries(names.map(identity), st.integers(1, 5), max_size=5),
    st.lists(st.text("abcdefgh", min_size=2, max_size=3), max_size=8),
    st.randoms(use_true_random=False),
)
def test_components_do_not_depend_on_the_order(
    known: dict[IdentityKey, int], pairs: list[str], chance: random.Random
) -> None:
    facts = evidence(*pairs)
    new = sorted({one for fact in facts for one in fact.identities} - known.keys())
    shuffled = [Evidence(f.source, f.key, START, f.identities) for f in chance.sample(facts, len(facts))]
    one, other = resolve(known, new, facts), resolve(known, new, shuffled)
    assert one.survivor_of == other.survivor_of
    assert one.joined == other.joined
    assert {frozenset(group) for group in one.new_people} == {frozenset(group) for group in other.new_people}
    assert all(survivor < absorbed for absorbed, survivor in one.survivor_of.items())
