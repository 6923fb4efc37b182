"""What people decided about who is who, folded from facts: kept apart, joined by hand, judged to be shared, lifted.

A decision is in force when it was made and never lifted, whichever was heard of first. Its consequences are marks on
links and identities, which `division` then follows.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hetang.customers import rules
from hetang.customers.evidence import DECISION_KINDS, rows, tied_before
from hetang.customers.models import Decision, Identity
from hetang.customers.rules import IdentityKey


def named_in_window() -> set[IdentityKey]:
    """The identities that decisions of the window speak of."""
    return {(kind, key) for kind, key in rows(_NAMED, {"kinds": list(DECISION_KINDS)})}


def decided_about(numbers: Collection[int]) -> set[int]:
    """Those of these customers of whom somebody said that they are not somebody else."""
    if not numbers:
        return set()
    return {number for (number,) in rows(_DECIDED, {"numbers": list(numbers)})}


def fold() -> set[int]:
    """Take in the decisions of the window; returns the ids of all identities that they speak of, now or before."""
    touched = [number for (number,) in rows(_DECISIONS)]
    lifted = [number for (number,) in rows(_LIFTINGS)]
    rows(_SIDES)
    rows(_VERDICTS)
    judged = {number for (number,) in rows(_JUDGED)}
    params = {"decisions": [*touched, *lifted]}
    if params["decisions"]:
        rows(_BY_HAND, params)
        rows(_NO_LONGER_BY_HAND, params)
        rows(_VOID.format(among="join concerned c on c.low = l.low and c.high = l.high"), params)
    return judged | {number for (number,) in rows(_SPOKEN_OF, params)}


def mark_void(ids: Collection[int]) -> None:
    """Mark the links among these identities that a decision forbids."""
    among = "where l.low = any(%(ids)s) and l.high = any(%(ids)s)"
    rows(_VOID.format(among=among), {"ids": list(ids), "decisions": []})


def weigh(ids: Collection[int], contact_limit: int, now: Any) -> list[int]:
    """Count again what these identities tie together; returns those that became shared, or no longer are."""
    tied = tied_before(ids)
    changes: dict[bool, list[int]] = {True: [], False: []}
    for row in Identity.objects.filter(id__in=ids):
        number, shared = row.pk, row.shared
        is_shared = rules.is_shared(
            row.kind, tied.get(number, {}), contact_limit, placeholder=row.placeholder, verdict=row.verdict
        )
        if is_shared != shared:
            changes[is_shared].append(number)
    for shared, changed in changes.items():
        if changed:
            rows(
                "update customers_identity set shared = %s, shared_at = %s where id = any(%s)",
                [shared, now if shared else None, changed],
            )
    return [*changes[True], *changes[False]]


def in_force_among(ids: Collection[int]) -> list[tuple[set[int], set[int]]]:
    """Both sides of every decision in force that keeps apart any of these identities."""
    sides: dict[int, tuple[set[int], set[int]]] = {}
    for decision, identity, side in rows(_APART_AMONG, {"ids": list(ids)}):
        sides.setdefault(decision, (set(), set()))[side].add(identity)
    return [sides[decision] for decision in sorted(sides)]


_IN_FORCE = "d.made_at is not null and d.lifted_at is null"
_NAMED = """
select subject_kind, subject_key from window_fact where kind = any(%(kinds)s) and who is null
union
select p.pair->>0, p.pair->>1 from window_fact w cross join lateral jsonb_array_elements(w.who) as p(pair)
where w.kind = any(%(kinds)s)
union
select i.kind, i.key from window_fact w join customers_decision d on d.key = w.body->>'decision'
join customers_decisionside s on s.decision_id = d.id join customers_identity i on i.id = s.identity_id
where w.kind = 'customer.decision_lifted'
"""
_DECIDED = f"""
select distinct i.customer_id from customers_identity i
join customers_decisionside s on s.identity_id = i.id
join customers_decision d on d.id = s.decision_id and d.verdict = '{Decision.APART}' and {_IN_FORCE}
where i.customer_id = any(%(numbers)s)
"""
_VERDICT = f"case w.kind when 'customer.joined' then '{Decision.SAME}' else '{Decision.APART}' end"
_DECISIONS = f"""
insert into customers_decision as d (key, verdict, made_at, made_by, reason)
select w.fact_key, {_VERDICT}, w.occurred_at, w.body->>'by', coalesce(w.body->>'reason', '')
from window_fact w where w.kind in ('customer.joined', 'customer.kept_apart')
on conflict (key) do update set
  verdict = excluded.verdict, made_at = excluded.made_at, made_by = excluded.made_by, reason = excluded.reason
