"""The report of a broadcast: whom it reached, and what it changed.

Everybody is counted in the arm that she was drawn for, whether or not the message got to her (intention to treat),
and in one window for all arms, which begins at the planned slot. Net GMV in the window is orders placed in it minus
refunds dated in it, as on every board; a refund of an earlier order therefore counts, in every arm alike. Until the
window is over there is no effect: looking early and often finds effects that are not there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from django.db.models import Exists, OuterRef, QuerySet

from hetang.experiments.checks import SampleRatio, detectable_difference, detectable_share, sample_ratio
from hetang.experiments.estimates import Design, Effect, NotMeasurable, Reason
from hetang.experiments.estimators import (
    cluster_difference,
    mean_difference,
    per_person_reached,
    share_difference,
)
from hetang.experiments.samples import Sample, merged
from hetang.insights import outcomes
from hetang.insights.errors import NotPlanned
from hetang.insights.funnels import Funnel, funnel
from hetang.insights.outcomes import CONTROL, SEND, Group
from hetang.platform import clock
from hetang.resources.models import Staff
from hetang.touch.clicks import of_programme
from hetang.touch.models import Plan, PlanSender, Programme
from hetang.touch.rules import Request

if TYPE_CHECKING:
    from hetang.platform.access import Scope


@dataclass(frozen=True, slots=True)
class Arm:
    """What the people of one arm did in the window. Variant 0: the control group. Money in minor units."""

    name: str
    variant: int
    people: int
    sent: int
    buyers: int
    orders: int
    gmv: int

    @property
    def conversion(self) -> float | None:
        """Buyers per person."""
        return self.buyers / self.people if self.people else None

    @property
    def per_person(self) -> float | None:
        """Net GMV per person, minor units."""
        return self.gmv / self.people if self.people else None


@dataclass(frozen=True, slots=True)
class Contrast:
    """One arm against another. Conversion in shares, spend in minor units per person of the arm.

    `treated` and `control` name the arms: "send", "control" or "1", "2", ... for a variant. `spend_total` and
    `buyers_total` are the effect times everybody in the arm; per person reached only against the control group.
    """

    treated: str
    control: str
    design: Design
    conversion: Effect
    spend: Effect
    buyers_total: Effect
    spend_total: Effect
    conversion_reached: Effect | None = None
    spend_reached: Effect | None = None
    detectable_conversion: float | None = None
    detectable_spend: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All of it. `main` is everybody who should get the message against the control group."""

    programme: Programme
    start: datetime
    end: datetime
    open: bool
    funnel: Funnel
    arms: list[Arm]
    main: Contrast
    contrasts: list[Contrast]
    ratio: SampleRatio | None
    merged_people: int  # two people of the plan who proved to be one: counted once, in the first one's arm
    clicks: int
    clicks_identified: int  # of these it is known whose they are

    @property
    def clicks_per_sent(self) -> float | None:
        """Clicks per message sent (not people: a task's people share one link)."""
        return self.clicks / self.funnel.total.sent if self.funnel.total.sent else None


def broadcast_report(programme: Programme, scope: Scope | None = None) -> Report:
    """The report for the part of the organisation that `scope` reaches, by the sender (None: the whole brand).

    One pass over the programme's ledger partition, the control group and the orders of the window's days; it grows
    with both (seconds, not milliseconds, from 100,000 people on).
    Raises NotPlanned.
    """
    plan = Plan.objects.filter(programme=programme, state=Plan.DONE).first()
    if plan is None or programme.planned_at is None:
        raise NotPlanned(programme.pk)
    start, end = window(programme)
    is_open = clock.now() < end
    groups, doubled = outcomes.groups(programme, plan, start, end, scope)
    request = Request.from_json(plan.parameters)
    clicks = of_programme(programme.pk)
    return Report(
        programme,
        start,
        end,
        is_open,
        funnel(programme, plan, scope),
        _arms(groups, is_open),
        _against_control(SEND, _arm(groups, SEND), _arm(groups, CONTROL), is_open),
        _variant_contrasts(groups, request, is_open),
        _ratio(groups, request),
        doubled,
        clicks.total,
        clicks.identified,
    )


def reported(scope: Scope | None = None) -> QuerySet[Programme]:
    """Programmes that have a report in which this part of the organisation has somebody: her staff sends, or would."""
    planned = Programme.objects.filter(plan__state=Plan.DONE)
    if scope is None or scope.everything:
        return planned
    own = Staff.objects.filter(org_node__in=scope.org_nodes()).values("pk")
    return planned.filter(Exists(PlanSender.objects.filter(plan__programme=OuterRef("pk"), staff_id__in=own)))


def window(programme: Programme) -> tuple[datetime, datetime]:
    """From the planned slot, for all arms alike, until `window_days` times 24 hours later (excluded)."""
    return programme.slot_at, programme.slot_at + timedelta(days=programme.window_days)


