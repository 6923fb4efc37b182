"""Facts about a person: in the log, in the raw intake, among those held.

A fact that is erased keeps its place in the log and its key's hash in `facts_key`, so that the same fact cannot come
back from a repeated delivery. Facts of sales stay as anonymous ones, which the books need: amounts, lines, store, order
number. All others lose kind, key, body and everybody whom they name.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec
from django.db import connection
from django.utils.translation import gettext_lazy as _

from hetang.facts import rules
from hetang.facts.errors import Refusal
from hetang.facts.models import HeldFact
from hetang.platform.holdings import Checkpoint, Holding, Person, Position
from hetang.platform.sealing import seal, unseal

ERASED = "fact.erased"
SALES = ("order.placed", "order.refunded")
CHUNK = 2_000
RAW_CHUNK = 100  # batches of up to a thousand facts

_SUBJECT_IS_HERS = """
select {columns} from unnest(%(kinds)s::text[], %(keys)s::text[]) as n(kind, key)
join facts_fact f on f.subject_kind = n.kind and f.subject_key = n.key where {when}
"""
_NAMES_HER_TOO = (
    "select {columns} from facts_fact f where f.who is not null and f.who @> any(%(pairs)s::jsonb[]) and {when}"
)
_UNTIL = "(f.epoch, f.tx, f.id) <= (%(epoch)s, %(tx)s::text::xid8, %(fact)s)"
_UNAPPLIED = "(f.epoch, f.tx, f.id) > (%(e0)s, %(t0)s::text::xid8, %(i0)s)"
_PLACE = "f.tableoid as part, f.ctid as place"
# By the place of the row: it has no index of its own, and the statement that looked it up is the one that changes it.
_SCRUB = """
update facts_fact f set
  subject_kind = null, subject_key = null, who = null, sealed = null,
  kind = case when f.kind = any(%(sales)s) then f.kind else %(erased)s end,
  key = case when f.kind = any(%(sales)s) then f.key else '' end,
  body = case when f.kind = any(%(sales)s) then f.body else '{{}}'::jsonb end
from ({chosen}) c where f.ctid = c.place and f.tableoid = c.part
"""


def scrub_unapplied(person: Person, after: Position) -> int:
    """Empty her facts that a stream has not read yet, in the caller's transaction: they would make a new person."""
    hers = _hers(_PLACE, _UNAPPLIED)
    params = _params(person) | {"e0": after[0], "t0": str(after[1]), "i0": after[2]}
    return _scrub(hers, params)