returning id
"""
_LIFTINGS = """
insert into customers_decision as d (key, lifted_at, lifted_by)
select distinct on (w.body->>'decision') w.body->>'decision', w.occurred_at, w.body->>'by'
from window_fact w where w.kind = 'customer.decision_lifted'
order by w.body->>'decision', w.occurred_at, w.fact_key
on conflict (key) do update set lifted_at = coalesce(d.lifted_at, excluded.lifted_at),
  lifted_by = case when d.lifted_at is null then excluded.lifted_by else d.lifted_by end
returning id
"""
_SIDES = """
insert into customers_decisionside (decision_id, identity_id, side)
select d.id, i.id, case when p.place > coalesce((w.body->>'left')::int, 1) then 1 else 0 end
from window_fact w cross join lateral jsonb_array_elements(w.who) with ordinality as p(pair, place)
join customers_decision d on d.key = w.fact_key
join customers_identity i on i.kind = p.pair->>0 and i.key = p.pair->>1
where w.kind in ('customer.joined', 'customer.kept_apart')
on conflict do nothing
"""
_VERDICTS = f"""
update customers_identity i set verdict = n.verdict, verdict_at = n.occurred_at, verdict_fact = n.fact_key
from (
  select distinct on (subject_kind, subject_key) subject_kind, subject_key, occurred_at, fact_key,
         case body->>'verdict' when 'shared' then '{rules.SHARED}' when 'own' then '{rules.OWN}' else '' end as verdict
  from window_fact where kind = 'identity.judged'
  order by subject_kind, subject_key, occurred_at desc, fact_key desc
) n
where i.kind = n.subject_kind and i.key = n.subject_key
  and (i.verdict_at is null or (n.occurred_at, n.fact_key) > (i.verdict_at, i.verdict_fact))
"""
_JUDGED = """
select i.id from window_fact w join customers_identity i on i.kind = w.subject_kind and i.key = w.subject_key
where w.kind = 'identity.judged'
"""
_SPOKEN_OF = "select distinct identity_id from customers_decisionside where decision_id = any(%(decisions)s)"
_SAME = f"""
select least(a.identity_id, b.identity_id) as low, greatest(a.identity_id, b.identity_id) as high, {{in_force}}
from customers_decision d
join customers_decisionside a on a.decision_id = d.id and a.side = 0
join customers_decisionside b on b.decision_id = d.id and b.side = 1
where d.verdict = '{Decision.SAME}'
"""
_BY_HAND = f"""
insert into customers_identitylink as l (low, high, by_hand)
select distinct low, high, true from ({_SAME.format(in_force=f"{_IN_FORCE} as in_force")}
  and d.id = any(%(decisions)s)) s where in_force
on conflict (low, high) do update set by_hand = true
"""
_NO_LONGER_BY_HAND = f"""
update customers_identitylink l set by_hand = false
from ({_SAME.format(in_force="d.id")} and d.id = any(%(decisions)s)) s
where l.low = s.low and l.high = s.high and l.by_hand
  and not exists (select from ({_SAME.format(in_force=f"{_IN_FORCE} as in_force")}) o
                  where o.low = l.low and o.high = l.high and o.in_force)
"""
_FORBIDDEN = f"""exists (
  select from customers_decisionside a
  join customers_decisionside b on b.decision_id = a.decision_id and b.side <> a.side
  join customers_decision d on d.id = a.decision_id and d.verdict = '{Decision.APART}' and {_IN_FORCE}
  where a.identity_id = l.low and b.identity_id = l.high)"""
_VOID = f"""
with concerned as (
  select distinct least(a.identity_id, b.identity_id) as low, greatest(a.identity_id, b.identity_id) as high
  from customers_decision d
  join customers_decisionside a on a.decision_id = d.id and a.side = 0
  join customers_decisionside b on b.decision_id = d.id and b.side = 1
  where d.id = any(%(decisions)s) and d.verdict = '{Decision.APART}'
), judged as (
  select l.low, l.high, {_FORBIDDEN} as void from customers_identitylink l {{among}}
)
update customers_identitylink l set void = judged.void from judged
where l.low = judged.low and l.high = judged.high and l.void <> judged.void
"""
_APART_AMONG = f"""
select s.decision_id, s.identity_id, s.side from customers_decisionside s
join customers_decision d on d.id = s.decision_id and d.verdict = '{Decision.APART}' and {_IN_FORCE}
where s.identity_id = any(%(ids)s)
"""
