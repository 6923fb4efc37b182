"""Numbers for new people, and the record of who was merged into whom.

Numbers come from one counter row after the anti-join, so that none is burnt; the row also serialises whoever hands
them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from hetang.customers.errors import NumbersExhausted
from hetang.customers.evidence import rows
from hetang.customers.rules import MergeStep
from hetang.facts import intake
from hetang.facts.intake import Draft
from hetang.platform import clock

MAX_NUMBER = 2**32 - 1
SOURCE = "hetang.customers"
_REMEMBERED = 200  # identities of a side that a merge keeps; a larger one is whatever the other side is not


def new_customers(count: int) -> range:
    """Make customers with fresh numbers. Raises NumbersExhausted beyond UInt32."""
    first = take_numbers(count)
    if count:
        rows(
            "insert into customers_customer (number, created_at) select generate_series(%s::bigint, %s), %s",
            [first, first + count - 1, clock.now()],
        )
    return range(first, first + count)


def take_numbers(count: int) -> int:
    """The first of `count` fresh numbers. Raises NumbersExhausted beyond UInt32."""
    if count == 0:
        return 0
    take = "update customers_numbercounter set next_number = next_number + %s where id = 1 returning next_number"
    taken = rows(take, [count])
    if not taken:
        rows("insert into customers_numbercounter values (1, 1) on conflict do nothing")
        taken = rows(take, [count])
    end = int(taken[0][0])
    if end - 1 > MAX_NUMBER:
        raise NumbersExhausted
    return end - count


def gather(steps: Iterable[MergeStep], identities: Mapping[int, list[int]]) -> list[tuple[list[int], list[int]]]:
    """Both sides of each merge, when the merges before it are done."""
    held = {number: list(of_one) for number, of_one in identities.items()}
    sides = []
    for step in steps:
        survivor, absorbed = held.get(step.survivor, []), held.pop(step.absorbed, [])
        sides.append((list(survivor) if len(survivor) <= _REMEMBERED else [], absorbed))
        held[step.survivor] = survivor + absorbed
    return sides


def note_merges(steps: Sequence[MergeStep], sides: Sequence[tuple[list[int], list[int]]]) -> None:
    """Keep the provenance of each merge, and tell the other rooms by a fact."""
    now = clock.now()
    made = [
        {
            **{"survivor": step.survivor, "absorbed": step.absorbed, "evidence": step.pair},
            **{"source": step.evidence.source, "key": step.evidence.key},
            **{"survivor_side": survivor_side, "absorbed_side": absorbed_side},
        }
        for step, (survivor_side, absorbed_side) in zip(steps, sides, strict=True)
    ]
    ids = rows(_NOTE, {"rows": msgspec.json.encode(made).decode(), "now": now})
    # A key per row: the same evidence may join the same two again, after a decision between them was lifted.
    tell(
        [
            Draft("customer.merged", f"merge-{one}", now, body=_body(step))
            for (one,), step in zip(ids, steps, strict=True)
        ]
    )


def _body(step: MergeStep) -> dict[str, object]:
    return {"survivor": step.survivor, "absorbed": step.absorbed, "evidence": step.pair}


def tell(drafts: Sequence[Draft]) -> None:
    """Write facts about people, in this transaction."""
    outcome = intake.record(SOURCE, drafts)
    if outcome.accepted != len(drafts):
        raise RuntimeError(f"{len(drafts)} facts about people, but {outcome.accepted} of them were taken")


_NOTE = """
insert into customers_merge
  (survivor, absorbed, at, evidence_source, evidence_key, evidence, survivor_side, absorbed_side)
select survivor, absorbed, %(now)s, source, key, evidence, survivor_side, absorbed_side
from rows from (json_to_recordset(%(rows)s::json) as (survivor bigint, absorbed bigint, source text, key text,
  evidence jsonb, survivor_side bigint[], absorbed_side bigint[])) with ordinality
  as r(survivor, absorbed, source, key, evidence, survivor_side, absorbed_side, place)
order by place returning id
"""
