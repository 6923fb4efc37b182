"""Sets that hold a person: snapshots of audiences, set facts of the log, the live sets of the engine.

A snapshot without her says what it would have said had she never been there: its counts go down with her.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction
from django.db.models import F
from django.utils.translation import gettext_lazy as _
from pyroaring import BitMap

from hetang.audiences import stored
from hetang.audiences.models import Audience, AudienceSnapshot, PondDay, PondFrame, PondSet, PondShare, Staying
from hetang.audiences.services import POND_SETS, alone
from hetang.platform.engine_client import EngineUnavailable, call
from hetang.platform.holdings import Checkpoint, Holding, NotNow, Person

CHUNK = 50  # sets read at once: one of 20 million people weighs up to 3 MB


def _chains(audience: int) -> Iterator[list[AudienceSnapshot]]:
    """An audience's snapshots from each key frame to the next, in order."""
    chain: list[AudienceSnapshot] = []
    for row in AudienceSnapshot.objects.filter(audience=audience).order_by("sequence").iterator(chunk_size=CHUNK):
        if chain and row.members is not None:
            yield chain
            chain = []
        chain.append(row)
    if chain:
        yield chain


def _those_with_her(chain: list[AudienceSnapshot], hers: BitMap) -> Iterator[tuple[AudienceSnapshot, BitMap]]:
    """Snapshots of a chain that hold her or say that she came or went, and under which numbers she was in."""
    inside = BitMap()
    for row in chain:
        changed = stored.moved(row.moved, row.entered_members, row.left_members) & hers
        inside = inside ^ changed if row.members is None else stored.unpacked(row.members) & hers
        if inside or changed:
            yield row, inside


def _audiences() -> list[int]:
    return list(Audience.objects.order_by("id").values_list("pk", flat=True))


def _snapshot_count(person: Person) -> int:
    hers = BitMap(person.numbers)
    chains = (chain for audience in _audiences() for chain in _chains(audience))
    return sum(1 for chain in chains for _row in _those_with_her(chain, hers))


def _snapshot_erase(person: Person, checkpoint: Checkpoint) -> int:
    """A chain at a time: half of one without her would say that she came where she went."""
    hers, changed = BitMap(person.numbers), 0
    for audience in _audiences():
        frames = [chain[0].sequence for chain in _chains(audience) if any(_those_with_her(chain, hers))]
        for first in frames:
            with alone(audience), transaction.atomic():  # a refresh that began before would compare with what was
                changed += _take_out(audience, first, hers)
            checkpoint()
    return changed


def _take_out(audience: int, first: int, hers: BitMap) -> int:
    """Of the chain that begins there: the one before holds her no more, the one after may still."""
    rows = AudienceSnapshot.objects.select_for_update().filter(audience=audience, sequence__gte=first)
    chain: list[AudienceSnapshot] = []
    for row in rows.order_by("sequence"):
        if chain and row.members is not None:
            break
        chain.append(row)
    found = list(_those_with_her(chain, hers))
    for row, inside in found:
        _without(row, inside, hers)
    return len(found)


def _without(row: AudienceSnapshot, inside: BitMap, hers: BitMap) -> None:
    row.count -= len(inside)
    if row.members is not None:
        row.members = (stored.unpacked(row.members) - hers).serialize()
    if row.moved is not None:
        row.moved = (stored.unpacked(row.moved) - hers).serialize()
    if row.entered_members is None:
        row.entered -= len(inside)
    else:
        came, went = stored.unpacked(row.entered_members) - hers, stored.unpacked(row.left_members) - hers
        row.entered_members, row.entered = came.serialize(), len(came)
        row.left_members, row.left = went.serialize(), len(went)
    row.save(update_fields=["members", "moved", "count", "entered", "left", "entered_members", "left_members"])
    after = AudienceSnapshot.objects.filter(audience=row.audience_id, sequence=row.sequence + 1).first()
    if after is None:
        Audience.objects.filter(pk=row.audience_id).update(count=row.count)
    elif after.entered_members is None:  # it says only how many came and went
        staying = len(stored.unpacked(after.members) & inside)
        AudienceSnapshot.objects.filter(pk=after.pk).update(
            left=after.left - (len(inside) - staying), entered=after.entered + staying
        )


# set facts ------------------------------------------------------------------------------------------------------------


def _set_facts(person: Person) -> Iterator[tuple[int, str, bytes]]:
    """(partition, place, members without her) of set facts that hold her."""
    hers = BitMap(person.numbers)
    with connection.cursor() as cursor:
        cursor.execute("select f.received_at, f.id from facts_fact f where f.members is not null order by 1, 2")
        places = cursor.fetchall()
    for start in range(0, len(places), CHUNK):
        at, ids = zip(*places[start : start + CHUNK], strict=True)
        with connection.cursor() as cursor:
            cursor.execute(
                "select f.tableoid::bigint, f.ctid::text, f.members from facts_fact f"
                " where (f.received_at, f.id) in (select * from unnest(%s::timestamptz[], %s::bigint[]))"
                " and f.members is not null",
                [list(at), list(ids)],
            )
            rows = cursor.fetchall()
        for part, place, packed in rows:
            members = BitMap.deserialize(bytes(packed))
            if members & hers:
                yield part, place, (members - hers).serialize()


