"""The report of a broadcast as the page shows it: a plain sentence first, the figures second."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _

from hetang.console.figures import money, number, percent, tone
from hetang.console.insights.wording import arm_label, exclusion_label, why_not
from hetang.experiments.checks import SampleRatio
from hetang.experiments.estimates import Effect, Estimate, NotMeasurable
from hetang.insights.funnels import Place
from hetang.insights.reports import Arm, Contrast, Report, window
from hetang.platform.brand import brand
from hetang.platform.money import to_major
from hetang.touch.models import Programme

_CAREFUL_BELOW = 100  # buyers in the smaller group: ranges of money may be somewhat too narrow


@dataclass(frozen=True)
class Listed:
    """A report in the list: `until` is when its days are over."""

    programme: Programme
    campaign: str
    until: datetime
    ready: bool


def listed(programmes: Iterable[Programme], now: datetime) -> list[Listed]:
    """The list's lines. No query, when the broadcasts and campaigns come along."""
    lines = []
    for one in programmes:
        broadcast = getattr(one, "broadcast", None)
        until = window(one)[1]
        lines.append(Listed(one, broadcast.campaign.name if broadcast else "", until, until <= now))
    return lines


@dataclass(frozen=True)
class Row:
    """One effect: name, value with range, or why not. `ends` are low, value and high as numbers, to be drawn."""

    label: str
    value: str
    low: str = ""
    high: str = ""
    distinct: bool = False
    refusal: str = ""
    ends: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def tone(self) -> str:
        """`good` or `bad` where the effect can be told from chance."""
        return tone(self.ends[1]) if self.distinct else ""


@dataclass(frozen=True)
class Check:
    """One of the three questions: the plain answer first, the figure second."""

    question: str
    answer: str
    figure: str
    tone: str


def report_context(report: Report) -> dict[str, Any]:
    """Everything that `console/insights/report.html` shows."""
    until = _moment(report)
    variants = sum(1 for arm in report.arms if arm.name == "send")
    return {
        "report": report,
        "programme": report.programme,
        "headline": headline(report),
        "main": _main(report, until),
        "checks": list(_checks(report)),
        "stages": list(_stages(report)),
        "arms": [(arm_label(arm.name, arm.variant, variants), arm) for arm in report.arms],
        "effects": _effects(report.main, until),
        "contrasts": [(_contrast_label(one), _effects(one, until)) for one in report.contrasts],
        "until": until,
    }


def _main(report: Report, until: str) -> Row | None:
    """The effect that stands above everything: money in all, or else who bought; None while nothing is measurable."""
    contrast = report.main
    if isinstance(contrast.spend_total, Estimate):
        return _row(_("Net sales that it brought about"), contrast.spend_total, "money", until)
    if isinstance(contrast.buyers_total, Estimate):
        return _row(_("Buyers that it brought about"), contrast.buyers_total, "number", until)
    return None


def headline(report: Report) -> str:
    """The result in one sentence."""
    effect, total, conversion = report.main.spend, report.main.spend_total, report.main.conversion
    if isinstance(effect, Estimate) and isinstance(total, Estimate):
        return _spend_sentence(effect, total)
    if isinstance(conversion, Estimate):
        return _conversion_sentence(conversion)
    return why_not(conversion, _moment(report))


def _spend_sentence(effect: Estimate, total: Estimate) -> str:
    values = {
        "people": number(effect.treated),
        "each": money(abs(round(effect.value))),
        "total": money(abs(round(total.value))),
        "low": money(round(total.low)),
        "high": money(round(total.high)),
    }
    if not effect.distinct:
        return (
            _("No difference from the control group can be seen: between %(low)s and %(high)s in all is possible.")
            % values
        )
    if effect.value > 0:
        return (
            _(
                "The broadcast brought about %(total)s more in net sales (%(low)s to %(high)s):"
                " %(each)s for each of %(people)s people."
            )
            % values
        )
    return (
        _(
            "The broadcast cost about %(total)s in net sales (%(low)s to %(high)s):"
            " %(each)s less from each of %(people)s people."
        )
        % values
    )


def rows(report: Report) -> Iterator[list[Any]]:
    """The report as CSV rows: funnel, arms, effects, stores, advisers. Money in major units."""
    until = _moment(report)
    for label, count, _whole, _part in _stages(report):
        yield [_("Funnel"), label, count, "", "", ""]
    variants = sum(1 for arm in report.arms if arm.name == "send")
    for arm in report.arms:
        name = arm_label(arm.name, arm.variant, variants)
        yield from ([_("Group"), name, value, "", "", what] for what, value in _arm_values(arm))
    for title, contrast in [(_("All against the control group"), report.main)] + [
        (_contrast_label(one), one) for one in report.contrasts
    ]:
        for row in _effects(contrast, until):
            yield [title, row.label, row.value, row.low, row.high, row.refusal]
    for kind, places in ((_("Store"), report.funnel.stores), (_("Adviser"), report.funnel.staff)):
        for place in places:
            yield from ([kind, place.name, value, "", "", what] for what, value in _place_values(place))


def header() -> list[str]:
    """Names of the columns of `rows`."""
    return [_("Part"), _("Name"), _("Value"), _("From"), _("To"), _("Note")]


def _arm_values(arm: Arm) -> list[tuple[str, Any]]:
    return [
        (_("Head count"), arm.people),
        (_("Sent"), arm.sent),
        (_("Buyers"), arm.buyers),
        (_("Orders"), arm.orders),
        (_("Net sales (GMV)"), to_major(arm.gmv, brand().currency_digits)),
    ]


