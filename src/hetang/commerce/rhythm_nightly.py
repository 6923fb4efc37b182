"""Each night the rhythm of the base is read anew from its purchases, with how far the one before the last month came
true. What rules say of a customer then follows from her own purchases at once, without a row for her."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.utils.translation import gettext_noop

from hetang.commerce.models import CustomerMetric, RhythmFit
from hetang.commerce.rhythm import LEAST_GAPS, Bin, Calibration
from hetang.platform import clock, jobs
from hetang.platform.jobs import Work, job
from hetang.platform.loops import Loop
from hetang.platform.models import JobRun

KIND = "commerce.rhythm"
HOUR = 5  # of the brand's day: behind backups and what is removed
MOST_CUSTOMERS = 10_000
KEPT = 30
_LOOK_S = 300.0


@job(KIND, own_process=True)
def read(work: Work) -> dict[str, Any]:
    """Read the rhythm of the base and keep it. Repeating it on a day keeps one more that says the same."""
    today = clock.today()
    purchases = purchases_of(today)
    work.progress(len(purchases), stage="customers")
    return {"customers": len(purchases), "gaps": keep(purchases, today)}


def purchases_of(today: date) -> list[list[int]]:
    """The days (ordinals, before today) on which customers bought, of at most twice `MOST_CUSTOMERS` who are drawn by
    their number. One pass over the sums of all customers, and the orders of those drawn."""
    buyers = CustomerMetric.objects.filter(orders__gt=0).count()
    with connection.cursor() as cursor:
        cursor.execute(_PURCHASES, {"step": max(1, buyers // MOST_CUSTOMERS), "today": today})
        return [[date.toordinal(day) for day in days] for (days,) in cursor.fetchall()]


def keep(purchases: Sequence[Sequence[int]], today: date) -> int:
    """Fit, compare and keep; returns how many gaps there were, and keeps nothing where those are too few."""
    from hetang.commerce.rhythm_fit import calibrate, fit  # numpy: not in an idle worker

    gaps = sum(len(days) - 1 for days in purchases)
    model = fit(purchases, today.toordinal())
    if model is None:
        return gaps
    compared = calibrate(purchases, today.toordinal())
    with transaction.atomic():
        RhythmFit.objects.create(
            computed_at=clock.now(),
            customers=len(purchases),
            gaps=gaps,
            shape=model.base.shape,
            base_gaps=model.base.gaps,
            base_days=model.base.days,
            leave=model.leave,
            stay=model.stay,
            calibration=_packed(compared) if compared else {},
        )
        old = RhythmFit.objects.order_by("-id").values_list("id", flat=True)[KEPT:]
        RhythmFit.objects.filter(id__in=list(old)).delete()
    return gaps


def calibration(kept: RhythmFit) -> Calibration | None:
    """How far it came true, as it was kept."""
    known = kept.calibration
    if not known:
        return None
    bins = tuple(Bin(*one) for one in known["bins"])
    return Calibration(date.fromisoformat(known["cut"]), bins, known["inside"], known["held_out"])


def _packed(one: Calibration) -> dict[str, Any]:
    bins = [[each.low, each.high, each.people, round(each.expected, 3), each.bought] for each in one.bins]
    return {"cut": one.cut.isoformat(), "bins": bins, "inside": one.inside, "held_out": one.held_out}


def due(now: datetime) -> bool:
    """Whether tonight's run is to be planned: there are enough orders, and nobody has asked since the hour."""
    local = now.astimezone(clock.zone())
    tonight = local.replace(hour=HOUR, minute=0, second=0, microsecond=0)
    last = JobRun.objects.filter(kind=KIND).order_by("-id").first()
    if last is None:  # an installation that has orders need not wait for the night
        return CustomerMetric.objects.filter(orders__gt=1)[:LEAST_GAPS].count() == LEAST_GAPS
    return last.created_at < (tonight if local >= tonight else tonight - timedelta(days=1))


def _nightly() -> float:
    if due(clock.now()):
        jobs.enqueue(KIND, gettext_noop("The rhythm of purchases"), {})
    return _LOOK_S


nightly = Loop(KIND, _nightly)

_PURCHASES = """
select array_agg(distinct o.local_day order by o.local_day)
from commerce_customermetric m join commerce_order o on o.customer_id = m.customer_id
where m.orders > 0 and (hashint8(m.customer_id) & 2147483647) %% %(step)s = 0 and o.local_day < %(today)s
group by m.customer_id order by m.customer_id
"""
