"""Who was in an audience when, and who came and went: from its snapshots.

A snapshot holds the customer numbers of its time. Whoever was absorbed by a merge since is read as her survivor: the
answers speak of people, whatever their numbers were.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import cast

from django.db import connection
from pyroaring import BitMap

from hetang.audiences import stored
from hetang.audiences.models import AudienceSnapshot
from hetang.audiences.people import Move
from hetang.customers.models import Customer

CHUNK = 50  # snapshots read at once: one of 20 million people weighs up to 3 MB
SETS = ("members", "moved", "entered_members", "left_members")
KEPT = 64  # answers that the engine remembers
_EVALUATED = timedelta(minutes=10)  # a merge this long before a snapshot may have come after its evaluation


@dataclass(frozen=True, slots=True)
class Change:
    """Who came and went at a snapshot."""

    id: int
    at: datetime
    entered: BitMap
    left: BitMap


@dataclass(frozen=True, slots=True)
class Stay:
    """A time in an audience. `since` None: she was in when the earliest snapshot that is kept was taken (at `seen`);
    `until` None: she is in now."""

    since: datetime | None
    until: datetime | None
    seen: datetime


def snapshot_at(audience_id: int, at: datetime) -> AudienceSnapshot | None:
    """The snapshot that was valid at an instant; None before the first one that is kept."""
    rows = AudienceSnapshot.objects.filter(audience_id=audience_id, at__lte=at)
    return rows.defer(*SETS).order_by("-at", "-sequence").first()


def members_of(snapshot: AudienceSnapshot) -> BitMap:
    """Its people, as they are numbered now."""
    return as_numbered_now(stored.read_members(snapshot.pk))


def changes(audience_id: int, since: datetime | None = None, behind: int = 0) -> Iterator[Change]:
    """What changed at each snapshot taken at or after `since`, behind the row `behind`, in order."""
    rows = AudienceSnapshot.objects.filter(audience_id=audience_id, pk__gt=behind).order_by("sequence")
    if since is not None:
        rows = rows.filter(at__gte=since)
    values = rows.values_list("pk", "sequence", "at", "entered_members", "left_members")
    for pk, sequence, at, entered, left in values.iterator(chunk_size=CHUNK):
        if entered is None or left is None:
            yield Change(pk, at, *_difference(audience_id, sequence))
        else:
            yield Change(pk, at, BitMap.deserialize(bytes(entered)), BitMap.deserialize(bytes(left)))


def moves_of(audience_id: int, numbers: Iterable[int]) -> tuple[Move, ...]:
    """The times at which one person, under any of her numbers, came or went; the first says whether she was in when
    the earliest kept snapshot was taken. Reads every change of the audience: microseconds each."""
    hers = BitMap(numbers)
    earliest = AudienceSnapshot.objects.filter(audience_id=audience_id).order_by("sequence").defer(*SETS).first()
    if earliest is None:
        return ()
    inside = stored.read_members(earliest.pk) & hers
    found = []
    for change in changes(audience_id):
        came, went = change.entered & hers, change.left & hers
        first = change.id == earliest.id
        if not first:
            inside = (inside - went) | came
        if came or went or (first and inside):
            found.append(Move(change.at, bool(came), bool(went), bool(inside)))
    return tuple(found)


def pond_days_of(numbers: Iterable[int], asked: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Of these questions (pond, day) those to which the answer is that one person, under any of her numbers, was in it;
    with the day (ISO) that is kept. A query for each day, and one for each pond with all of its people."""
    hers, found = BitMap(numbers), {}
    of_days: dict[str, list[str]] = {}
    for code, day in sorted(set(asked)):
        of_days.setdefault(day, []).append(code)
    for day, codes in of_days.items():
        for share in pond_shares(codes, day):
            if share.members() & hers:
                found[share.code, day] = share.day.isoformat()
    return found


def stays(moves: Iterable[Move]) -> list[Stay]:
    """A person's times in an audience, the newest first, from her moves."""
    found: list[Stay] = []
    begun: tuple[datetime | None, datetime] | None = None
    for move in moves:
        if move.inside and begun is None:
            begun = (move.at if move.entered else None, move.at)
        elif not move.inside and begun is not None:
            found.append(Stay(begun[0], move.at, begun[1]))
            begun = None
    if begun is not None:
        found.append(Stay(begun[0], None, begun[1]))
    return found[::-1]


def as_numbered_now(members: BitMap, living: BitMap | None = None) -> BitMap:
    """The same people with the numbers of their survivors. `living`: who is surely none that was absorbed."""
    asked = members if living is None else members - living
    if not asked:
        return members
    if living is None:
        absorbed = survivors_among(asked)
    else:
        rows = Customer.objects.filter(number__in=asked.to_array().tolist()).exclude(merged_into=None)
        absorbed = dict(rows.values_list("number", "merged_into_id"))
    return _replaced(members, absorbed)


def merged_since(at: datetime, members: BitMap) -> BitMap:
    """The people of a snapshot taken at an instant, those absorbed since then as their survivors: nobody comes or goes
    by a merge."""
    return _replaced(members, _absorbed("m.at >= %s", [at - _EVALUATED], members))


def survivors_among(members: BitMap) -> dict[int, int]:
    """Who of these was absorbed and is still: the number of her survivor by hers. One query."""
    return _absorbed("m.undone_at is null", [], members)


