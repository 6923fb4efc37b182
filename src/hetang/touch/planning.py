"""Making a plan: who of an audience gets which text from whom, and who gets nothing for which reason.

A plan is made in chunks of ascending customer numbers, each one transaction well under a second: reservations, tasks,
counters, sets and the cursor change together, so a plan that died goes on where it stopped and ends like one that did
not. Control group and variants are drawn per person from a seed, hence independent of chunks and crashes. A large plan
walks its numbers in two lanes side by side: they share no person, and what they both write they write one after the
other. A dry run walks the same code, takes no lock and writes no touch.
"""

from __future__ import annotations

import itertools
import os
import queue
import threading
import time
from array import array
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace

from django.db import connection, transaction
from django.db.models import Exists, OuterRef
from pyroaring import BitMap

from hetang.customers.models import Relation
from hetang.platform import clock
from hetang.resources.models import Staff
from hetang.touch import deciding
from hetang.touch.models import Plan, PlanLane, Programme
from hetang.touch.rules import Request

CHUNK = 20_000  # the first of a plan: about a third of a second on the reference machine
_LARGEST_CHUNK = 60_000
_CHUNK_S = 0.5  # what a transaction should take, so that one that finds the machine busy stays below a second
LANES = 2  # one splits while the other writes: a third would only wait
LANE_PEOPLE = 25_000  # below it a lane is not worth its connection


def begin(members: bytes, request: Request, programme: Programme | None = None) -> Plan:
    """Open a plan over an audience (roaring bytes). Without a programme it is a dry run."""
    if request.design == "cluster" and not request.advisers:  # a plan takes over those of its dry run
        request = replace(request, advisers=_advisers(request.org_path))
    people = BitMap.deserialize(members)
    with transaction.atomic():
        plan = Plan.objects.create(
            programme=programme,
            parameters=request.as_json(),
            members=members,
            people=len(people),
            at=clock.now(),
        )
        PlanLane.objects.bulk_create(_lanes(plan, people))
    return plan


def _advisers(org_path: str) -> tuple[int, ...]:
    """Whoever could send there: active, with at least one friend. Others would take places in the arms for nobody."""
    friends = Relation.objects.filter(staff=OuterRef("pk"), state="active")
    able = Staff.objects.filter(Exists(friends), active=True, org_node__path__startswith=org_path)
    return tuple(able.order_by("pk").values_list("pk", flat=True))


def _lanes(plan: Plan, people: BitMap) -> list[PlanLane]:
    """Parts of equally many people, in the order of their numbers."""
    count = max(1, min(LANES, os.cpu_count() or 1, len(people) // LANE_PEOPLE))
    edges = [-1, *(people[len(people) * number // count - 1] for number in range(1, count + 1) if people)]
    return [
        PlanLane(plan=plan, number=number, cursor=before, until=last)
        for number, (before, last) in enumerate(itertools.pairwise(edges))
    ]


def run(plan: Plan, chunk: int | None = None) -> Plan:
    """Carry a plan to its end and return it as stored. `chunk` fixes the people per transaction."""
    for _ in chunks(plan, chunk):
        pass
    return Plan.objects.get(pk=plan.pk)


def chunks(plan: Plan, fixed: int | None = None) -> Iterator[float]:
    """Carry a plan to its end; yields the seconds of each transaction. What a chunk costs beside its people (counts of
    every sender and text, sets of everybody so far) makes large ones cheaper, a slow machine makes them smaller.

    Several lanes run in threads with connections of their own; in a transaction of the caller one after the other.
    """
    members = BitMap.deserialize(bytes(plan.members)).to_array()
    lanes = list(PlanLane.objects.filter(plan=plan).order_by("number").values_list("number", flat=True))
    if len(lanes) > 1 and not connection.in_atomic_block:
        yield from _side_by_side(plan, members, lanes, fixed)
    else:
        for lane in lanes:
            yield from _walk(plan, members, lane, fixed)
    _finish(plan.pk)


def _walk(plan: Plan, members: array[int], lane: int, fixed: int | None) -> Iterator[float]:
    size = fixed or CHUNK
    started = time.monotonic()
    while step(plan.pk, members, size, lane):
        took, started = time.monotonic() - started, time.monotonic()
        yield took
        size = fixed or next_size(size, took)


def _side_by_side(plan: Plan, members: array[int], lanes: list[int], fixed: int | None) -> Iterator[float]:
    """All lanes at once. The first exception of one ends the others after their chunk and is raised here."""
    done: queue.SimpleQueue[float | BaseException | None] = queue.SimpleQueue()
    stop = threading.Event()

    def walk(lane: int) -> None:
        try:
            for took in _walk(plan, members, lane, fixed):
                done.put(took)
                if stop.is_set():
                    break
        except BaseException as problem:
            done.put(problem)
        finally:
            connection.close()
            done.put(None)

    threads = [threading.Thread(target=walk, args=(lane,), name=f"plan {plan.pk} lane {lane}") for lane in lanes]
    for thread in threads:
        thread.start()
    try:
        walking = len(threads)
        while walking:
            told = done.get()
            if isinstance(told, BaseException):
                raise told
            if told is None:
                walking -= 1
            else:
                yield told
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def next_size(size: int, took_s: float) -> int:
    """How many people the next chunk gets after one of `size` took so long: nearer to `_CHUNK_S`, by half at most."""
    wanted = size * _CHUNK_S / max(took_s, 0.001)
    return round(min(max(wanted, size / 2, CHUNK / 20), size * 1.5, _LARGEST_CHUNK))


def step(plan_id: int, members: array[int], chunk: int = CHUNK, lane: int = 0) -> bool:
    """Decide the next chunk of a lane in one transaction; False when the lane is at its end. `members` are the plan's
    sorted numbers. Whoever walks the same lane meanwhile waits here and then goes on behind."""
    with transaction.atomic(), connection.cursor() as cursor:
        place = PlanLane.objects.select_for_update().get(plan=plan_id, number=lane)
        start = bisect_right(members, place.cursor)
        numbers = members[start : min(start + chunk, bisect_right(members, place.until))]
        if not numbers:
            return False
        plan = Plan.objects.defer("members").get(pk=plan_id)
        deciding.decide(cursor, plan, numbers)
        PlanLane.objects.filter(pk=place.pk).update(cursor=numbers[-1])
        return True


def _finish(plan_id: int) -> None:
    """Close a plan whose lanes are all at their ends; once, whoever else comes here too."""
    with transaction.atomic(), connection.cursor() as cursor:
        plan = Plan.objects.select_for_update(of=("self",)).defer("members").get(pk=plan_id)
        if plan.state == Plan.DONE:
            return
        Plan.objects.filter(pk=plan.pk).update(state=Plan.DONE, finished_at=clock.now())
        if plan.programme is not None:
            deciding.count_tasks(cursor, plan, plan.programme)
            Programme.objects.filter(pk=plan.programme.pk, state=Programme.PLANNING).update(state=Programme.RUNNING)
