"""What a window of facts says about who is who: identities that nobody has yet, and pairs named together.

Facts whose pairs are known already, which is nearly all of them, cost one anti-join and nothing in Python.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from hetang.customers import rules
from hetang.customers.models import EvidencePolicy
from hetang.customers.rules import IdentityKey
from hetang.facts.rules import DIRECT_KINDS
from hetang.platform.sealing import seal, unseal

# These name people without saying that they are one.
DECISION_KINDS = ("customer.joined", "customer.kept_apart", "customer.decision_lifted", "identity.judged")


@dataclass(frozen=True, slots=True)
class NewIdentity:
    """An identity that nobody has yet: when it was first named, and its sealed value if it is a direct one."""

    identity: IdentityKey
    first_seen_at: datetime
    sealed: bytes | None
    placeholder: bool


@dataclass(frozen=True, slots=True)
class End:
    """One identity of a pair; `id` and `number` are None while nobody has it. `settled`: somebody judged it."""

    identity: IdentityKey
    id: int | None
    number: int | None
    shared: bool
    settled: bool


@dataclass(frozen=True, slots=True)
class Pair:
    """Two identities that a fact names together, by the earliest such fact. `fresh`: no fact did so before."""

    one: End
    other: End
    occurred_at: datetime
    source: str
    key: str
    fresh: bool
    void: bool

    @property
    def ends(self) -> tuple[End, End]:
        return self.one, self.other

    @property
    def active(self) -> bool:
        """Whether it joins people, as far as is known before this window's facts are counted."""
        return self.fresh and not (self.void or self.one.shared or self.other.shared)


def contact_limit() -> int:
    """How many identities of one kind a contact may tie together: the brand's setting."""
    row = EvidencePolicy.objects.filter(id=1).first()
    return row.contact_limit if row else rules.CONTACT_LIMIT


def new_identities() -> list[NewIdentity]:
    """Identities of the window that nobody has."""
    found = []
    for kind, key, at, sealed in rows(_NEW, {"direct": sorted(DIRECT_KINDS)}):
        value = _value_of(kind, key, sealed) if kind in DIRECT_KINDS else None
        placeholder = value is not None and rules.is_placeholder(kind, value)
        found.append(NewIdentity((kind, key), at, None if value is None else seal(value.encode()), placeholder))
    return found


def pairs(new: Mapping[IdentityKey, NewIdentity]) -> list[Pair]:
    """Pairs of the window that no fact named before, or only later ones."""
    found = []
    for at, source, key, fresh, void, *ends in rows(_PAIRS, {"decisions": list(DECISION_KINDS)}):
        one, other = _end(new, ends[:6]), _end(new, ends[6:])
        found.append(Pair(one, other, at, source, key, fresh, void))
    return found


def crowded(pairs: Iterable[Pair], limit: int) -> set[IdentityKey]:
    """Identities that these pairs make shared ones: they would tie more together than is believed."""
    tied: dict[End, dict[str, set[IdentityKey]]] = defaultdict(lambda: defaultdict(set))
    for pair in pairs:
        if pair.fresh and not pair.void:
            for end, other in (pair.ends, pair.ends[::-1]):
                if not end.shared and not end.settled:
                    tied[end][other.identity[0]].add(other.identity)
    before = tied_before([end.id for end in tied if end.id is not None])
    found = set()
    for end, kinds in tied.items():
        known = before.get(end.id, {}) if end.id is not None else {}
        counts = {kind: known.get(kind, 0) + len(kinds.get(kind, ())) for kind in {*known, *kinds}}
        if rules.is_shared(end.identity[0], counts, limit, placeholder=False):
            found.add(end.identity)
    return found


def tied_before(ids: Collection[int]) -> dict[int, dict[str, int]]:
    """How many identities of each kind the facts name together with each of these."""
    found: dict[int, dict[str, int]] = defaultdict(dict)
    if ids:
        for one, kind, count in rows(_TIED, {"ids": list(ids)}):
            found[one][kind] = count
    return found


def remember(pairs: Sequence[Pair]) -> None:
    """Keep the pairs as links. Their identities must be there."""
    if pairs:
        rows(
            _REMEMBER,
            {
                **{f"{name}_kinds": [end.identity[0] for end in ends] for name, ends in _columns(pairs)},
                **{f"{name}_keys": [end.identity[1] for end in ends] for name, ends in _columns(pairs)},
                "ats": [pair.occurred_at for pair in pairs],
                "facts": [f"{pair.source}\x1f{pair.key}" for pair in pairs],
            },
        )