def _fact_count(person: Person) -> int:
    return sum(1 for _row in _set_facts(person))


def _fact_erase(person: Person, checkpoint: Checkpoint) -> int:
    changed = 0
    for part, place, rest in _set_facts(person):
        with connection.cursor() as cursor:
            cursor.execute(
                "update facts_fact f set members = %s where f.ctid = %s::tid and f.tableoid::bigint = %s"
                " and f.members is not null",
                [rest, place, part],
            )
            changed += cursor.rowcount
        checkpoint()
    return changed


# the engine's live sets -----------------------------------------------------------------------------------------------


def _live_count(person: Person) -> int:
    return int(_ask("holds", person)["sets"])


def _ask(verb: str, person: Person) -> dict[str, Any]:
    """A verb of the set service about her numbers. Raises NotNow while the engine is away."""
    try:
        return call("sets", verb, {"numbers": list(person.numbers)}, timeout_s=60)
    except EngineUnavailable as problem:
        raise NotNow("live sets") from problem


def _live_erase(person: Person, _checkpoint: Checkpoint) -> int:
    """The sets follow the fact `customer.erased` by themselves, but need not wait for it; their file is written too."""
    before = _live_count(person)
    _ask("reread", person)
    return before


# automatic tags -------------------------------------------------------------------------------------------------------


def _staying(person: Person) -> list[int]:
    hers = BitMap(person.numbers)
    return [pk for pk, packed in Staying.objects.values_list("pk", "members") if stored.unpacked(packed) & hers]


def _staying_count(person: Person) -> int:
    return len(_staying(person))


def _staying_erase(person: Person, checkpoint: Checkpoint) -> int:
    found = _staying(person)
    for pk in found:
        with transaction.atomic():
            row = Staying.objects.select_for_update().filter(pk=pk).first()
            if row is not None:
                row.members = (stored.unpacked(row.members) - BitMap(person.numbers)).serialize()
                row.save(update_fields=["members"])
        checkpoint()
    return len(found)


# days of pond sets ----------------------------------------------------------------------------------------------------


def _frames_with_her(hers: BitMap) -> Iterator[tuple[int, int]]:
    """(pond set, frame) of frames that hold her, or from which a day differs by her."""
    for pond_set in PondSet.objects.order_by("id").values_list("pk", flat=True):
        for frame in PondFrame.objects.filter(pond_set=pond_set).order_by("id").iterator(chunk_size=CHUNK):
            differing = frame.shares.exclude(differs=None).values_list("differs", flat=True).iterator(chunk_size=CHUNK)
            if stored.unpacked(frame.members) & hers or any(stored.unpacked(one) & hers for one in differing):
                yield pond_set, frame.pk


def _days_with_her(frame: PondFrame, hers: BitMap) -> list[tuple[PondShare, BitMap]]:
    """The days of a frame on which she was there, and under which numbers."""
    found = []
    for share in frame.shares.order_by("id"):
        inside = (stored.unpacked(frame.members) ^ stored.unpacked(share.differs)) & hers
        if inside:
            found.append((share, inside))
    return found


def _pond_days_count(person: Person) -> int:
    hers = BitMap(person.numbers)
    frames = [pk for _set, pk in _frames_with_her(hers)]
    return sum(len(_days_with_her(frame, hers)) or 1 for frame in PondFrame.objects.filter(pk__in=frames))


def _pond_days_erase(person: Person, checkpoint: Checkpoint) -> int:
    """A frame at a time, with the days that are read by it."""
    hers, changed = BitMap(person.numbers), 0
    for pond_set, pk in list(_frames_with_her(hers)):
        with alone(pond_set, POND_SETS), transaction.atomic():  # a day whose taking began before would hold her
            frame = PondFrame.objects.select_for_update().filter(pk=pk).first()
            if frame is None:
                continue
            there = _days_with_her(frame, hers)
            for share, inside in there:
                PondDay.objects.filter(pk=share.day_id).update(people=F("people") - len(inside))
                PondShare.objects.filter(pk=share.pk).update(people=F("people") - len(inside))
            for share in frame.shares.exclude(differs=None):
                share.differs = (stored.unpacked(share.differs) - hers).serialize()
                share.save(update_fields=["differs"])
            frame.members = (stored.unpacked(frame.members) - hers).serialize()
            frame.save(update_fields=["members"])
            changed += len(there) or 1
        checkpoint()
    return changed


HOLDINGS = [
    Holding("snapshots", _("Snapshots of audiences"), _snapshot_count, _snapshot_erase),
    Holding("set_facts", _("Sets in the fact log (entered, left, sent)"), _fact_count, _fact_erase),
    Holding("staying", _("Automatic tags that stay on for some days"), _staying_count, _staying_erase),
    Holding("pond_days", _("Days of pond sets"), _pond_days_count, _pond_days_erase),
    Holding("live_sets", _("Live sets of the engine, and their file"), _live_count, _live_erase, in_engine=True),
]
