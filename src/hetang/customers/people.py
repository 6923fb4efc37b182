"""From identities to people: numbers for new ones, merges where the evidence joins them.

Everything works on the window that `facts.staging.stage` laid out.

Evidence that only adds is resolved here from the window alone. Where it may take something away (an identity proves
to be shared, somebody decided about people), `division` looks at all that is known of those concerned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hetang.customers import decisions, division, evidence, latest, rekeying
from hetang.customers.evidence import End, NewIdentity, Pair, rows
from hetang.customers.merges import gather, new_customers, note_merges
from hetang.customers.rules import Evidence, IdentityKey, MergeStep, Resolution, clusters, resolve
from hetang.platform import clock


def recognise() -> set[int]:
    """Give every identity of the window a customer, and merge the customers that its evidence joins.

    Returns the customers whose identities changed otherwise than by a plain merge: what is known of them has to be
    folded anew.
    """
    rekeying.follow_window()
    new = {one.identity: one for one in evidence.new_identities()}
    pairs = evidence.pairs(new)
    named = decisions.named_in_window()
    if not new and not pairs and not named:
        return set()
    intricate = _intricate(pairs, named)
    _recognise_plainly(new, pairs, intricate)
    if not intricate:
        return set()
    return division.divide_anew(_ids_of(intricate), decisions.fold())


def _recognise_plainly(
    new: Mapping[IdentityKey, NewIdentity], pairs: Sequence[Pair], intricate: set[IdentityKey]
) -> None:
    plain = [one for key, one in new.items() if key not in intricate]
    joining = [pair for pair in pairs if pair.active and pair.one.identity not in intricate]
    known = {end.identity: end.number for pair in joining for end in pair.ends if end.number is not None}
    found = [
        Evidence(pair.source, pair.key, pair.occurred_at, (pair.one.identity, pair.other.identity)) for pair in joining
    ]
    resolution = resolve(known, [one.identity for one in plain], found)
    if resolution.survivor_of:
        _merge(resolution)
    _add(plain, resolution)
    insert([one for key, one in new.items() if key in intricate], dict.fromkeys(intricate, 0))
    evidence.remember(pairs)


def _intricate(pairs: Sequence[Pair], named: set[IdentityKey]) -> set[IdentityKey]:
    """Identities of the window that are, or hang together with, a shared one or one that somebody decided about."""
    seeds = named | evidence.crowded(pairs, evidence.contact_limit())
    numbers = {end.number for pair in pairs for end in pair.ends if end.number is not None}
    decided = decisions.decided_about(numbers)
    if not seeds and not decided:
        return set()
    groups = clusters([(_node(pair.one), _node(pair.other), pair.active) for pair in pairs])
    named_by: dict[int | IdentityKey, set[IdentityKey]] = {}
    for pair in pairs:
        for end in pair.ends:
            named_by.setdefault(_node(end), set()).add(end.identity)
    found = set(seeds)
    for group in groups:
        if any(node in decided or not named_by[node].isdisjoint(seeds) for node in group):
            found.update(*(named_by[node] for node in group))
    return found


def _node(end: End) -> int | IdentityKey:
    """What stands for an end: her customer, or the new identity itself."""
    return end.number or end.identity


def _ids_of(identities: Iterable[IdentityKey]) -> list[int]:
    kinds, keys = zip(*identities, strict=True)
    found = rows(
        "select i.id from unnest(%s::text[], %s::text[]) as n(kind, key)"
        " join customers_identity i on i.kind = n.kind and i.key = n.key",
        [list(kinds), list(keys)],
    )
    return [number for (number,) in found]


def _add(new: Sequence[NewIdentity], resolution: Resolution) -> None:
    """Write the new identities, with new customers for those that join nobody."""
    numbers = dict(resolution.joined)
    for number, group in zip(new_customers(len(resolution.new_people)), resolution.new_people, strict=True):
        numbers.update(dict.fromkeys(group, number))
    insert(new, numbers)


def insert(new: Sequence[NewIdentity], numbers: Mapping[IdentityKey, int]) -> None:
    """Write identities that nobody has yet."""
    if new:
        rows(
            _INSERT_IDENTITIES,
            {
                "kinds": [one.identity[0] for one in new],
                "keys": [one.identity[1] for one in new],
                "sealed": [one.sealed for one in new],
                "numbers": [numbers[one.identity] for one in new],
                "seen": [one.first_seen_at for one in new],
                "placeholders": [one.placeholder for one in new],
                "now": clock.now(),
            },
        )


def _merge(resolution: Resolution) -> None:
    moves = {
        "absorbed": list(resolution.survivor_of),
        "survivors": list(resolution.survivor_of.values()),
    }
    sides = _sides(resolution.merges)
    for each in latest.ALL:
        each.move(moves)
    latest.state_bases("select unnest(%(survivors)s::bigint[])", moves)
    for statement in _MOVE:
        rows(statement, moves)
    note_merges(resolution.merges, sides)


def _sides(steps: Sequence[MergeStep]) -> list[tuple[list[int], list[int]]]:
    """The identities of both sides of each merge, as they are before it."""
    numbers = {one for step in steps for one in (step.survivor, step.absorbed)}
    found = rows(
        "select customer_id, array_agg(id order by id) from customers_identity"
        " where customer_id = any(%s) group by customer_id",
        [list(numbers)],
    )
    return gather(steps, dict(found))


_INSERT_IDENTITIES = """
insert into customers_identity
  (kind, key, sealed, customer_id, evidence_number, first_seen_at, placeholder, shared, shared_at)
select kind, key, sealed, number, number, seen, placeholder, placeholder, case when placeholder then %(now)s end
from unnest(%(kinds)s::text[], %(keys)s::text[], %(sealed)s::bytea[], %(numbers)s::bigint[], %(seen)s::timestamptz[],
            %(placeholders)s::boolean[]) as n(kind, key, sealed, number, seen, placeholder)
"""
_MOVE = (
    f"update customers_identity set customer_id = m.survivor from {latest.MOVES} where customer_id = m.absorbed",
    f"update customers_relation set customer_id = m.survivor from {latest.MOVES} where customer_id = m.absorbed",
    f"update customers_customer set merged_into_id = m.survivor from {latest.MOVES}"
    " where merged_into_id = m.absorbed",  # flatten the aliases that named an absorbed one
    f"update customers_customer set merged_into_id = m.survivor from {latest.MOVES} where number = m.absorbed",
)