def _place_values(place: Place) -> list[tuple[str, int]]:
    stage = place.stage
    return [
        (_("To be sent"), stage.planned),
        (_("Sent"), stage.sent),
        (_("Waiting"), stage.waiting),
        (_("Refused by the platform"), stage.failed),
        (_("Never confirmed"), stage.unconfirmed),
        (_("Being checked"), stage.unknown),
    ]


def _stages(report: Report) -> Iterator[tuple[str, int, int, bool]]:
    """(name, people, of how many, whether it is a part of the line above)."""
    funnel, total = report.funnel, report.funnel.total
    whole = funnel.audience if funnel.audience is not None else total.planned + funnel.control
    if funnel.audience is not None:
        yield _("Audience"), whole, whole, False
        for reason, count in funnel.excluded.items():
            if count:
                yield exclusion_label(reason), count, whole, True
    yield arm_label("control"), funnel.control, whole, True
    yield _("To be sent"), total.planned, whole, False
    yield _("Sent"), total.sent, whole, False
    for label, count in (
        (_("Waiting for staff"), total.waiting),
        (_("Never confirmed"), total.unconfirmed),
        (_("Refused by the platform"), total.failed),
        (_("Being checked"), total.unknown),
    ):
        if count:
            yield label, count, whole, True


def _checks(report: Report) -> Iterator[Check]:
    effect = report.main.spend
    if isinstance(effect, Estimate):
        yield _enough(report, effect)
        yield Check(
            _("Range (95%)"),
            _("Zero lies outside the range: chance alone hardly does that.")
            if effect.distinct
            else _("Zero lies inside the range: it may be chance."),
            _("%(low)s to %(high)s per person") % {"low": money(round(effect.low)), "high": money(round(effect.high))},
            "good" if effect.distinct else "warn",
        )
    if report.ratio is not None:
        yield _even(report.ratio)


def _enough(report: Report, effect: Estimate) -> Check:
    buyers = min(arm.buyers for arm in report.arms) if report.arms else 0
    found = report.main.detectable_spend or 0.0
    figure = _("A difference of %(amount)s per person and more would be found four times in five.") % {
        "amount": money(round(found))
    }
    if effect.distinct and buyers >= _CAREFUL_BELOW:
        return Check(_("Is the sample large enough?"), _("Yes, for this difference."), figure, "good")
    if buyers < _CAREFUL_BELOW:
        answer = _("Barely: %(count)s buyers in the smallest group; the true range may be somewhat wider.") % {
            "count": number(buyers)
        }
        return Check(_("Is the sample large enough?"), answer, figure, "warn")
    return Check(_("Is the sample large enough?"), _("Not for a difference as small as this one."), figure, "warn")


def _even(ratio: SampleRatio) -> Check:
    found, planned = ratio.found.get("control", 0), ratio.planned.get("control", 0.0)
    figure = _("%(found)s in the control group, %(planned)s expected (p = %(p)s)") % {
        "found": number(found),
        "planned": number(round(planned)),
        "p": f"{ratio.p:.3f}",
    }
    if ratio.even:
        return Check(_("Are the groups even?"), _("Yes: people were divided as planned."), figure, "good")
    answer = _("No: people were lost or added on one side. Do not trust the effects below.")
    return Check(_("Are the groups even?"), answer, figure, "bad")


def _effects(contrast: Contrast, until: str) -> list[Row]:
    wanted: list[tuple[str, Effect | None, str]] = [
        (_("Net sales per person"), contrast.spend, "money"),
        (_("Net sales in all"), contrast.spend_total, "money"),
        (_("Conversion, points"), contrast.conversion, "points"),
        (_("Buyers in all"), contrast.buyers_total, "number"),
        (_("Net sales per person reached"), contrast.spend_reached, "money"),
        (_("Conversion per person reached, points"), contrast.conversion_reached, "points"),
    ]
    rows = [_row(label, effect, kind, until) for label, effect, kind in wanted if effect is not None]
    refusals = {row.refusal for row in rows}
    if len(refusals) == 1 and "" not in refusals:
        return [Row(_("All of it"), "–", refusal=refusals.pop())]  # one sentence is enough
    return rows


def _row(label: str, effect: Effect, kind: str, until: str) -> Row:
    if isinstance(effect, NotMeasurable):
        return Row(label, "–", refusal=why_not(effect, until))
    value, low, high = (_written(end, kind) for end in (effect.value, effect.low, effect.high))
    return Row(label, value, low, high, effect.distinct, ends=(effect.low, effect.value, effect.high))


def _written(value: float, kind: str) -> str:
    plus = "+" if value > 0 else ""
    if kind == "money":
        return plus + money(round(value))
    if kind == "points":
        return plus + _points(value, 2)
    return plus + number(round(value))


def _points(share: float, places: int) -> str:
    """A difference of two shares in percentage points."""
    return percent(share, places).removesuffix("%")


def _contrast_label(contrast: Contrast) -> str:
    if contrast.control == "control":
        return _("Variant %(number)s against its control group") % {"number": contrast.treated}
    values = {"one": contrast.treated, "other": contrast.control}
    if contrast.design == "cluster":
        return _("Variant %(one)s against variant %(other)s (by adviser)") % values
    return _("Variant %(one)s against variant %(other)s") % values


def _conversion_sentence(effect: Estimate) -> str:
    values = {
        "points": _points(abs(effect.value), 1),
        "low": _points(effect.low, 1),
        "high": _points(effect.high, 1),
    }
    if not effect.distinct:
        return (
            _("No difference in buying from the control group can be seen: %(low)s to %(high)s points are possible.")
            % values
        )
    if effect.value > 0:
        return _("%(points)s points more people bought than in the control group (%(low)s to %(high)s).") % values
    return _("%(points)s points fewer people bought than in the control group (%(low)s to %(high)s).") % values


def _moment(report: Report) -> str:
    return timezone.localtime(report.end).strftime("%Y-%m-%d %H:%M")
