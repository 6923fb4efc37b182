"""How far the rhythm of the base came true, as the page of late customers shows it."""

from __future__ import annotations

from dataclasses import dataclass

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from hetang.commerce import rhythm_nightly
from hetang.commerce.models import RhythmFit
from hetang.commerce.rhythm import LEAST_GAPS, WINDOW_DAYS, Base, Calibration
from hetang.console import figures


@dataclass(frozen=True)
class Line:
    """People of one lateness: how many, and the shares of them that were expected to buy and that bought."""

    late: str
    people: str
    expected: str
    bought: str
    interval: str


@dataclass(frozen=True)
class Shown:
    """What was computed when, in sentences, and the lines of the comparison."""

    said: list[str]
    lines: list[Line]


def shown() -> Shown:
    """The newest one, or why there is none. One small query."""
    kept = RhythmFit.objects.order_by("-id").first()
    if kept is None:
        usual = Base()
        return Shown(
            [
                _(
                    "The rhythm of this brand has not been read yet: that takes %(n)s times between purchases, and is "
                    "looked at each night. Until then one that is common in retail is taken (every %(days)s days), and "
                    "a customer's own purchases outweigh it soon."
                )
                % {"n": figures.number(LEAST_GAPS), "days": usual.wait(50, 1, usual.days)}
            ],
            [],
        )
    said = [
        _("Computed on %(at)s from %(gaps)s times between purchases of %(customers)s customers.")
        % {
            "at": f"{timezone.localtime(kept.computed_at):%Y-%m-%d %H:%M}",
            "gaps": figures.number(kept.gaps),
            "customers": figures.number(kept.customers),
        }
    ]
    found = rhythm_nightly.calibration(kept)
    if found is None:
        return Shown([*said, _("The history is too short for a comparison: it needs four months.")], [])
    return Shown([*said, *_compared(found)], [_line(found, place) for place in range(len(found.bins))])


def _compared(found: Calibration) -> list[str]:
    cut = figures.short_day(found.cut)
    said = [
        _(
            "To check it, the days since %(cut)s were held back: it was computed from what came before, and then "
            "compared with who bought in the %(days)s days after that. On average both differ by %(error)s percentage "
            "points."
        )
        % {"cut": cut, "days": WINDOW_DAYS, "error": f"{found.error:.1f}"}
    ]
    if found.held_out:
        said.append(
            ngettext(
                "Of %(n)s time between purchases that ended then, %(share)s ended within the days that were expected "
                "(80%% should).",
                "Of %(n)s times between purchases that ended then, %(share)s ended within the days that were expected "
                "(80%% should).",
                found.held_out,
            )
            % {"n": figures.number(found.held_out), "share": figures.percent(found.inside / found.held_out)}
        )
    said.append(
        _("This is what was observed, not an effect: it does not say what a message to late customers would change.")
    )
    return said


def _line(found: Calibration, place: int) -> Line:
    one = found.bins[place]
    low, high = one.interval
    return Line(
        _("%(low)s to %(high)s%%") % {"low": one.low, "high": one.high},
        figures.number(one.people),
        figures.percent(one.expected / one.people) if one.people else figures.UNKNOWN,
        figures.percent(one.bought / one.people) if one.people else figures.UNKNOWN,
        f"{figures.percent(low)} – {figures.percent(high)}" if one.people else figures.UNKNOWN,
    )
