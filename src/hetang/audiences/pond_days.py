"""The days of pond sets: taken once a day, kept as frames and what differs from them, read as people of today.

Nobody can say afterwards who fitted a rule on a day: a day on which the worker was away until the next midnight is
missed, and stays missing. Taken twice or killed in between, a day is there once: its key is written first, in the one
transaction that writes it all.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from django.db import transaction
from django.db.models import Q
from pyroaring import BitMap

from hetang.audiences import past, ponds, queries, stored
from hetang.audiences.models import Pond, PondDay, PondSet
from hetang.audiences.partition import renumbered
from hetang.audiences.services import POND_SETS, alone
from hetang.platform import clock
from hetang.platform.loops import Loop

log = logging.getLogger(__name__)

IDLE_S = 15.0
RETRY_AFTER = timedelta(minutes=5)
FRAME_DAYS = 60  # that one frame serves


@dataclass(frozen=True)
class Found:
    """Who was where: ids of the ponds in their order, at the end None for the rest, and the people of each as they are
    numbered now."""

    ponds: list[int | None]
    parts: list[BitMap]


def take_due() -> float:
    """Take the day of a pond set that has not got today's. Returns seconds until the next look (0: at once)."""
    now = clock.now()
    free = Q(tried_at=None) | Q(tried_at__lte=now - RETRY_AFTER) | Q(tried_at__gt=now)
    waiting = PondSet.objects.filter(free, archived_at=None).exclude(days__day=clock.today())
    due = waiting.order_by("id").first()
    if due is None:
        return IDLE_S
    try:
        take(due.id)
    except Exception as problem:
        log.warning("the day of pond set %s was not taken: %s", due.id, problem)
        PondSet.objects.filter(id=due.id).update(tried_at=now, problem=str(problem)[:300])
    return 0.0


def take(pond_set_id: int) -> PondDay:
    """Find out where everybody is and keep it as today; today's row, unchanged, if it is there.

    Raises EngineUnavailable, ServiceError, PondSet.DoesNotExist. 1 M people in 6 ponds (`benchmarks.pond_flow`, on a
    busy machine): 0.2 s; frames of 0.8 MB, and 0.1 MB for a day on which half a per cent move.
    """
    with alone(pond_set_id, POND_SETS):
        pond_set = PondSet.objects.select_related("org_node").get(id=pond_set_id)
        while True:
            day = clock.today()
            taken = PondDay.objects.filter(pond_set=pond_set, day=day).first()
            if taken is not None:
                return taken
            has = ponds.ponds_of(pond_set)
            audiences = [one.audience for one in has]
            found = ponds.now(audiences, queries.scope_of(pond_set), members=True, fresh=True)
            if clock.today() == day:  # else midnight came between
                return _keep(pond_set, day, has, found)


def _keep(pond_set: PondSet, day: date, has: Sequence[Pond], found: ponds.Now) -> PondDay:
    with transaction.atomic():
        rules = [[one.pk, one.audience_id, one.audience.version] for one in has]
        row, new = PondDay.objects.get_or_create(
            pond_set=pond_set, day=day, defaults={"at": clock.now(), "rules": rules, "people": found.of}
        )
        if new:
            for pond, members in zip([*(one.pk for one in has), None], found.parts, strict=True):
                _write(row, pond, members)
            PondSet.objects.filter(pk=pond_set.pk).update(tried_at=None, problem="")
        return row


def _write(row: PondDay, pond: int | None, members: BitMap) -> None:
    """As what differs from the frame of the newest other day, or as a new frame where that would be half of it."""
    known = stored.run(_FRAME, {"pond": pond, "set": row.pond_set_id, "day": row.pk})
    frame, differs = None, b""
    if known and known[0][2] < FRAME_DAYS:
        differs = (stored.unpacked(known[0][1]) ^ members).serialize()
        if 2 * len(differs) <= len(known[0][1]):
            frame = known[0][0]
    if frame is None:
        differs = b""
        made = "insert into audiences_pondframe (pond_set_id, members) values (%s, %s) returning id"
        frame = stored.run(made, [row.pond_set_id, members.serialize()])[0][0]
    stored.run(
        "insert into audiences_pondshare (day_id, pond_id, people, frame_id, differs) values (%s, %s, %s, %s, %s)",
        [row.pk, pond, len(members), frame, differs or None],
    )


def read(days: Sequence[PondDay], within: BitMap | None = None) -> list[Found]:
    """Who was where on each of these days, of the people `within` (None: everybody).

    Two queries and one for merges; 1 M people in 6 ponds take 8 ms a day on a busy machine.
    """
    shares = stored.run(
        "select day_id, pond_id, frame_id, differs from audiences_pondshare where day_id = any(%s)",
        [[one.pk for one in days]],
    )
    wanted = sorted({frame for _day, _pond, frame, _differs in shares})
    frames = {
        pk: stored.unpacked(members)
        for pk, members in stored.run("select id, members from audiences_pondframe where id = any(%s)", [wanted])
    }
    found = {(day, pond): frames[frame] ^ stored.unpacked(differs) for day, pond, frame, differs in shares}
    survivors = past.survivors_among(BitMap.union(BitMap(), *found.values()))
    return [_of_day(one, found, survivors, within) for one in days]


def _of_day(
    row: PondDay, found: dict[tuple[int, int | None], BitMap], survivors: dict[int, int], within: BitMap | None
) -> Found:
    order: list[int | None] = [*(pond for pond, _audience, _version in row.rules), None]
    parts = renumbered([found.get((row.pk, pond), BitMap()) for pond in order], survivors)
    return Found(order, parts if within is None else [part & within for part in parts])


_FRAME = """
select f.id, f.members, (select count(*) from audiences_pondshare o where o.frame_id = f.id)
from audiences_pondshare s join audiences_pondday d on d.id = s.day_id join audiences_pondframe f on f.id = s.frame_id
where d.pond_set_id = %(set)s and d.id <> %(day)s and s.pond_id is not distinct from %(pond)s::bigint
order by d.day desc limit 1
"""

loop = Loop("audiences.ponds", take_due)
