"""Who might be one person: worked out from the grounds over all customers at once, and kept as the queue of proposals.

Reading takes no transaction id, so the streams do not wait for it however long it takes; writing is a short statement.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from hetang.customers.evidence import rows
from hetang.customers.grounds import COLLEAGUE, COLLEAGUE_WEIGHT, GROUNDS, Ground
from hetang.customers.models import Customer, Decision, EvidencePolicy, Proposal
from hetang.customers.rules import name_to_match
from hetang.platform import clock
from hetang.platform.sealing import lookup_key, unseal

MOST = 5_000  # pairs in the queue: more than people decide in a year
_NAMES_A_STATEMENT = 2_000


@dataclass(frozen=True, slots=True)
class Pair:
    """Two customers (`one` < `other`) and why they are suspected to be one."""

    one: int
    other: int
    grounds: list[str]
    weight: int


def active_grounds() -> list[Ground]:
    """The grounds that the brand looks for."""
    policy = EvidencePolicy.objects.filter(id=1).first()
    chosen = policy.grounds if policy else None
    return [one for one in GROUNDS.values() if (one.usual if chosen is None else one.code in chosen)]


def key_names(after: int = 0) -> tuple[int, int]:
    """Work out the keys of up to 2,000 names that have none, of customers beyond a number. Returns how many, and the
    number to go on from. About 20 us a name."""
    unkeyed = Customer.objects.filter(number__gt=after, name__isnull=False, name_key=None).order_by("number")
    found = unkeyed.values_list("number", "name", "name_fact")[:_NAMES_A_STATEMENT]
    keyed = [(number, _key(unseal(bytes(name or b"")).decode()), fact) for number, name, fact in found]
    if keyed:
        numbers, keys, facts = zip(*keyed, strict=True)
        rows(_KEY, {"numbers": list(numbers), "keys": list(keys), "facts": list(facts)})
    return len(keyed), keyed[-1][0] if keyed else after


def suspected(grounds: Collection[Ground]) -> list[Pair]:
    """The pairs whom these grounds suspect and about whom nobody decided, the most suspicious first; 5,000 at most.

    One pass over the customers for each ground: seconds for a million.
    """
    if not grounds:
        return []
    every = " union all ".join(
        _OF_A_GROUND.format(keyed=one.keyed, code=one.code, weight=one.weight, most=one.most) for one in grounds
    )
    return [Pair(*row) for row in rows(_PAIRS.format(every=every), {"most": MOST})]


def keep(pairs: Collection[Pair]) -> tuple[int, int]:
    """Make the queue these pairs, besides what colleagues proposed; returns how many are new and how many went."""
    params = {
        "ones": [pair.one for pair in pairs],
        "others": [pair.other for pair in pairs],
        "grounds": ["\x1f".join(pair.grounds) for pair in pairs],
        "weights": [pair.weight for pair in pairs],
        "now": clock.now(),
    }
    gone = rows(_WITHDRAW, params)
    new = rows(_UPSERT, params)
    return sum(fresh for (fresh,) in new), len(gone)


def _key(name: str) -> str:
    plain = name_to_match(name)
    return lookup_key("name", plain) if plain else ""


_KEY = """
update customers_customer c set name_key = n.key
from unnest(%(numbers)s::bigint[], %(keys)s::text[], %(facts)s::text[]) as n(number, key, fact)
where c.number = n.number and c.name is not null and c.name_fact is not distinct from n.fact
"""
_OF_A_GROUND = """
select a.customer_id as one, b.customer_id as other, '{code}' as code, {weight} as weight from (
  select key, array_agg(customer_id) as members from (select distinct customer_id, key from ({keyed}) k) k
  group by key having count(*) between 2 and {most}
) g cross join lateral unnest(g.members) a(customer_id) cross join lateral unnest(g.members) b(customer_id)
where a.customer_id < b.customer_id
"""
_PAIRS = f"""
with found as (
  select one, other, array_agg(code order by code) as grounds, sum(weight)::int as weight
  from (select distinct one, other, code, weight from ({{every}}) pairs) each group by one, other
), apart as (
  select distinct least(i.customer_id, j.customer_id) as one, greatest(i.customer_id, j.customer_id) as other
  from customers_decision d
  join customers_decisionside a on a.decision_id = d.id and a.side = 0
  join customers_decisionside b on b.decision_id = d.id and b.side = 1
  join customers_identity i on i.id = a.identity_id join customers_identity j on j.id = b.identity_id
  where d.verdict = '{Decision.APART}' and d.made_at is not null and d.lifted_at is null
)
select f.one, f.other, f.grounds, f.weight from found f
join customers_customer a on a.number = f.one and a.merged_into_id is null and a.erased_at is null
join customers_customer b on b.number = f.other and b.merged_into_id is null and b.erased_at is null
where not exists (select from apart where apart.one = f.one and apart.other = f.other)
order by f.weight desc, f.other desc, f.one desc limit %(most)s
"""
_QUEUE = "unnest(%(ones)s::bigint[], %(others)s::bigint[], %(grounds)s::text[], %(weights)s::int[])"
_WITHDRAW = f"""
update customers_proposal p set state = '{Proposal.WITHDRAWN}', decided_at = %(now)s
where p.state = '{Proposal.OPEN}' and (
  p.proposed_by = '' and not exists (
    select from {_QUEUE} as n(one, other, grounds, weight) where n.one = p.one_id and n.other = p.other_id)
  or exists (select from customers_customer c where c.number in (p.one_id, p.other_id)
             and (c.merged_into_id is not null or c.erased_at is not null)))
returning p.id
"""
_UPSERT = f"""
insert into customers_proposal as p (one_id, other_id, grounds, weight, reason, proposed_at, proposed_by, state,
                                     verdict, decided_by, rounds)
select n.one, n.other, string_to_array(n.grounds, chr(31)), n.weight, '', %(now)s, '', '{Proposal.OPEN}', '', '', 0
from {_QUEUE} as n(one, other, grounds, weight)
on conflict (one_id, other_id) where state = '{Proposal.OPEN}' do update set
  grounds = case when p.proposed_by <> '' then array_prepend('{COLLEAGUE}', excluded.grounds) else excluded.grounds end,
  weight = excluded.weight + case when p.proposed_by <> '' then {COLLEAGUE_WEIGHT} else 0 end
returning (xmax = 0)::int
"""
