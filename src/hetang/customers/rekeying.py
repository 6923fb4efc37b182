"""Identities under a new lookup key, while facts come in under either.

What people are known by changes a chunk at a time: the keys of the identities and of all facts whose subject they are,
in one transaction in which no stream reads. So identity and facts always agree, except for facts that were written
under the other key than their identity has just now: the customers stream, which is the first to read a fact, writes
those as their identity is (`follow_window`), before anybody looks for it.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from django.db import connection, transaction

from hetang.customers.models import Customer, Identity
from hetang.facts import rekeying
from hetang.facts.rules import DIRECT_KINDS
from hetang.platform.environment import secrets_of_home
from hetang.platform.sealing import current_mark, lookup_key, lookup_keys, other_lookup_key, seal, unseal

CHUNK = 300
_NAMES = 2_000

# Whoever holds these rows and locks runs alone: streams skip a cursor that is locked, replays wait.
_ALONE = (
    "select 1 from facts_subscriptioncursor order by name for update",
    "select pg_advisory_xact_lock(hashtext('hetang.customers'))",
    "select pg_advisory_xact_lock(hashtext('hetang.commerce'))",
)
_NEW = "unnest(%(ids)s::bigint[], %(kinds)s::text[], %(old)s::text[], %(new)s::text[], %(sealed)s::bytea[])"
_IDENTITIES = f"""
update customers_identity i set key = n.new, sealed = n.sealed,
  former_key = case when n.new = n.old then i.former_key else n.old end
from {_NEW} as n(id, kind, old, new, sealed) where i.id = n.id and i.key = n.old
"""
_FACTS = f"""
update facts_fact f set subject_key = n.new
from {_NEW} as n(id, kind, old, new, sealed)
where n.new <> n.old and f.subject_kind = n.kind and f.subject_key = n.old
"""
_MERGES = """
update customers_merge m set evidence = (
  select jsonb_agg(case when i.id is null then p.pair else jsonb_build_array(i.kind, i.key) end order by p.place)
  from jsonb_array_elements(m.evidence) with ordinality as p(pair, place)
  left join customers_identity i on i.kind = p.pair->>0 and i.former_key = p.pair->>1
)
where m.id > %(after)s and m.id <= %(until)s
"""


@dataclass(frozen=True)
class _Renewed:
    """An identity that changes: its old and new key, its value sealed anew."""

    id: int
    kind: str
    old: str
    new: str
    sealed: bytes


def rekey(after: int) -> tuple[int | None, int]:
    """The next identities behind an id, under the current keys. Returns where the next chunk begins (None: there is
    none) and how many changed."""
    rows = Identity.objects.filter(pk__gt=after, kind__in=sorted(DIRECT_KINDS)).order_by("pk")[:CHUNK]
    read = list(rows.values_list("pk", "kind", "key", "sealed"))
    if not read:
        return None, 0
    changed = [one for one in (_renewed(*row) for row in read) if one is not None]
    if changed:
        _write(changed)
    return read[-1][0], len(changed)


# What identities were called before, for `facts.rekeying.rename_merges`.
FORMER_NAMES = "(select kind, former_key as old, key as new from customers_identity where former_key is not null)"


def rename_evidence(after: int, size: int) -> int | None:
    """The evidence of the next merges by today's keys; returns where the next chunk begins, None when there is none."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select max(id) from (select id from customers_merge where id > %s order by id limit %s) m", [after, size]
        )
        until: int | None = cursor.fetchone()[0]
        if until is not None:
            cursor.execute(_MERGES, {"after": after, "until": until})
    return until


def forget_name_keys(after: int) -> tuple[int | None, int]:
    """Forget the keys of the next names behind a customer number; `suspicions.key_names` works them out anew. Returns
    as `rekey`."""
    some = Customer.objects.filter(pk__gt=after).exclude(name_key=None).order_by("pk").values_list("pk", flat=True)
    numbers = list(some[:_NAMES])
    return (numbers[-1] if numbers else None), Customer.objects.filter(pk__in=numbers).update(name_key=None)


def forget_former(size: int) -> int:
    """Forget the keys by which identities were known before; returns how many it forgot."""
    some = Identity.objects.filter(former_key__isnull=False).order_by("pk").values("pk")[:size]
    return Identity.objects.filter(pk__in=some).update(former_key=None)