def _arm(groups: Sequence[Group], name: str, variant: int | None = None) -> list[Group]:
    return [group for group in groups if group.arm == name and variant in (None, group.variant)]


def _variants(groups: Sequence[Group]) -> list[int]:
    return sorted({group.variant for group in groups if group.arm == SEND})


def _arms(groups: Sequence[Group], is_open: bool) -> list[Arm]:
    """The control group and each variant; while the window is open nothing of what they bought."""
    cells = [(SEND, variant, _arm(groups, SEND, variant)) for variant in _variants(groups)]
    cells.append((CONTROL, 0, _arm(groups, CONTROL)))
    return [_sum_up(name, variant, own, is_open) for name, variant, own in cells]


def _sum_up(name: str, variant: int, own: Sequence[Group], is_open: bool) -> Arm:
    people, sent = sum(group.people for group in own), sum(group.sent for group in own)
    if is_open:
        return Arm(name, variant, people, sent, 0, 0, 0)
    bought = [sum(getattr(group, column) for group in own) for column in ("buyers", "orders", "gmv")]
    return Arm(name, variant, people, sent, *bought)


def _against_control(name: str, treated: Sequence[Group], control: Sequence[Group], is_open: bool) -> Contrast:
    """People were held out one by one, so the design is by person even where advisers share a text."""
    if not control:
        return _unmeasured(name, CONTROL, "person", NotMeasurable(Reason.NO_CONTROL, _people(treated)))
    if is_open:
        reason = NotMeasurable(Reason.WINDOW_OPEN, _people(treated), _people(control))
        return _unmeasured(name, CONTROL, "person", reason)
    (spent, bought), (spent_there, bought_there) = _samples(treated), _samples(control)
    conversion, spend = share_difference(bought, bought_there), mean_difference(spent, spent_there)
    return Contrast(
        name,
        CONTROL,
        "person",
        conversion,
        spend,
        conversion.times(bought.people),
        spend.times(spent.people),
        per_person_reached(bought, bought_there),
        per_person_reached(spent, spent_there),
        detectable_share(bought_there.mean, bought.people, bought_there.people) if bought_there.people else None,
        detectable_difference(spent, spent_there),
    )


def _variant_contrasts(groups: Sequence[Group], request: Request, is_open: bool) -> list[Contrast]:
    """Each variant against those held out of it, then each against the one before it."""
    variants = _variants(groups)
    if len(variants) < 2:
        return []
    alone = [
        _against_control(str(one), _arm(groups, SEND, one), _arm(groups, CONTROL, one), is_open) for one in variants
    ]
    beside = [_side_by_side(groups, late, early, request, is_open) for early, late in pairwise(variants)]
    return [*alone, *beside]


def _side_by_side(groups: Sequence[Group], one: int, other: int, request: Request, is_open: bool) -> Contrast:
    """Variant against variant, clustered by adviser where advisers were drawn."""
    design: Design = "cluster" if request.design == "cluster" else "person"
    treated, control = _arm(groups, SEND, one), _arm(groups, SEND, other)
    if is_open:
        reason = NotMeasurable(Reason.WINDOW_OPEN, _people(treated), _people(control))
        return _unmeasured(str(one), str(other), design, reason)
    if design == "cluster":
        conversion = cluster_difference([g.bought for g in treated], [g.bought for g in control])
        spend = cluster_difference([g.spent for g in treated], [g.spent for g in control])
    else:
        (spent, bought), (spent_there, bought_there) = _samples(treated), _samples(control)
        conversion, spend = share_difference(bought, bought_there), mean_difference(spent, spent_there)
    people = _people(treated)
    return Contrast(str(one), str(other), design, conversion, spend, conversion.times(people), spend.times(people))


def _unmeasured(treated: str, control: str, design: Design, why: NotMeasurable) -> Contrast:
    return Contrast(treated, control, design, why, why, why, why)


def _samples(groups: Sequence[Group]) -> tuple[Sample, Sample]:
    """Spend and buying of all people of `groups`."""
    return merged([group.spent for group in groups]), merged([group.bought for group in groups])


def _people(groups: Sequence[Group]) -> int:
    return sum(group.people for group in groups)


def _ratio(groups: Sequence[Group], request: Request) -> SampleRatio | None:
    """Were the people found in each arm drawn with the planned shares? None without a draw by person."""
    held_back = request.control_bp / 10_000
    weights = request.weights if request.design == "person" else (1,)
    shares = {CONTROL: held_back} if held_back else {}
    for number, weight in enumerate(weights, 1):
        shares[str(number)] = (1 - held_back) * weight / sum(weights)
    if len(shares) < 2:
        return None
    found = dict.fromkeys(shares, 0)
    for group in groups:
        found[CONTROL if group.arm == CONTROL else str(group.variant) if len(weights) > 1 else "1"] += group.people
    return sample_ratio(found, shares)
