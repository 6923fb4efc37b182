"""Sets that hold a person: snapshots of audiences, set facts of the log, the live sets of the engine.

A snapshot without her says what it would have said had she never been there: its counts go down with her.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext_lazy as _
from pyroaring import BitMap

from hetang.audiences.models import Audience, AudienceSnapshot, Staying
from hetang.audiences.services import alone
from hetang.platform.engine_client import EngineUnavailable, call
from hetang.platform.holdings import Checkpoint, Holding, NotNow, Person

CHUNK = 50  # sets read at once: one of 20 million people weighs up to 3 MB


def _snapshots(person: Person) -> Iterator[tuple[int, list[int]]]:
    """Audiences, and the ids of their snapshots that hold her or say that she came or went, by sequence."""
    hers = BitMap(person.numbers)
    for audience in Audience.objects.order_by("id").values_list("pk", flat=True):
        rows = AudienceSnapshot.objects.filter(audience=audience).order_by("sequence")
        sets = rows.values_list("pk", "members", "entered_members", "left_members").iterator(chunk_size=CHUNK)
        found = [pk for pk, *packed in sets if any(_read(one) & hers for one in packed)]
        if found:
            yield audience, found


def _read(packed: bytes | memoryview | None) -> BitMap:
    return BitMap() if packed is None else BitMap.deserialize(bytes(packed))


def _snapshot_count(person: Person) -> int:
    return sum(len(found) for _audience, found in _snapshots(person))


def _snapshot_erase(person: Person, checkpoint: Checkpoint) -> int:
    changed = 0
    for audience, found in list(_snapshots(person)):
        with alone(audience):  # a refresh that began before would compare with the snapshot as it was
            for pk in found:
                with transaction.atomic():
                    _take_out(pk, BitMap(person.numbers))
                changed += 1
                checkpoint()
    return changed


def _take_out(pk: int, hers: BitMap) -> None:
    """From the earliest snapshot to the latest: the one before holds her no more, the one after may still."""
    row = AudienceSnapshot.objects.select_for_update().get(pk=pk)
    members = _read(row.members)
    gone, rest = len(members & hers), members - hers
    row.members, row.count = rest.serialize(), len(rest)
    if row.entered_members is None:
        row.entered -= gone
    else:
        came, went = _read(row.entered_members) - hers, _read(row.left_members) - hers
        row.entered_members, row.entered = came.serialize(), len(came)
        row.left_members, row.left = went.serialize(), len(went)
    row.save(update_fields=["members", "count", "entered", "left", "entered_members", "left_members"])
    after = AudienceSnapshot.objects.filter(audience=row.audience_id, sequence=row.sequence + 1).first()
    if after is None:
        Audience.objects.filter(pk=row.audience_id).update(count=len(rest))
    elif after.entered_members is None:  # it says only how many came and went
        staying = len(_read(after.members) & members & hers)
        AudienceSnapshot.objects.filter(pk=after.pk).update(
            left=after.left - (gone - staying), entered=after.entered + staying
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
    return [pk for pk, packed in Staying.objects.values_list("pk", "members") if _read(packed) & hers]


def _staying_count(person: Person) -> int:
    return len(_staying(person))


def _staying_erase(person: Person, checkpoint: Checkpoint) -> int:
    found = _staying(person)
    for pk in found:
        with transaction.atomic():
            row = Staying.objects.select_for_update().filter(pk=pk).first()
            if row is not None:
                row.members = (_read(row.members) - BitMap(person.numbers)).serialize()
                row.save(update_fields=["members"])
        checkpoint()
    return len(found)


HOLDINGS = [
    Holding("snapshots", _("Snapshots of audiences"), _snapshot_count, _snapshot_erase),
    Holding("set_facts", _("Sets in the fact log (entered, left, sent)"), _fact_count, _fact_erase),
    Holding("staying", _("Automatic tags that stay on for some days"), _staying_count, _staying_erase),
    Holding("live_sets", _("Live sets of the engine, and their file"), _live_count, _live_erase, in_engine=True),
]
