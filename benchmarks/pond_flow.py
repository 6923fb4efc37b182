"""A day of a pond set of six ponds and the rest, and the flow between two days; `python -m benchmarks.pond_flow`.

Each pond is an audience of three tags. Of the day: the engine splits everybody, and all is written and committed (the
first day as frames). Then half a per cent of the people of each pond go to the next one, and the day after is written
as what differs. Of the flow: both days read, merges looked up, all cells counted. `ponds_s` is one day and one flow.
"""

from __future__ import annotations

import argparse
import statistics
import time
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks import crowd
from benchmarks.product import Product
from benchmarks.report import report

PONDS, TAGS, DAYS = 6, 3, 8
MOVING = 0.005


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=1_000_000)
    people = parser.parse_args().people
    with Product() as product:
        from benchmarks.audiences import Engine

        crowd.name_things()
        sets = crowd.live_sets(people)
        sets.save(product.home / "sets" / "live.bin")
        Engine(product, people).restart()
        measure(people, "")


def measure(people: int, suffix: str) -> None:
    """The figure of one size, with the engine of the product that is running."""
    from django.db import connection, transaction

    from hetang.audiences import pond_days, ponds, queries
    from hetang.audiences.models import PondDay, PondFrame, PondShare
    from hetang.audiences.partition import flows
    from hetang.platform import clock

    pond_set = _pond_set()
    has, scope = ponds.ponds_of(pond_set), queries.scope_of(pond_set)
    audiences = [one.audience for one in has]
    ponds.now(audiences, scope)
    took: dict[str, list[float]] = {"split": [], "write": [], "read": [], "count": []}
    for _ in range(DAYS):
        found = _timed(took["split"], lambda: ponds.now(audiences, scope, members=True, fresh=True))
    if sum(found.people) != people:
        raise RuntimeError(f"{found.people} are not {people} people")
    draw, parts, today = np.random.default_rng(5), found.parts, clock.today()

    def keep(day: int) -> PondDay:
        moved = ponds.Now(found.of, [], [], [], parts)
        with transaction.atomic():
            return pond_days._keep(pond_set, today + timedelta(days=day), has, moved)  # noqa: SLF001 - a day to come

    rows = [_timed([], lambda: keep(0))]
    for day in range(1, DAYS):
        leaving = [part & crowd.some_of(draw, people, MOVING) for part in parts]
        parts = [(part - gone) | came for part, gone, came in zip(parts, leaving, leaving[-1:] + leaving, strict=False)]
        rows.append(_timed(took["write"], lambda: keep(day)))  # noqa: B023 - called at once
    for before, after in pairwise(rows):
        first, last = _timed(took["read"], lambda: pond_days.read([before, after]))  # noqa: B023 - called at once
        matrix = _timed(took["count"], lambda: flows(first.parts, last.parts))  # noqa: B023 - called at once
        if sum(map(sum, matrix)) != people or not any(row[place] for row in matrix for place in range(PONDS)):
            raise RuntimeError(f"a flow of {matrix}")
    with connection.cursor() as cursor:
        sizes = {}
        for model in (PondFrame, PondShare):
            cursor.execute("select pg_total_relation_size(%s)", [model._meta.db_table])
            sizes[model] = cursor.fetchone()[0]
    typical = {f"{name}_ms": round(1000 * statistics.median(times), 1) for name, times in took.items()}
    more: dict[str, Any] = {"frames_bytes": sizes[PondFrame], "day_bytes": sizes[PondShare] // (DAYS - 1)}
    report(f"ponds{suffix}_s", sum(typical.values()) / 1000, "s", baseline=2.0, **typical, **more)


def _pond_set() -> Any:
    from hetang.audiences import ponds, services
    from hetang.customers.models import Tag
    from hetang.platform import access
    from hetang.platform.models import OrgNode

    actor, root = access.system("bench"), OrgNode.objects.get(parent=None)
    codes = list(Tag.objects.order_by("id").values_list("code", flat=True)[: PONDS * TAGS])
    wanted = []
    for place in range(PONDS):
        tags = {"type": "tag", "op": "any", "tags": codes[place * TAGS : (place + 1) * TAGS]}
        name = f"Pond {place + 1}"
        saved = services.save(actor, name=name, rule={"version": 1, "rule": tags}, org_node=root)
        wanted.append(ponds.Wanted(name, str(saved.public_id)))
    return ponds.save(actor, name="Six ponds", ponds=wanted, org_node=root)


def _timed(into: list[float], work: Any) -> Any:
    started = time.perf_counter()
    answer = work()
    into.append(time.perf_counter() - started)
    return answer


if __name__ == "__main__":
    main()