def sources_of(person: Person) -> list[str]:
    """The systems that named her: they hold her data too, and must be told."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select distinct f.source from unnest(%(kinds)s::text[], %(keys)s::text[]) as n(kind, key)"
            " join facts_fact f on f.subject_kind = n.kind and f.subject_key = n.key order by 1",
            person.kinds_and_keys,
        )
        return [row[0] for row in cursor.fetchall()]


def _count(person: Person) -> int:
    with connection.cursor() as cursor:
        cursor.execute(f"select count(*) from ({_hers(_PLACE)}) hers", _params(person))
        return int(cursor.fetchone()[0])


def _erase(person: Person, checkpoint: Checkpoint) -> int:
    """Those that name her as their subject by an index; those that name her beside somebody else by reading the log
    once, without a write, so that no stream waits."""
    changed = 0
    subject = _SUBJECT_IS_HERS.format(columns=_PLACE, when=_UNTIL)
    while rows := _scrub(f"{subject} limit {CHUNK}", _params(person)):
        changed += rows
        checkpoint()
    with connection.cursor() as cursor:
        names_her = _NAMES_HER_TOO.format(columns="f.tableoid::bigint, f.ctid::text", when=_UNTIL)
        cursor.execute(names_her, _params(person))
        others = cursor.fetchall()
    for start in range(0, len(others), CHUNK):
        parts, places = zip(*others[start : start + CHUNK], strict=True)
        # A row that moved since then is found by the next pass.
        hers = f"""select {_PLACE} from unnest(%(parts)s::bigint[], %(places)s::text[]) as o(part, place)
          join facts_fact f on f.ctid = o.place::tid and f.tableoid::bigint = o.part
          where f.who @> any(%(pairs)s::jsonb[])"""
        changed += _scrub(hers, _params(person) | {"parts": list(parts), "places": list(places)})
        checkpoint()
    return changed


def _hers(columns: str, when: str = _UNTIL) -> str:
    return f"{_SUBJECT_IS_HERS} union {_NAMES_HER_TOO}".format(columns=columns, when=when)


def _scrub(chosen: str, params: dict[str, Any]) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_SCRUB.format(chosen=chosen), params)
        return int(cursor.rowcount)


def _params(person: Person) -> dict[str, Any]:
    epoch, tx, fact = person.until
    pairs = [json.dumps([[kind, key]]) for kind, key in person.pairs]
    names = {"sales": list(SALES), "erased": ERASED}
    return {**person.kinds_and_keys, **names, "pairs": pairs, "epoch": epoch, "tx": str(tx), "fact": fact}


def _tell(person: Person) -> list[dict[str, Any]]:
    names = ("occurred_at", "received_at", "kind", "source", "key", "body")
    columns = "f.occurred_at, f.received_at, f.kind, f.source, f.key, f.body::text, f.id"
    with connection.cursor() as cursor:
        cursor.execute(f"{_hers(columns)} order by 1, 7", _params(person))
        return [dict(zip(names, (*row[:5], json.loads(row[5])), strict=True)) for row in cursor.fetchall()]


# the raw intake -------------------------------------------------------------------------------------------------------


class _Loose(msgspec.Struct):
    source: str
    facts: list[msgspec.Raw]


class _Named(msgspec.Struct):
    who: list[dict[str, Any]] = []


_LOOSE = msgspec.json.Decoder(_Loose)
_NAMED = msgspec.json.Decoder(_Named)


def names_her(raw: bytes, person: Person) -> bool:
    """Whether a fact as it came (JSON) names her; one that cannot be read does if it holds a value of hers."""
    try:
        who = _NAMED.decode(raw).who
    except msgspec.DecodeError:
        return any(one.value.encode() in raw for one in person.identities)
    wanted = {(one.kind, one.value) for one in person.identities}
    return any(_normalised(one) in wanted for one in who)


def _normalised(one: dict[str, Any]) -> tuple[str, str] | None:
    kind, value = one.get("kind"), one.get("value")
    if not isinstance(kind, str) or not isinstance(value, str):
        return None
    try:
        return kind, rules.normalise_identity(kind, value)
    except Refusal:
        return None


def without_her(body: bytes, person: Person) -> bytes | None:
    """A raw batch without the facts that name her; None when there are none of hers in it."""
    try:
        batch = _LOOSE.decode(body)
    except msgspec.DecodeError:
        hers = any(one.value.encode() in body for one in person.identities)
        return b"{}" if hers else None
    kept = [raw for raw in batch.facts if not names_her(bytes(raw), person)]
    if len(kept) == len(batch.facts):
        return None
    return msgspec.json.encode({"source": batch.source, "facts": kept})


def _raw_batches(until: datetime, chunk: int = RAW_CHUNK) -> Iterator[list[tuple[datetime, int, bytes]]]:
    """All batches that are still kept, in chunks, by key."""
    place: tuple[datetime, int] = (datetime.min.replace(tzinfo=UTC), 0)
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                "select received_at, id, body from facts_intake where (received_at, id) > (%s, %s)"
                f" and received_at <= %s order by received_at, id limit {chunk}",
                [*place, until],
            )
            rows = cursor.fetchall()
        if not rows:
            return
        place = rows[-1][:2]
        yield rows


def _raw_count(person: Person) -> int:
    return sum(
        without_her(zlib.decompress(unseal(body)), person) is not None
        for rows in _raw_batches(person.at)
        for _at, _number, body in rows
    )


def _raw_erase(person: Person, checkpoint: Checkpoint) -> int:
    """Reads every batch that is still kept and writes those anew that name her."""
    changed = 0
    for rows in _raw_batches(person.at):
        for received_at, number, body in rows:
            rest = without_her(zlib.decompress(unseal(body)), person)
            if rest is not None:
                with connection.cursor() as cursor:
                    cursor.execute(
                        "update facts_intake set body = %s where received_at = %s and id = %s",
                        [seal(zlib.compress(rest, 1)), received_at, number],
                    )
                changed += 1
        checkpoint()
    return changed


# facts held -----------------------------------------------------------------------------------------------------------

_HELD_BY_A_STREAM = """
select h.id from facts_heldfact h join facts_fact f
  on f.received_at = h.received_at and f.id = (h.detail->>'fact_id')::bigint
where h.stage <> 'validate' and h.key <> '' and f.kind = %s
"""


def _held(person: Person) -> Iterator[int]:
    """Those that came as hers, and those that stand for a fact of the log which is erased by now."""
    rows = HeldFact.objects.filter(received_at__lte=person.at, stage="validate").exclude(reason="erased")
    for held in rows.only("id", "body").order_by("id").iterator(chunk_size=500):
        if names_her(unseal(held.body), person):
            yield held.pk
    with connection.cursor() as cursor:
        cursor.execute(_HELD_BY_A_STREAM, [ERASED])
        yield from [row[0] for row in cursor.fetchall()]


def _held_count(person: Person) -> int:
    return sum(1 for _ in _held(person))


def _held_erase(person: Person, checkpoint: Checkpoint) -> int:
    found = list(_held(person))
    for start in range(0, len(found), CHUNK):
        HeldFact.objects.filter(pk__in=found[start : start + CHUNK]).update(
            body=seal(b"{}"), key="", detail={}, reason="erased", state=HeldFact.DISMISSED
        )
        checkpoint()
    return len(found)


HOLDINGS = [
    Holding(
        "facts",
        _("What happened (the fact log)"),
        _count,
        _erase,
        _tell,
        _("Sales stay in the books without her: amount, lines, store, order number. Hashes of the facts' keys stay."),
        by_value=True,
    ),
    Holding("intake", _("What came in, as it came"), _raw_count, _raw_erase, by_value=True),
    Holding("held", _("Records that were held"), _held_count, _held_erase, by_value=True),
]
