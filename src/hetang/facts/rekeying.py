"""Facts under a new lookup key: `who`, the subject and the names of the sealed values, which are sealed anew, too.

The log is read by position, so a fact keeps its place; nobody who follows it notices.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from hetang.facts.rules import DIRECT_KINDS
from hetang.platform.sealing import current_mark, lookup_key, seal, unseal

CHUNK = 1_000

# epoch, transaction and number; then what may change
_NEXT = """
select f.epoch, f.tx::text, f.id, f.subject_kind, f.subject_key, f.who::text, f.sealed
from facts_fact f
where (f.epoch, f.tx, f.id) > (%(epoch)s, %(tx)s::text::xid8, %(id)s) and f.sealed is not null
  and (substring(f.sealed from 1 for length(%(mark)s::bytea)) <> %(mark)s
    or f.received_at between %(since)s and %(until)s)
order by f.epoch, f.tx, f.id limit %(chunk)s
"""
_REWRITE = """
update facts_fact f set subject_key = n.subject, who = n.who, sealed = n.sealed
from unnest(%(epochs)s::smallint[], %(txs)s::text[], %(ids)s::bigint[], %(subjects)s::text[], %(whos)s::jsonb[],
            %(sealed)s::bytea[], %(old)s::bytea[]) as n(epoch, tx, id, subject, who, sealed, old)
where f.epoch = n.epoch and f.tx = n.tx::xid8 and f.id = n.id and f.sealed = n.old
"""
START = (0, "0", 0)


def rewrite(after: Sequence[Any], since: datetime, until: datetime) -> tuple[list[Any] | None, int]:
    """Write the next facts behind a position under the current keys, in one transaction: those that are sealed with an
    older key, and all that came between `since` and `until`, while processes changed over to the new ones.

    Returns where the next chunk begins (None: there is none) and how many changed. About 20,000 facts a second.
    """
    epoch, tx, number = after
    params = {
        "epoch": epoch,
        "tx": tx,
        "id": number,
        "mark": current_mark(),
        "since": since,
        "until": until,
        "chunk": CHUNK,
    }
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, params)
        rows = cursor.fetchall()
    if not rows:
        return None, 0
    new = [_renewed(row) for row in rows]
    changed = [(row, one) for row, one in zip(rows, new, strict=True) if one is not None]
    _write(changed)
    return list(rows[-1][:3]), len(changed)


def _write(changed: Sequence[tuple[Sequence[Any], tuple[str | None, str | None, bytes]]]) -> None:
    if not changed:
        return
    with connection.cursor() as cursor:
        cursor.execute(
            _REWRITE,
            {
                "epochs": [row[0] for row, _new in changed],
                "txs": [row[1] for row, _new in changed],
                "ids": [row[2] for row, _new in changed],
                "old": [bytes(row[6]) for row, _new in changed],
                "subjects": [new[0] for _row, new in changed],
                "whos": [new[1] for _row, new in changed],
                "sealed": [new[2] for _row, new in changed],
            },
        )


def _renewed(row: Sequence[Any]) -> tuple[str | None, str | None, bytes] | None:
    """Subject key, `who` (JSON) and sealed values under the current keys; None when they are so already."""
    subject_kind, subject_key, who, sealed = row[3:]
    keys = _renamed(json.loads(unseal(sealed)))
    if not keys and bytes(sealed).startswith(current_mark()):
        return None
    return under(keys, subject_kind, subject_key, who, bytes(sealed))


def _renamed(values: dict[str, str]) -> dict[str, str]:
    """Names of sealed values (`kind:key`) that are not those of the current lookup key, with those that are."""
    found = {}
    for name, value in values.items():
        kind, _colon, _key = name.partition(":")
        if kind in DIRECT_KINDS and name != (wanted := f"{kind}:{lookup_key(kind, value)}"):
            found[name] = wanted
    return found


def under(
    names: dict[str, str], subject_kind: str | None, subject_key: str | None, who: str | None, sealed: bytes
) -> tuple[str | None, str | None, bytes]:
    """Subject key, `who` and sealed values of a fact with other names for its direct identities, sealed anew."""
    values = {names.get(name, name): value for name, value in json.loads(unseal(sealed)).items()}
    subject = names.get(f"{subject_kind}:{subject_key}", f"{subject_kind}:{subject_key}").partition(":")[2]
    pairs = None
    if who is not None:
        named = [names.get(f"{kind}:{key}", f"{kind}:{key}").partition(":") for kind, key in json.loads(who)]
        pairs = json.dumps([[kind, key] for kind, _colon, key in named], ensure_ascii=False)
    plain = json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode()
    return (None if subject_key is None else subject), pairs, seal(plain)


_MERGED = """
with chosen as (
  select f.epoch, f.tx, f.id, f.body->'evidence' as evidence from facts_fact f
  where f.kind = 'customer.merged' and (f.epoch, f.tx, f.id) > (%(epoch)s, %(tx)s::text::xid8, %(id)s)
  order by f.epoch, f.tx, f.id limit %(chunk)s
), done as (
  update facts_fact f set body = jsonb_set(f.body, '{evidence}', (
    select jsonb_agg(coalesce(jsonb_build_array(n.kind, n.new), p.pair) order by p.place)
    from jsonb_array_elements(c.evidence) with ordinality as p(pair, place)
    left join {names} n on n.kind = p.pair->>0 and n.old = p.pair->>1))
  from chosen c
  where (f.epoch, f.tx, f.id) = (c.epoch, c.tx, c.id) and jsonb_typeof(c.evidence) = 'array'
    and exists (select from jsonb_array_elements(c.evidence) as p(pair)
                join {names} n on n.kind = p.pair->>0 and n.old = p.pair->>1)
  returning 1
)
select epoch, tx::text, id, (select count(*) from done) from chosen order by epoch desc, tx desc, id desc limit 1
"""


def rename_merges(after: Sequence[Any], names: str) -> tuple[list[Any] | None, int]:
    """The evidence in the next facts `customer.merged` behind a position by today's keys. `names` is SQL of ours: what
    `(kind, old, new)` keys are called. Returns as `rewrite`."""
    epoch, tx, number = after
    params = {"epoch": epoch, "tx": tx, "id": number, "chunk": CHUNK}
    with connection.cursor() as cursor:
        cursor.execute(_MERGED.replace("{names}", names), params)
        row = cursor.fetchone()
    return (None, 0) if row is None else (list(row[:3]), row[3])