def _absorbed(where: str, values: list[datetime], among: BitMap) -> dict[int, int]:
    """Survivor by absorbed number, of those among a set whose merge fits."""
    with connection.cursor() as cursor:
        cursor.execute(
            "select c.number, c.merged_into_id from customers_merge m"
            f" join customers_customer c on c.number = m.absorbed where {where} and c.merged_into_id is not null",
            values,
        )
        return {number: survivor for number, survivor in cursor.fetchall() if number in among}


def _replaced(members: BitMap, absorbed: Mapping[int, int | None]) -> BitMap:
    if not absorbed:
        return members
    return (members - BitMap(absorbed)) | BitMap(cast(Iterable[int], absorbed.values()))


class Past:
    """What rules ask about earlier times, in the engine: `was_member` (audience id, instant), `moved` (audience id,
    `entered` or `left`, instant from which on) and `was_in_pond` (ISO day, codes of ponds). Answers are kept; safe to
    share between threads."""

    FAMILIES = ("was_member", "moved", "was_in_pond")

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], tuple[int, BitMap]] = OrderedDict()
        self._lock = threading.Lock()

    def forget(self) -> None:
        """Drop what is kept: somebody has been erased from the snapshots."""
        with self._lock:
            self._kept.clear()

    def find(self, family: str, keys: tuple[object, ...], living: BitMap) -> BitMap:
        """Everybody living whom the question means."""
        ask: Callable[..., BitMap] = getattr(self, f"_{family}")
        found = ask(*keys)
        return as_numbered_now(found, living)

    def _was_member(self, audience_id: int, at: str) -> BitMap:
        rows = AudienceSnapshot.objects.filter(audience_id=audience_id, at__lte=datetime.fromisoformat(at))
        pk = rows.order_by("-at", "-sequence").values_list("pk", flat=True).first()
        if pk is None:
            return BitMap()
        known = self._known(("snapshot", pk))
        if known is None:
            known = (pk, stored.read_members(pk))
            self._keep(("snapshot", pk), known)
        return known[1]

    def _was_in_pond(self, day: str, *codes: str) -> BitMap:
        found = BitMap()
        for share in pond_shares(codes, day):
            known = self._known(("pond", share.id))
            if known is None:
                known = (share.id, share.members())
                self._keep(("pond", share.id), known)
            found |= known[1]
        return found

    def _moved(self, audience_id: int, way: str, first: str) -> BitMap:
        """Extended by the snapshots since the last question: a live audience has over a thousand a day."""
        key = (audience_id, way, first)
        last, found = self._known(key) or (0, BitMap())
        new = []
        for change in changes(audience_id, datetime.fromisoformat(first), behind=last):
            new.append(change.entered if way == "entered" else change.left)
            last = change.id
        if new:
            found = BitMap.union(found, *new)
            self._keep(key, (last, found))
        return found

    def _known(self, key: tuple[object, ...]) -> tuple[int, BitMap] | None:
        with self._lock:
            return self._kept.get(key)

    def _keep(self, key: tuple[object, ...], answer: tuple[int, BitMap]) -> None:
        with self._lock:
            self._kept[key] = answer
            self._kept.move_to_end(key)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Share:
    """Who was in a pond, of this code, on a day that is kept; `id` is its row."""

    id: int
    code: str
    day: date

    def members(self) -> BitMap:
        """Its people as they were numbered then. One query, of a megabyte for a million people."""
        ((frame, differs),) = stored.run(
            "select f.members, s.differs from audiences_pondshare s join audiences_pondframe f on f.id = s.frame_id"
            " where s.id = %s",
            [self.id],
        )
        return stored.unpacked(frame) ^ stored.unpacked(differs)


def pond_shares(codes: Iterable[str], day: str) -> list[Share]:
    """Of each pond (codes of `Catalogue.ponds`) the share of the newest day kept until `day`. One query."""
    return [Share(*row) for row in stored.run(_SHARES, {"codes": list(codes), "day": day})]


# A code is that of a pond, or that of a set and means its rest.
_SHARES = """
select s.id, wanted.code::text, kept.day
from unnest(%(codes)s::uuid[]) as wanted(code)
left join audiences_pond p on p.public_id = wanted.code
left join audiences_pondset whole on whole.public_id = wanted.code
join lateral (
  select d.id, d.day from audiences_pondday d
  where d.pond_set_id = coalesce(p.pond_set_id, whole.id) and d.day <= %(day)s::date order by d.day desc limit 1
) kept on true
join audiences_pondshare s on s.day_id = kept.id and s.pond_id is not distinct from p.id
"""


def _difference(audience_id: int, sequence: int) -> tuple[BitMap, BitMap]:
    """(entered, left) of a snapshot that does not say it: all entered the first one."""
    rows = AudienceSnapshot.objects.filter(audience_id=audience_id, sequence__in=[sequence - 1, sequence])
    found = {one: stored.read_members(pk) for one, pk in rows.values_list("sequence", "pk")}
    after = found.get(sequence, BitMap())
    if sequence > 1 and sequence - 1 not in found:  # the one before is not kept any more
        return BitMap(), BitMap()
    before = found.get(sequence - 1, BitMap())
    return after - before, before - after
