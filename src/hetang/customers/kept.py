"""Tags that a rule keeps: exactly those who fit wear them, by set facts.

One fact says whom the rule put the tag on, one whom it took it off; their fold is who wears it. It is held twice, in
one transaction with the facts: as a roaring set with the changes since it was written (the live sets of the engine
follow those), and in rows of 8,192 customers with a bit for each, which SQL can look into (lists, bulk changes, one
person). Nobody puts such a tag on or takes it off by hand: a word of a person or a system on it is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import psycopg
from django.db import connection, transaction
from django.db.models import Exists, F, Func, IntegerField, OuterRef, Q, QuerySet
from pyroaring import BitMap

from hetang.customers.kept_bits import CHUNK_BITS, CHUNK_BYTES, bits_of
from hetang.customers.models import Customer, KeptChunk, KeptTag, Tag
from hetang.facts import intake
from hetang.facts.intake import Draft
from hetang.facts.models import Fact
from hetang.platform import clock

SOURCE = "hetang.tags"
PUT_ON, TAKEN_OFF = "tag.kept", "tag.released"
FEW = 10_000  # so many numbers are named one by one; more are looked up
CHANGES = 32  # so many follow a set before it is written anew


def begin(tag: Tag) -> None:
    """Let a new tag, which nobody wears, be kept by a rule from now on."""
    KeptTag.objects.create(tag=tag, members=BitMap().serialize())


def keep(tag_id: int, members: BitMap, rule: dict[str, Any]) -> tuple[int, int]:
    """Let exactly these people wear the tag; returns how many it was put on and taken off. `rule` is who says so, for
    the facts. A run that was repeated finds no difference. One row for each 8,192 customers with a change."""
    with transaction.atomic():
        row = KeptTag.objects.select_for_update().defer("members").select_related("tag").get(tag=tag_id)
        before = members_of(tag_id)
        differing = members ^ before
        if not differing:
            return 0, 0
        on = differing & members
        off = differing - on
        now = clock.now()
        row.sequence += 1
        drafts = [
            Draft(kind, f"{tag_id}:{row.sequence}:{kind}", now, body={"tag": row.tag.code, **rule},
                  members=some.serialize())
            for kind, some in ((PUT_ON, on), (TAKEN_OFF, off)) if some
        ]  # fmt: skip
        outcome = intake.record(SOURCE, drafts)
        if outcome.accepted != len(drafts):
            raise RuntimeError(f"{len(drafts)} facts of a kept tag, {outcome.accepted} taken")
        row.changed_at = now
        _store(row, members, on, off)
        return len(on), len(off)


def take_out(row: KeptTag, numbers: Iterable[int]) -> bool:
    """Take people out who are erased, without a fact; false if none of them wore it. `row` is locked by the caller."""
    before = members_of(row.pk)
    gone = before & BitMap(numbers)
    if gone:
        _store_anew(row, before - gone, gone)
    return bool(gone)


def _store(row: KeptTag, members: BitMap, on: BitMap, off: BitMap) -> None:
    """Note a change behind the set. After many of them, or a large one, the set is written anew. Those many stay
    until the next time, for who follows."""
    if 4 * (len(on) + len(off)) > len(members):
        _store_anew(row, members, on | off)
        return
    row.count, row.stamp = len(members), row.stamp + 1
    _run(_CHANGE, [row.pk, row.stamp, on.serialize(), off.serialize()])
    if row.stamp - row.base > CHANGES:
        _run(_FORGET, [row.pk, row.base])
        row.base = row.stamp
        _run(_WRITE, [members.serialize(), row.base, row.pk])
    _finish(row, members, on | off)


def _store_anew(row: KeptTag, members: BitMap, changed: BitMap) -> None:
    """The set alone, without a trace of who was in it before."""
    row.count, row.stamp = len(members), row.stamp + 1
    row.base = row.stamp
    _run(_FORGET, [row.pk, row.base])
    _run(_WRITE, [members.serialize(), row.base, row.pk])
    _finish(row, members, changed)


def _finish(row: KeptTag, members: BitMap, changed: BitMap) -> None:
    _run(_KEEP, [row.count, row.stamp, row.sequence, row.changed_at, row.pk])
    chunks, bits = bits_of(members, changed)
    _run(_KEEP_CHUNKS, [row.pk, chunks, b"".join(bits)])


def _run(sql: str, values: Sequence[Any]) -> list[Any]:
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:  # Django's own cursors write and read sets as text
        cursor.execute(sql.replace("%s", "%b"), values, binary=True)
        return cursor.fetchall() if cursor.description else []


def members_of(tag_id: int) -> BitMap:
    """Who wears a kept tag; nobody where no rule keeps it."""
    found = _followed({}, [tag_id])
    return found[tag_id][1] if found else BitMap()


def follow(known: Mapping[int, tuple[int, BitMap]]) -> dict[int, tuple[int, BitMap]]:
    """All kept tags by id, each with the stamp of its set. What is `known` is brought up to date by the changes since;
    a whole set is read only where those are gone. The sets that are known stay as they are."""
    return _followed(known, None)


def _followed(known: Mapping[int, tuple[int, BitMap]], only: list[int] | None) -> dict[int, tuple[int, BitMap]]:
    found = {}
    values = [list(known), [stamp for stamp, _members in known.values()], only]
    for tag, stamp, packed, on, off in _run(_FOLLOW, values):
        if packed is None and not on:
            found[tag] = known[tag]
            continue
        members = BitMap(known[tag][1]) if packed is None else BitMap.deserialize(packed)
        for put_on, taken_off in zip(on, off, strict=True):
            members -= BitMap.deserialize(taken_off)
            members |= BitMap.deserialize(put_on)
        found[tag] = (stamp, members)
    return found


def worn_by(numbers: Iterable[int]) -> dict[int, list[int]]:
    """The ids of the kept tags that each of some customers wears."""
    found: dict[int, list[int]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_WORN, [list(numbers)])
        for number, tag in cursor.fetchall():
            found.setdefault(number, []).append(tag)
    return found


def wearing(among: QuerySet[Customer], row: KeptTag) -> QuerySet[Customer]:
    """Those of some customers who wear a kept tag."""
    if row.count <= FEW:
        return among.filter(pk__in=members_of(row.pk).to_array().tolist())
    bit = Func(OuterRef("pk"), template="(%(expressions)s & 8191)::int", output_field=IntegerField())
    chunk = Func(OuterRef("pk"), template="(%(expressions)s >> 13)::int", output_field=IntegerField())
    worn = Func(F("bits"), bit, function="get_bit", output_field=IntegerField())
    return among.filter(Exists(KeptChunk.objects.annotate(worn=worn).filter(tag=row.pk, chunk=chunk, worn=1)))


def folded(tag: Tag) -> BitMap:
    """Who wears a tag by its facts alone: a reading of all of them, to prove the set."""
    found = BitMap()
    facts = Fact.objects.filter(source=SOURCE, kind__in=(PUT_ON, TAKEN_OFF), body__tag=tag.code).order_by("id")
    for kind, packed in facts.values_list("kind", "members"):
        some = BitMap.deserialize(bytes(packed or b""))
        found = found | some if kind == PUT_ON else found - some
    return found


def rebuild(tag: Tag) -> None:
    """Write set and bits of a tag anew from its facts."""
    with transaction.atomic():
        row = KeptTag.objects.select_for_update().get(tag=tag)
        truth = folded(tag)
        _store_anew(row, truth, truth | members_of(tag.pk) | from_bits(tag.pk))


def from_bits(tag_id: int) -> BitMap:
    """Who wears a tag by the rows that SQL looks into."""
    import numpy as np

    found = BitMap()
    for chunk, bits in KeptChunk.objects.filter(tag=tag_id).values_list("chunk", "bits"):
        worn = np.flatnonzero(np.unpackbits(np.frombuffer(bytes(bits), dtype=np.uint8), bitorder="little"))
        found |= BitMap((worn + (chunk << CHUNK_BITS)).tolist())
    return found


def held_by(numbers: Iterable[int]) -> Iterator[KeptTag]:
    """Kept tags whose sets hold any of these people."""
    hers = BitMap(numbers)
    holding = [tag for tag, (_stamp, members) in follow({}).items() if members & hers]
    yield from KeptTag.objects.filter(pk__in=holding).select_related("tag").order_by("pk")


# All in one statement, so that set, stamp and changes are of one moment.
_FOLLOW = """
select k.tag_id, k.stamp, case when s.since = w.stamp then null else k.members end,
       array(select c.put_on from customers_keptchange c
             where c.tag_id = k.tag_id and c.stamp > s.since order by c.stamp),
       array(select c.taken_off from customers_keptchange c
             where c.tag_id = k.tag_id and c.stamp > s.since order by c.stamp)
