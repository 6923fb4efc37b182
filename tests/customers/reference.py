"""Who is one person, said once more and as simply as possible: from all facts at once, without a database."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import product

from hetang.customers.rules import is_placeholder
from hetang.facts.intake import Draft
from hetang.facts.rules import subject_of
from hetang.platform.sealing import lookup_key

Identity = tuple[str, str]
CONTACTS = ("phone", "email")
DECISIONS = ("customer.joined", "customer.kept_apart", "customer.decision_lifted", "identity.judged")


def people(drafts: Sequence[Draft], limit: int, source: str = "pos") -> set[frozenset[Identity]]:
    """The identities of each person."""
    everybody = {identity for draft in drafts for identity in draft.who}
    ranks = _evidence(drafts, source)
    hand, apart = _decided(drafts, source)
    banned = {frozenset(pair) for left, right in apart for pair in product(left, right)}
    ranks = {pair: rank for pair, rank in ranks.items() if pair not in banned}
    shared = _shared(everybody, set(ranks), _verdicts(drafts, source), limit)
    usable = {pair: rank for pair, rank in ranks.items() if not pair & shared}
    usable |= {pair: (0, None, "", sorted(pair)) for pair in hand if pair not in banned}
    found: list[set[Identity]] = [{one} for one in everybody]
    for pair in sorted(usable, key=lambda one: _comparable(usable[one])):
        together = [person for person in found if person & pair]
        union = set().union(*together)
        if len(together) == 2 and not any(union & left and union & right for left, right in apart):
            found = [person for person in found if person not in together] + [union]
    return {frozenset(person) for person in found}


def hashed(people: set[frozenset[Identity]]) -> set[frozenset[Identity]]:
    """The same people by the keys under which identities are kept."""
    return {
        frozenset((kind, lookup_key(kind, value) if kind in CONTACTS else value) for kind, value in person)
        for person in people
    }


def _comparable(rank: tuple[object, ...]) -> tuple[object, ...]:
    kind, at, fact, pair = rank
    return (kind, "" if at is None else at.isoformat(), fact, pair)  # type: ignore[attr-defined]


def _evidence(drafts: Sequence[Draft], source: str) -> dict[frozenset[Identity], tuple[object, ...]]:
    found: dict[frozenset[Identity], tuple[object, ...]] = {}
    for draft in drafts:
        subject = subject_of(list(draft.who))
        for other in draft.who if draft.kind not in DECISIONS else ():
            if subject is not None and other != subject:
                pair = frozenset({subject, other})
                kind = 2 if any(one in CONTACTS for one, _ in pair) else 1
                rank = (kind, draft.occurred_at, f"{source}\x1f{draft.key}", sorted(pair))
                found[pair] = min(found.get(pair, rank), rank)
    return found


def _decided(drafts: Sequence[Draft], source: str) -> tuple[set[frozenset[Identity]], list[tuple[set[Identity], ...]]]:
    lifted = {str(_body(one)["decision"]) for one in drafts if one.kind == "customer.decision_lifted"}
    hand, apart = set(), []
    for draft in drafts:
        if f"{source}\x1f{draft.key}" in lifted:
            continue
        if draft.kind == "customer.joined":
            hand.add(frozenset(draft.who))
        if draft.kind == "customer.kept_apart":
            left = int(str(_body(draft)["left"]))
            apart.append((set(draft.who[:left]), set(draft.who[left:])))
    return hand, apart


def _verdicts(drafts: Sequence[Draft], source: str) -> dict[Identity, str]:
    words = sorted(
        ((one.occurred_at, f"{source}\x1f{one.key}", one) for one in drafts if one.kind == "identity.judged"),
        key=lambda word: word[:2],
    )
    return {one.who[0]: str(_body(one)["verdict"]) for _, _, one in words}


def _shared(
    everybody: set[Identity], pairs: set[frozenset[Identity]], verdicts: dict[Identity, str], limit: int
) -> set[Identity]:
    tied: dict[Identity, dict[str, set[Identity]]] = defaultdict(lambda: defaultdict(set))
    for one, other in map(tuple, pairs):
        tied[one][other[0]].add(other)
        tied[other][one[0]].add(one)
    found = set()
    for one in everybody:
        most = limit if one[0] in CONTACTS else 20
        crowded = any(len(others) > most * (3 if kind == "openid" else 1) for kind, others in tied[one].items())
        verdict = verdicts.get(one, "rule")
        if verdict == "shared" or (verdict == "rule" and (crowded or is_placeholder(*one))):
            found.add(one)
    return found


def _body(draft: Draft) -> dict[str, object]:
    assert isinstance(draft.body, dict)
    return draft.body
