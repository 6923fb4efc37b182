"""Snapshots in and out of PostgreSQL in binary: a set of three million people weighs 2.5 MB, twice that as text.

A snapshot holds either everybody (a key frame) or whom it differs by from the one before. Every chain begins with a key
frame, and is never longer than `CHAIN` nor heavier than its frame, so that any snapshot is read by few rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import psycopg
from django.db import connection
from pyroaring import BitMap

from hetang.audiences.models import AudienceSnapshot

Packed = bytes | memoryview | None

CHAIN = 60  # with one a minute, an hour
_COLUMNS = ("audience_id", "sequence", "at", "version", "members", "count", "entered", "left", "entered_members",
            "left_members", "moved")  # fmt: skip
_READ = """
select s.members, s.moved, s.entered_members, s.left_members
from audiences_audiencesnapshot x
join audiences_audiencesnapshot s on s.audience_id = x.audience_id and s.sequence <= x.sequence
where x.id = %s and s.sequence >= (
  select f.sequence from audiences_audiencesnapshot f
  where f.audience_id = x.audience_id and f.sequence <= x.sequence and f.members is not null
  order by f.sequence desc limit 1)
order by s.sequence
"""
_CHAIN = """
with frame as (
  select f.sequence, octet_length(f.members) as size from audiences_audiencesnapshot f
  where f.audience_id = %(audience)s and f.members is not null order by f.sequence desc limit 1)
select frame.size, count(s.id), coalesce(sum(octet_length(s.entered_members) + octet_length(s.left_members)
       + coalesce(octet_length(s.moved), 0)), 0)::bigint
from frame left join audiences_audiencesnapshot s on s.audience_id = %(audience)s and s.sequence > frame.sequence
group by frame.size
"""


def read_members(snapshot_id: int) -> BitMap:
    """The people of a snapshot, as they were numbered then; nobody where it is gone."""
    rows = run(_READ, [snapshot_id])
    if not rows:
        return BitMap()
    changed = BitMap()
    for _members, *change in rows[1:]:
        changed ^= moved(*change)
    return BitMap.deserialize(rows[0][0]) ^ changed


def moved(moved: Packed, entered: Packed, left: Packed) -> BitMap:
    """Whom a snapshot differs by from the one before: its `moved`, or who came and who went. A merge is neither of
    these, but other numbers."""
    if moved is not None:
        return BitMap.deserialize(bytes(moved))
    return unpacked(entered) | unpacked(left)


def unpacked(members: Packed) -> BitMap:
    """A column that holds a set, or nothing."""
    return BitMap() if members is None else BitMap.deserialize(bytes(members))


def write(snapshot: AudienceSnapshot, members: BitMap, difference: BitMap) -> None:
    """Insert a snapshot with its entered and left that is not there yet, and give it its id. `difference` are those in
    whom it and the one before differ. Raises IntegrityError of psycopg for a sequence that is taken."""
    came_and_went = unpacked(snapshot.entered_members) | unpacked(snapshot.left_members)
    snapshot.moved = None if came_and_went == difference else difference.serialize()
    parts = (snapshot.entered_members, snapshot.left_members, snapshot.moved)
    if not _continues(snapshot, sum(len(part) for part in parts if part is not None)):
        snapshot.members, snapshot.moved = members.serialize(), None
    names = ", ".join(f'"{name}"' for name in _COLUMNS)
    places = ", ".join(["%s"] * len(_COLUMNS))
    values = [getattr(snapshot, name) for name in _COLUMNS]
    rows = run(f"insert into audiences_audiencesnapshot ({names}) values ({places}) returning id", values)
    snapshot.pk = rows[0][0]


def _continues(snapshot: AudienceSnapshot, size: int) -> bool:
    """Whether it may be written as a difference of so many bytes."""
    if snapshot.entered_members is None:
        return False  # the first one
    found = run(_CHAIN, {"audience": snapshot.audience_id})
    return bool(found) and found[0][1] < CHAIN and found[0][2] + size < found[0][0]


def frame_successors(snapshots: Iterable[int]) -> None:
    """Give those everybody who follow one of these snapshots, which are about to be deleted. In the caller's
    transaction."""
    gone = list(snapshots)
    rows = run(
        "select s.id from audiences_audiencesnapshot g join audiences_audiencesnapshot s"
        " on s.audience_id = g.audience_id and s.sequence = g.sequence + 1"
        " where g.id = any(%s) and s.id <> all(%s) and s.members is null",
        [gone, gone],
    )
    for (pk,) in rows:
        AudienceSnapshot.objects.filter(pk=pk).update(members=read_members(pk).serialize(), moved=None)


def run(sql: str, values: Sequence[Any] | dict[str, Any]) -> list[Any]:
    """The rows of a statement whose values go and come in binary; none of one that gives none."""
    connection.ensure_connection()
    with psycopg.Cursor(connection.connection) as cursor:  # Django's own cursors write everything as text
        cursor.execute(sql, values, binary=True)
        return cursor.fetchall() if cursor.description else []
