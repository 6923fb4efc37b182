"""Facts of those who come into another life stage, written at local midnight: one set for each stage and model.

Nothing of a person is kept: who comes into a stage on a day has one of a few reference dates (`stages.Span`), and those
are looked up. Each model knows up to which day it has told; a day is told in the transaction that moves that on, under
its own midnight. So a loop that runs twice, dies or was away for a week leaves one fact for each day, stage and model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

from django.db import connection, transaction
from pyroaring import BitMap

from hetang.customers.life_stages import ANY, course_of
from hetang.customers.models import LifeStageModel
from hetang.customers.stages import Span
from hetang.facts import intake
from hetang.facts.intake import Draft
from hetang.platform import clock
from hetang.platform.loops import Loop

SOURCE = "hetang.life_stages"
OVER = ""  # the stage after the last one
IDLE_S = 15.0
_ONE_DAY = timedelta(days=1)


def run_once() -> float:
    """Tell of the earliest day that some model has not told of. Returns seconds until the next look (0: at once)."""
    waiting = LifeStageModel.objects.filter(archived_at=None, caught_up_to__lt=clock.today())
    model = waiting.order_by("caught_up_to", "id").first()
    if model is None:
        return IDLE_S
    tell(model, model.caught_up_to + _ONE_DAY)
    return 0.0


def tell(model: LifeStageModel, day: date) -> bool:
    """Write the facts of one model and day, if that is the one after those it has told of; says whether it was."""
    found = changed(model, day)
    midnight = datetime.combine(day, time(), clock.zone())
    drafts = [
        Draft(
            "life_stage.changed",
            f"{model.pk}:{day}:{code}",
            midnight,
            body={"model": model.pk, "stage": code, "day": day},
            members=people.serialize(),
        )
        for code, people in found.items()
    ]
    still = LifeStageModel.objects.filter(
        pk=model.pk, version=model.version, archived_at=None, caught_up_to=day - _ONE_DAY
    )
    with transaction.atomic():
        if still.update(caught_up_to=day) != 1:
            return False
        if drafts:
            intake.record(SOURCE, drafts)
    return True


def changed(model: LifeStageModel, day: date) -> dict[str, BitMap]:
    """Who comes into which stage on a day, by its code (`OVER`: the last one ends), as dates are known now.

    Members of households by the index of their days; an attribute by one read of all its values (1 M: half a second).
    """
    course = course_of(model)
    spans = {stage.code: course.entered(stage.code, day, day) for stage in course.stages} | {OVER: course.ending(day)}
    found: dict[str, BitMap] = {}
    if model.member_kind:
        days = [(code, day) for code, span in spans.items() for day in _days(span)]
        of_kind = {"kind": model.member_kind, "any": model.member_kind == ANY}
        _gather(found, _MEMBERS, of_kind | _columns(days))
    if model.attribute:
        texts = [(code, text) for code, span in spans.items() for day in _days(span) for text in _texts(day)]
        _gather(found, _OWN, {"attribute": model.attribute} | _columns(texts))
    return found


def _columns(days: Sequence[tuple[str, date | str]]) -> dict[str, Any]:
    return {"codes": [code for code, _ in days], "days": [str(day) for _, day in days]}


def _gather(found: dict[str, BitMap], statement: str, params: dict[str, Any]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, params)
        for code, numbers in cursor.fetchall():
            found[code] = found.get(code, BitMap()) | BitMap(numbers)


def _days(span: Span) -> Iterator[date]:
    for step in range(1, (span.until - span.after).days + 1):
        yield span.after + step * _ONE_DAY


def _texts(day: date) -> Iterator[str]:
    """A day, with those before it that the calendar does not have (see `stages.read_day`)."""
    yield day.isoformat()
    if day.day == 1 and day > date.min:
        before = day - _ONE_DAY
        for missing in range(before.day + 1, 32):
            yield f"{before:%Y-%m}-{missing}"


_MEMBERS = """
select s.code, array_agg(h.customer_id)
from unnest(%(codes)s::text[], %(days)s::date[]) as s(code, day) join customers_householdmember h on h.day = s.day
where %(any)s or h.kind = %(kind)s group by s.code
"""
_OWN = """
select s.code, array_agg(a.customer_id)
from customers_customerattribute a
join unnest(%(codes)s::text[], %(days)s::text[]) as s(code, day) on s.day = a.value #>> '{}'
where a.code = %(attribute)s group by s.code
"""

loop = Loop("customers.life_stages", run_once)