def rows(statement: str, params: Any = None) -> list[tuple[Any, ...]]:
    """Run one statement; its rows, if it has any."""
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return cursor.fetchall() if cursor.description else []


def _columns(pairs: Sequence[Pair]) -> list[tuple[str, list[End]]]:
    return [("a", [pair.one for pair in pairs]), ("b", [pair.other for pair in pairs])]


def _end(new: Mapping[IdentityKey, NewIdentity], row: Sequence[Any]) -> End:
    kind, key, identity, customer, shared, verdict = row
    if identity is None:
        return End((kind, key), None, None, new[(kind, key)].placeholder, settled=False)
    return End((kind, key), identity, customer, bool(shared), settled=bool(verdict))


def _value_of(kind: str, key: str, sealed: bytes | None) -> str | None:
    """The identity's own value out of the fact's sealed ones."""
    if sealed is None:
        return None
    value: str | None = json.loads(unseal(sealed)).get(f"{kind}:{key}")
    return value


_NEW = """
with named as (
  select subject_kind as kind, subject_key as key, occurred_at, sealed
  from window_fact where who is null and subject_key is not null
  union all
  select pair->>0, pair->>1, occurred_at, sealed
  from window_fact cross join lateral jsonb_array_elements(who) as p(pair) where who is not null
)
select n.kind, n.key, n.occurred_at, case when n.kind = any(%(direct)s) then n.sealed end
from (select distinct on (kind, key) * from named order by kind, key, occurred_at) n
-- A look-up each: as an anti-join the planner reads the index of all identities, whatever the window.
left join lateral (select i.id from customers_identity i where i.kind = n.kind and i.key = n.key limit 1) i on true
where i.id is null
order by n.kind, n.key
"""
_PAIRS = """
with pair as (
  select w.occurred_at, w.source, w.key, w.fact_key, w.subject_kind as a_kind, w.subject_key as a_key,
         p.pair->>0 as b_kind, p.pair->>1 as b_key
  from window_fact w cross join lateral jsonb_array_elements(w.who) as p(pair)
  where w.who is not null and w.kind <> all(%(decisions)s)
), earliest as (
  select distinct on (least(a, b), greatest(a, b)) *
  from (select *, a_kind || chr(31) || a_key as a, b_kind || chr(31) || b_key as b from pair) named
  where a <> b order by least(a, b), greatest(a, b), occurred_at, fact_key
)
select e.occurred_at, e.source, e.key, l.occurred_at is null, coalesce(l.void, false),
       e.a_kind, e.a_key, a.id, a.customer_id, a.shared, a.verdict,
       e.b_kind, e.b_key, b.id, b.customer_id, b.shared, b.verdict
from earliest e
left join customers_identity a on a.kind = e.a_kind and a.key = e.a_key
left join customers_identity b on b.kind = e.b_kind and b.key = e.b_key
left join customers_identitylink l on l.low = least(a.id, b.id) and l.high = greatest(a.id, b.id)
  and a.id is not null and b.id is not null
where l.occurred_at is null or (e.occurred_at, e.fact_key) < (l.occurred_at, l.fact_key)
order by e.occurred_at, e.fact_key, e.a, e.b
"""
LINKS_OF = """
select low as one, high as other, occurred_at, fact_key, by_hand, void from customers_identitylink where low = t.id
union all
select high, low, occurred_at, fact_key, by_hand, void from customers_identitylink where high = t.id
"""
_TIED = f"""
select t.id, o.kind, count(*) from unnest(%(ids)s::bigint[]) as t(id) cross join lateral ({LINKS_OF}) l
join customers_identity o on o.id = l.other
where l.occurred_at is not null and not l.void group by t.id, o.kind
"""
_REMEMBER = """
insert into customers_identitylink as l (low, high, occurred_at, fact_key)
select least(a.id, b.id), greatest(a.id, b.id), n.occurred_at, n.fact_key
from unnest(%(a_kinds)s::text[], %(a_keys)s::text[], %(b_kinds)s::text[], %(b_keys)s::text[],
            %(ats)s::timestamptz[], %(facts)s::text[]) as n(a_kind, a_key, b_kind, b_key, occurred_at, fact_key)
join customers_identity a on a.kind = n.a_kind and a.key = n.a_key
join customers_identity b on b.kind = n.b_kind and b.key = n.b_key
on conflict (low, high) do update set occurred_at = excluded.occurred_at, fact_key = excluded.fact_key
where l.occurred_at is null or (excluded.occurred_at, excluded.fact_key) < (l.occurred_at, l.fact_key)
"""
