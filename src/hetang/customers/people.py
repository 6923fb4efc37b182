"""From identities to people: numbers for new ones, merges where the evidence joins them.

Everything works on the window that `facts.staging.stage` laid out. Numbers come from one counter row after the
anti-join, so that none is burnt; the counter row also serialises whoever hands them out.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from hetang.customers import latest
from hetang.customers.errors import NumbersExhausted
from hetang.customers.models import Merge
from hetang.customers.rules import Evidence, IdentityKey, MergeStep, Resolution, resolve
from hetang.facts import intake
from hetang.facts.intake import Draft
from hetang.facts.rules import DIRECT_KINDS
from hetang.platform import clock
from hetang.platform.sealing import seal, unseal

MAX_NUMBER = 2**32 - 1
SOURCE = "hetang.customers"


@dataclass(frozen=True, slots=True)
class _New:
    """An identity that nobody has yet: when it was first named, and its sealed value if it is a direct one."""

    identity: IdentityKey
    first_seen_at: datetime
    sealed: bytes | None


def recognise() -> None:
    """Give every identity of the window a customer, and merge the customers that its evidence joins."""
    new = _new_identities()
    known, evidence = _evidence()
    if not new and not evidence:
        return
    resolution = resolve(known, [one.identity for one in new], evidence)
    if resolution.survivor_of:
        _merge(resolution)
    _add(new, resolution)


def _new_identities() -> list[_New]:
    rows = _rows(_NEW, {"direct": sorted(DIRECT_KINDS)})
    return [
        _New((kind, key), at, _value_of(kind, key, sealed) if kind in DIRECT_KINDS else None)
        for kind, key, at, sealed in rows
    ]


def _value_of(kind: str, key: str, sealed: bytes | None) -> bytes | None:
    """The identity's own sealed value out of the fact's."""
    if sealed is None:
        return None
    value = json.loads(unseal(sealed)).get(f"{kind}:{key}")
    return None if value is None else seal(value.encode())


def _evidence() -> tuple[dict[IdentityKey, int], list[Evidence]]:
    """Facts of the window whose identities are not yet one person, and the numbers that these have."""
    known: dict[IdentityKey, int] = {}
    found = []
    for source, key, at, kinds, keys, numbers in _rows(_EVIDENCE):
        identities = tuple(zip(kinds, keys, strict=True))
        found.append(Evidence(source, key, at, identities))
        known.update({one: number for one, number in zip(identities, numbers, strict=True) if number is not None})
    return known, found


def _add(new: Sequence[_New], resolution: Resolution) -> None:
    """Write the new identities, with new customers for those that join nobody."""
    numbers = dict(resolution.joined)
    first = take_numbers(len(resolution.new_people))
    for number, group in enumerate(resolution.new_people, start=first):
        numbers.update(dict.fromkeys(group, number))
    if resolution.new_people:
        last = first + len(resolution.new_people) - 1
        _rows(
            "insert into customers_customer (number, created_at) select generate_series(%s::bigint, %s), %s",
            [first, last, clock.now()],
        )
    if new:
        _rows(
            _INSERT_IDENTITIES,
            {
                "kinds": [one.identity[0] for one in new],
                "keys": [one.identity[1] for one in new],
                "sealed": [one.sealed for one in new],
                "numbers": [numbers[one.identity] for one in new],
                "seen": [one.first_seen_at for one in new],
            },
        )


def take_numbers(count: int) -> int:
    """The first of `count` fresh numbers. Raises NumbersExhausted beyond UInt32."""
    if count == 0:
        return 0
    take = "update customers_numbercounter set next_number = next_number + %s where id = 1 returning next_number"
    taken = _rows(take, [count])
    if not taken:
        _rows("insert into customers_numbercounter values (1, 1) on conflict do nothing")
        taken = _rows(take, [count])
    end = int(taken[0][0])
    if end - 1 > MAX_NUMBER:
        raise NumbersExhausted
    return end - count


def _merge(resolution: Resolution) -> None:
    moves = {
        "absorbed": list(resolution.survivor_of),
        "survivors": list(resolution.survivor_of.values()),
    }
    for each in latest.ALL:
        each.move(moves)
    for statement in _MOVE:
        _rows(statement, moves)
    _note(resolution.merges)


def _note(steps: Iterable[MergeStep]) -> None:
    """Keep the provenance of each merge, and tell the other rooms by a fact."""
    now = clock.now()
    drafts = []
    rows = []
    for step in steps:
        pair = [list(step.pair[0]), list(step.pair[1])]
        rows.append(
            Merge(
                survivor=step.survivor,
                absorbed=step.absorbed,
                at=now,
                evidence_source=step.evidence.source,
                evidence_key=step.evidence.key,
                evidence=pair,
            )
        )
        body = {"survivor": step.survivor, "absorbed": step.absorbed, "evidence": pair}
        drafts.append(Draft("customer.merged", _key_of(step), now, body=body))
    Merge.objects.bulk_create(rows)
    outcome = intake.record(SOURCE, drafts)
    if outcome.accepted != len(drafts):
        raise RuntimeError(f"{len(drafts)} merges, but {outcome.accepted} facts of them were taken")


def _key_of(step: MergeStep) -> str:
    """One key per merge and its evidence: the same two may be joined again after an un-merge, by other evidence."""
    evidence = f"{step.evidence.source}\x1f{step.evidence.key}".encode()
    return f"{step.absorbed}-{step.survivor}-{hashlib.blake2b(evidence, digest_size=8).hexdigest()}"


def _rows(statement: str, params: Any = None) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.fetchall() if cursor.description else []


_NEW = """
with named as (
  select subject_kind as kind, subject_key as key, occurred_at, sealed
  from window_fact where who is null and subject_key is not null
  union all
  select pair->>0, pair->>1, occurred_at, sealed
  from window_fact cross join lateral jsonb_array_elements(who) as p(pair) where who is not null
)
select distinct on (kind, key) kind, key, occurred_at, case when kind = any(%(direct)s) then sealed end
from named n
where not exists (select from customers_identity i where i.kind = n.kind and i.key = n.key)
order by kind, key, occurred_at
"""
_EVIDENCE = """
select w.source, w.key, w.occurred_at, array_agg(p.pair->>0 order by p.place), array_agg(p.pair->>1 order by p.place),
       array_agg(i.customer_id order by p.place)
from window_fact w
cross join lateral jsonb_array_elements(w.who) with ordinality as p(pair, place)
left join customers_identity i on i.kind = p.pair->>0 and i.key = p.pair->>1
where w.who is not null
group by w.received_at, w.id, w.source, w.key, w.occurred_at
having count(i.customer_id) < count(*) or min(i.customer_id) <> max(i.customer_id)
"""
_INSERT_IDENTITIES = """
insert into customers_identity (kind, key, sealed, customer_id, evidence_number, first_seen_at)
select kind, key, sealed, number, number, seen
from unnest(%(kinds)s::text[], %(keys)s::text[], %(sealed)s::bytea[], %(numbers)s::bigint[], %(seen)s::timestamptz[])
  as n(kind, key, sealed, number, seen)
"""
_MOVE = (
    f"update customers_identity set customer_id = m.survivor from {latest.MOVES} where customer_id = m.absorbed",
    f"update customers_relation set customer_id = m.survivor from {latest.MOVES} where customer_id = m.absorbed",
    f"update customers_customer set merged_into_id = m.survivor from {latest.MOVES}"
    " where merged_into_id = m.absorbed",  # flatten the aliases that named an absorbed one
    f"update customers_customer set merged_into_id = m.survivor from {latest.MOVES} where number = m.absorbed",
)