from customers_kepttag k
left join unnest(%s::bigint[], %s::bigint[]) as w(tag, stamp) on w.tag = k.tag_id
cross join lateral (
  select case when k.stamp = w.stamp or exists (
    select from customers_keptchange c where c.tag_id = k.tag_id and c.stamp = w.stamp + 1
  ) then w.stamp else k.base end as since
) s
where k.tag_id = any(coalesce(%s::bigint[], array[k.tag_id]))
"""
_CHANGE = "insert into customers_keptchange (tag_id, stamp, put_on, taken_off) values (%s, %s, %s, %s)"
_FORGET = "delete from customers_keptchange where tag_id = %s and stamp <= %s"
_WRITE = "update customers_kepttag set members = %s, base = %s where tag_id = %s"
_KEEP = "update customers_kepttag set count = %s, stamp = %s, sequence = %s, changed_at = %s where tag_id = %s"
# The bits of all chunks come as one value: an array of a thousand and more costs three times as much to write and read.
_KEEP_CHUNKS = f"""
insert into customers_keptchunk (tag_id, chunk, bits)
select %s, c.chunk, substr(given.bits, (c.place::int - 1) * {CHUNK_BYTES} + 1, {CHUNK_BYTES})
from unnest(%s::integer[]) with ordinality as c(chunk, place), (select %s::bytea as bits) given
on conflict (tag_id, chunk) do update set bits = excluded.bits
"""
NOT_KEPT = Q(kept=None)  # of tags: those that people and systems put on
_WORN = """
select n.number, k.tag_id from unnest(%s::bigint[]) as n(number)
join customers_keptchunk k on k.chunk = (n.number >> 13)::int
where get_bit(k.bits, (n.number & 8191)::int) = 1 order by 1, 2
"""
