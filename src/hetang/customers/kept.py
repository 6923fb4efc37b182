"""Tags that a rule keeps: exactly those who fit wear them, by set facts.

One fact says whom the rule put the tag on, one whom it took it off; their fold is who wears it. It is held twice, in
one transaction with the facts: as a roaring set (the live sets of the engine), and in rows of 65,536 customers with a
bit for each, which SQL can look into (lists, bulk changes, one person). Nobody puts such a tag on or takes it off by
hand: a word of a person or a system on it is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import psycopg
from django.db import connection, transaction
from django.db.models import Exists, F, Func, IntegerField, OuterRef, Q, QuerySet
from pyroaring import BitMap

from hetang.customers.models import Customer, KeptChunk, KeptTag, Tag
from hetang.facts import intake
from hetang.facts.intake import Draft
from hetang.facts.models import Fact
from hetang.platform import clock

if TYPE_CHECKING:
    import numpy as np

SOURCE = "hetang.tags"
PUT_ON, TAKEN_OFF = "tag.kept", "tag.released"
CHUNK_BITS = 16
FEW = 10_000  # so many numbers are named one by one; more are looked up


def begin(tag: Tag) -> None:
    """Let a new tag, which nobody wears, be kept by a rule from now on."""
    KeptTag.objects.create(tag=tag, members=BitMap().serialize())


def keep(tag_id: int, members: BitMap, rule: dict[str, Any]) -> tuple[int, int]:
    """Let exactly these people wear the tag; returns how many it was put on and taken off. `rule` is who says so, for
    the facts. A run that was repeated finds no difference. One row for each 65,536 customers with a change."""
    with transaction.atomic():
        row = KeptTag.objects.select_for_update().defer("members").select_related("tag").get(tag=tag_id)
        before = BitMap.deserialize(_run("select members from customers_kepttag where tag_id = %s", [tag_id])[0][0])
        on, off = members - before, before - members
        if not on and not off:
            return 0, 0
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
        _store(row, members, on | off)
        return len(on), len(off)


def take_out(row: KeptTag, numbers: Iterable[int]) -> bool:
    """Take people out who are erased, without a fact; false if none of them wore it. `row` is locked by the caller."""
    before = BitMap.deserialize(bytes(row.members))
    gone = before & BitMap(numbers)
    if gone:
        _store(row, before - gone, gone)
    return bool(gone)


def _store(row: KeptTag, members: BitMap, changed: BitMap) -> None:
    row.members, row.count, row.stamp = members.serialize(), len(members), row.stamp + 1
    _run(_KEEP, [row.members, row.count, row.stamp, row.sequence, row.changed_at, row.pk])
    chunks = _chunks(changed)
    _run(_KEEP_CHUNKS, [row.pk, chunks, [_bits(members, chunk) for chunk in chunks]])


def _run(sql: str, values: Sequence[Any]) -> list[Any]:
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:  # Django's own cursors write and read sets as text
        cursor.execute(sql.replace("%s", "%b"), values, binary=True)
        return cursor.fetchall() if cursor.description else []


def _chunks(numbers: BitMap) -> list[int]:
    import numpy as np

    found: np.ndarray[Any, Any] = np.unique(np.frombuffer(numbers.to_array(), dtype=np.uint32) >> CHUNK_BITS)
    return [int(chunk) for chunk in found]


def _bits(members: BitMap, chunk: int) -> bytes:
    """Bit n of byte n // 8 is customer `chunk * 65536 + n`, as PostgreSQL's `get_bit` counts."""
    import numpy as np

    first = chunk << CHUNK_BITS
    here = members & BitMap(range(first, first + (1 << CHUNK_BITS)))
    worn = np.zeros(1 << CHUNK_BITS, dtype=np.uint8)
    worn[np.frombuffer(here.to_array(), dtype=np.uint32) - first] = 1
    return np.packbits(worn, bitorder="little").tobytes()


def members_of(tag_id: int) -> BitMap:
    """Who wears a kept tag; nobody where no rule keeps it."""
    packed = KeptTag.objects.filter(tag=tag_id).values_list("members", flat=True).first()
    return BitMap() if packed is None else BitMap.deserialize(bytes(packed))


def follow(known: Mapping[int, tuple[int, BitMap]]) -> dict[int, tuple[int, BitMap]]:
    """All kept tags by id, each with the stamp of its set; sets whose stamp is known are not read again."""
    stamps = dict(KeptTag.objects.values_list("tag", "stamp"))
    stale = [tag for tag, stamp in stamps.items() if known.get(tag, (-1,))[0] != stamp]
    found = {tag: known[tag] for tag in stamps if tag not in set(stale)}
    select = "select tag_id, stamp, members from customers_kepttag where tag_id = any(%s::bigint[])"
    for tag, stamp, packed in _run(select, [stale]) if stale else ():
        found[tag] = (stamp, BitMap.deserialize(packed))
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
        return among.filter(pk__in=BitMap.deserialize(bytes(row.members)).to_array().tolist())
    bit = Func(OuterRef("pk"), template="(%(expressions)s & 65535)::int", output_field=IntegerField())
    chunk = Func(OuterRef("pk"), template="(%(expressions)s >> 16)::int", output_field=IntegerField())
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
        _store(row, truth, truth | BitMap.deserialize(bytes(row.members)) | from_bits(tag.pk))


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
    for row in KeptTag.objects.select_related("tag").order_by("pk"):
        if BitMap.deserialize(bytes(row.members)) & hers:
            yield row


_KEEP = """
update customers_kepttag set members = %s, count = %s, stamp = %s, sequence = %s, changed_at = %s where tag_id = %s
"""
_KEEP_CHUNKS = """
insert into customers_keptchunk (tag_id, chunk, bits)
select %s, c.chunk, c.bits from unnest(%s::integer[], %s::bytea[]) as c(chunk, bits)
on conflict (tag_id, chunk) do update set bits = excluded.bits
"""
NOT_KEPT = Q(kept=None)  # of tags: those that people and systems put on
_WORN = """
select n.number, k.tag_id from unnest(%s::bigint[]) as n(number)
join customers_keptchunk k on k.chunk = (n.number >> 16)::int
where get_bit(k.bits, (n.number & 65535)::int) = 1 order by 1, 2
"""