def _renewed(pk: int, kind: str, key: str, sealed: bytes | memoryview | None) -> _Renewed | None:
    if sealed is None:
        return None
    value = unseal(sealed).decode()
    new = lookup_key(kind, value)
    if new == key and bytes(sealed).startswith(current_mark()):
        return None
    return _Renewed(pk, kind, key, new, seal(value.encode()))


def _write(changed: list[_Renewed]) -> None:
    params: dict[str, Any] = {
        "ids": [one.id for one in changed],
        "kinds": [one.kind for one in changed],
        "old": [one.old for one in changed],
        "new": [one.new for one in changed],
        "sealed": [one.sealed for one in changed],
    }
    with transaction.atomic(), connection.cursor() as cursor:
        for statement in _ALONE:
            cursor.execute(statement)
        cursor.execute(_IDENTITIES, params)
        cursor.execute(_FACTS, params)


# facts that come under the other key ----------------------------------------------------------------------------------

_UNKNOWN = """
with named as (
  select subject_kind as kind, subject_key as key, sealed from window_fact
  where who is null and subject_kind = any(%(direct)s)
  union all
  select pair->>0, pair->>1, sealed from window_fact cross join lateral jsonb_array_elements(who) as p(pair)
  where who is not null and pair->>0 = any(%(direct)s)
)
select distinct on (kind, key) kind, key, sealed from named n
where sealed is not null and not exists (select from customers_identity i where i.kind = n.kind and i.key = n.key)
order by kind, key
"""
_KNOWN = """
select n.kind, n.key from unnest(%(kinds)s::text[], %(keys)s::text[]) as n(kind, key)
join customers_identity i on i.kind = n.kind and i.key = n.key
"""
_CONCERNED = """
select w.received_at, w.id, w.subject_kind, w.subject_key, w.who::text, w.sealed from window_fact w
where w.sealed is not null and (
  (w.subject_kind || ':' || w.subject_key) = any(%(names)s) or exists (
    select from jsonb_array_elements(w.who) as p(pair) where (p.pair->>0 || ':' || (p.pair->>1)) = any(%(names)s)))
"""
_REWRITE = """
update {table} f set subject_key = n.subject, who = n.who, sealed = n.sealed
from unnest(%(ats)s::timestamptz[], %(ids)s::bigint[], %(subjects)s::text[], %(whos)s::jsonb[], %(sealed)s::bytea[],
            %(old)s::bytea[]) as n(received_at, id, subject, who, sealed, old)
where f.received_at = n.received_at and f.id = n.id and f.sealed = n.old
"""


def follow_window() -> int:
    """Write those facts of the staged window whose identities are known under the other lookup key as these are now;
    returns how many. Nothing to pay while no key is being rotated."""
    if not secrets_of_home().lookup_other:
        return 0
    names = _other_names(_rows(_UNKNOWN, {"direct": sorted(DIRECT_KINDS)}))
    if not names:
        return 0
    rows = _rows(_CONCERNED, {"names": list(names)})
    new = [rekeying.under(names, kind, key, who, bytes(sealed)) for _at, _id, kind, key, who, sealed in rows]
    params = {
        "ats": [row[0] for row in rows],
        "ids": [row[1] for row in rows],
        "old": [bytes(row[5]) for row in rows],
        "subjects": [one[0] for one in new],
        "whos": [one[1] for one in new],
        "sealed": [one[2] for one in new],
    }
    with connection.cursor() as cursor:
        for table in ("facts_fact", "window_fact"):
            cursor.execute(_REWRITE.format(table=table), params)
    return len(rows)


def _other_names(unknown: Collection[tuple[str, str, bytes]]) -> dict[str, str]:
    """Names (`kind:key`) of the window that stand for an identity which has another key, with the name that counts:
    that of the identity, or for somebody new who comes under both keys at once that of the current key."""
    other: dict[tuple[str, str], tuple[str, str]] = {}
    current: dict[tuple[str, str], tuple[str, str]] = {}
    for kind, key, sealed in unknown:
        value = json.loads(unseal(sealed)).get(f"{kind}:{key}")
        if value is not None:
            other[kind, key] = (kind, other_lookup_key(kind, value, key))
            current[kind, key] = (kind, lookup_keys(kind, value)[0])
    kinds, keys = [kind for kind, _key in other.values()], [key for _kind, key in other.values()]
    known = set(_rows(_KNOWN, {"kinds": kinds, "keys": keys}))
    found = {}
    for one, its_other in other.items():
        wanted = its_other if its_other in known else current[one]
        if wanted != one:
            found[":".join(one)] = ":".join(wanted)
    return found


def _rows(statement: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        return list(cursor.fetchall())
