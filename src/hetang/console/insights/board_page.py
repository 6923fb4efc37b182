"""The board as the page shows it: one sentence, the tree, charts and the tables behind them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from itertools import zip_longest
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from hetang.console.days import iso_day
from hetang.console.figures import money, number, percent, signed
from hetang.console.insights.charts import Series, money_chart
from hetang.console.insights.wording import channel_label, part_label, preset_label
from hetang.insights import periods
from hetang.insights.errors import HistoryUnavailable
from hetang.insights.periods import BadPeriod, Comparison
from hetang.insights.queries import Board, Line, board
from hetang.insights.rules import (
    ANONYMOUS,
    BUYERS,
    CONVERSION,
    FREQUENCY,
    ORDER_VALUE,
    REFUNDS_ONLY,
    VISITORS,
    Figures,
)
from hetang.platform import clock
from hetang.platform.access import actor_of

log = logging.getLogger(__name__)

_SHOWN_STORES = 20  # the rest are in the export
_BRIEF = 5  # on the home page


@dataclass(frozen=True)
class Leaf:
    """A factor of the tree. `effect` is its part of the change, minor units; `moved` its own relative change."""

    label: str
    value: str
    was: str
    effect: int | None
    sign: str = "×"
    moved: float | None = None


def board_context(request: HttpRequest, *, brief: bool = False) -> dict[str, Any]:
    """Everything that `console/insights/board_body.html` shows; nothing for those who may not see it. `brief`: the
    largest stores only, and no channels."""
    actor = actor_of(request)
    if not actor.can("board:view"):
        return {}
    comparison, mistake = chosen(request.GET.dict())
    context: dict[str, Any] = {"comparison": comparison, "mistake": mistake, "presets": _presets(comparison)}
    try:
        found = board(comparison, actor.scope("board:view"))
    except HistoryUnavailable as error:
        log.warning("no board: %r", error.__cause__)
        return context | {"board_down": True}
    return context | {"board": found, "brief": brief} | ({} if found.empty else _filled(found, brief))


def chosen(given: Mapping[str, str]) -> tuple[Comparison, str]:
    """The periods of an address, and what was wrong with them (then the default is shown)."""
    today = clock.today()
    try:
        return periods.parse({name: iso_day(text) for name, text in given.items()}, today), ""
    except BadPeriod as error:
        return periods.preset(periods.DEFAULT, today), _mistakes()[error.code]


def rows(found: Board) -> Iterator[list[Any]]:
    """The board as CSV rows: whole, stores, channels. Amounts in minor units are written in major units."""
    from hetang.platform.brand import brand
    from hetang.platform.money import to_major

    digits = brand().currency_digits
    groups = ((_("Total"), [found.total]), (_("Store"), found.stores), (_("Channel"), found.channels))
    for group, lines in groups:
        for line in lines:
            for period, figures in ((found.comparison.after, line.after), (found.comparison.before, line.before)):
                amounts = [to_major(value, digits) for value in (figures.gmv, figures.sales, figures.anonymous)]
                counts = [figures.visitors or "", figures.buyers, figures.orders, figures.anonymous_orders]
                yield [group, line.code, line.name, period.first, period.last, *amounts, *counts]


def header() -> list[str]:
    """Names of the columns of `rows`."""
    return [
        _("By"),
        _("Code"),
        _("Name"),
        _("From"),
        _("To"),
        _("Net sales (GMV)"),
        _("Net sales of known customers"),
        _("Net sales without a customer"),
        _("Visitors (UV)"),
        _("Buyers"),
        _("Orders"),
        _("Orders without a customer"),
    ]


def _mistakes() -> dict[str, str]:
    return {
        "incomplete": _("Give both days of a period, as year-month-day. The last 28 days are shown."),
        "order": _("A period ends before it begins. Swap its days. The last 28 days are shown."),
        "long": _("A period may be three years long at most. The last 28 days are shown."),
    }


def _presets(comparison: Comparison) -> list[dict[str, Any]]:
    return [
        {"url": f"?period={name}", "label": preset_label(name), "current": name == comparison.preset}
        for name in periods.PRESETS
    ]


def _filled(found: Board, brief: bool) -> dict[str, Any]:
    # what moved a line is a dozen products of fractions: only of those that are shown
    shown = found.stores[: _BRIEF if brief else _SHOWN_STORES]
    stores = [_named_line(line, line.name or _("No store")) for line in shown]
    channels = [] if brief else found.channels
    return {
        "sentence": _sentence(found),
        "causes": _causes(found.total),
        "gmv_was": money(found.total.before.gmv),
        "quiet_days": _quiet_days(found),
        "leaves": list(_leaves(found)),
        "parts": [
            (part_label(name), amount) for name, amount in found.total.change.parts.items() if _told(name, amount)
        ],
        "trend": _trend(found),
        "trend_rows": _trend_rows(found),
        "waterfall": _waterfall(found.total),
        "stores": stores,
        "beside": any(line["beside"] for line in stores),
        "more_stores": max(0, len(found.stores) - _SHOWN_STORES),
        "channels": [_named_line(line, channel_label(line.code)) for line in channels],
        "gaps": found.visits_recorded and max(_conversion(found.total.after), _conversion(found.total.before)) > 1,
    }


def _quiet_days(found: Board) -> dict[str, Any] | None:
    """The days without an order at the end of the period: closed, or not recorded yet. None when there are none."""
    days = found.days[1]
    sold = [day for day, gmv in days if gmv]
    if not sold or sold[-1] == days[-1][0]:
        return None
    return {"since": sold[-1], "count": (days[-1][0] - sold[-1]).days}


def _conversion(figures: Figures) -> Fraction:
    return figures.conversion or Fraction()


def _sentence(found: Board) -> str:
    total, before = found.total, found.comparison.before
    values = {
        "gmv": money(total.after.gmv),
        "change": money(abs(total.change.total)),
        "share": percent(abs(total.moved)) if total.moved is not None else "",
        "from": before.first.isoformat(),
        "to": before.last.isoformat(),
    }
    if total.moved is None:
        return _("Net sales were %(gmv)s; there were none from %(from)s to %(to)s.") % values
    if total.change.total == 0:
        return _("Net sales were %(gmv)s, the same as from %(from)s to %(to)s.") % values
    if total.change.total > 0:
        return _("Net sales were %(gmv)s, %(change)s (%(share)s) more than from %(from)s to %(to)s.") % values
    return _("Net sales were %(gmv)s, %(change)s (%(share)s) less than from %(from)s to %(to)s.") % values


def _causes(total: Line) -> str:
    """The two parts that moved it most, in words."""
    ranked = sorted(total.change.parts.items(), key=lambda part: -abs(part[1]))
    told = [(part_label(name), signed(amount)) for name, amount in ranked if amount][:2]
    if not told:
        return ""
    if len(told) == 1:
        return _("What moved it: %(first)s (%(amount)s).") % {"first": told[0][0], "amount": told[0][1]}
    values = {"first": told[0][0], "amount": told[0][1], "second": told[1][0], "other": told[1][1]}
    return _("What moved it most: %(first)s (%(amount)s), then %(second)s (%(other)s).") % values


def _leaves(found: Board) -> Iterator[Leaf]:
    after, before, parts = found.total.after, found.total.before, found.total.change.parts
    if found.visits_recorded:
        now, then = Fraction(after.visitors), Fraction(before.visitors)
        yield _factor(VISITORS, now, then, _count, parts[VISITORS], "=")
        yield _factor(CONVERSION, after.conversion, before.conversion, _share, parts[CONVERSION])
    else:
        now, then = Fraction(after.buyers), Fraction(before.buyers)
        yield _factor(BUYERS, now, then, _count, parts.get(BUYERS), "=")
    yield _factor(FREQUENCY, after.frequency, before.frequency, _ratio, parts[FREQUENCY])
    yield _factor(ORDER_VALUE, after.order_value, before.order_value, _amount, parts[ORDER_VALUE])
    if after.anonymous_orders or before.anonymous_orders or after.anonymous or before.anonymous:
        yield Leaf(part_label(ANONYMOUS), money(after.anonymous), money(before.anonymous), parts[ANONYMOUS], "+")
    if parts[REFUNDS_ONLY]:
        yield Leaf(part_label(REFUNDS_ONLY), "", "", parts[REFUNDS_ONLY], "+")


def _factor(  # noqa: PLR0917 - two values, how they are written, what came of them
    code: str,
    now: Fraction | None,
    then: Fraction | None,
    written: Callable[[Fraction | None], str],
    effect: int | None,
    sign: str = "×",
) -> Leaf:
    moved = float(now / then - 1) if now is not None and then else None
    return Leaf(part_label(code), written(now), written(then), effect, sign, moved)


def _count(count: Fraction | None) -> str:
    """People, counted."""
    return number(None if count is None else int(count))


def _told(name: str, amount: int) -> bool:
    return amount != 0 or name not in {ANONYMOUS, REFUNDS_ONLY}


def _trend(found: Board) -> dict[str, Any]:
    before, after = found.days
    labels = [_short(day) for day, _gmv in after] if len(after) >= len(before) else [_short(d) for d, _gmv in before]
    return money_chart(
        "line",
        _("Net sales per day"),
        labels,
        Series(_("This period"), [gmv for _day, gmv in after]),
        Series(_("Compared with"), [gmv for _day, gmv in before]),
    )


def _trend_rows(found: Board) -> list[tuple[date | None, int | None, date | None, int | None]]:
    before, after = found.days
    pairs = zip_longest(after, before, fillvalue=(None, None))
    return [(*late, *early) for late, early in pairs]


def _waterfall(total: Line) -> dict[str, Any]:
    told = [(part_label(name), amount) for name, amount in total.change.parts.items() if _told(name, amount)]
    title = _("What each part did to net sales")
    return money_chart("bar", title, [label for label, _n in told], Series(title, [amount for _l, amount in told]))


def _named_line(line: Line, name: str) -> dict[str, Any]:
    parts = line.change.parts
    return {
        "name": name,
        "gmv": line.after.gmv,
        "change": line.change.total,
        "moved": line.moved,
        "people": parts.get(BUYERS, parts.get(VISITORS, 0) + parts.get(CONVERSION, 0)),
        "frequency": parts[FREQUENCY],
        "order_value": parts[ORDER_VALUE],
        "beside": parts[ANONYMOUS] + parts[REFUNDS_ONLY],
        "buyers": line.after.buyers,
        "orders": line.after.orders,
        "average": None if line.after.order_value is None else round(line.after.order_value),
    }


def _short(day: date) -> str:
    return f"{day.month}-{day.day:02d}"


def _share(value: Fraction | None) -> str:
    return percent(None if value is None else float(value))


def _ratio(value: Fraction | None) -> str:
    return number(None if value is None else float(value))


def _amount(value: Fraction | None) -> str:
    return money(None if value is None else round(value))
