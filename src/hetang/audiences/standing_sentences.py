"""Sentences for conditions on where somebody stands among all, in Chinese and English; like `sentences`, of which this
is a part. They always say who is compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hetang.audiences.metric_names import METRIC_NAMES
from hetang.audiences.standing_rules import ANY_SCORE, LETTERS, MONEY_BY, OF_ALL_TIME, Percentile, RfmCell

if TYPE_CHECKING:
    from hetang.audiences.rules import Catalogue
    from hetang.audiences.sentences import Writer

MEASURE_NAMES = {
    "spent": ("消费金额（未扣退款）", "spend (before refunds)"),
    "orders": ("订单数", "number of orders"),
    "visits": ("到访次数", "number of visits"),
    **{figure: METRIC_NAMES[figure] for figure in OF_ALL_TIME},
}
SIDE_NAMES = {"top": ("前", "top"), "bottom": ("后", "bottom")}
SEGMENT_NAMES = {
    "important_value": ("重要价值客户", "Important, best"),
    "important_develop": ("重要发展客户", "Important, to develop"),
    "important_keep": ("重要保持客户", "Important, at risk"),
    "important_win_back": ("重要挽留客户", "Important, to win back"),
    "general_value": ("一般价值客户", "General, regulars"),
    "general_develop": ("一般发展客户", "General, new or occasional"),
    "general_keep": ("一般保持客户", "General, slipping away"),
    "general_win_back": ("一般挽留客户", "General, gone"),
}
_DONE = {"visits": ("到访过", "visited"), "days_since_last_visit": ("到访过", "visited"),
         "refunded": ("有过退款", "had a refund")}  # fmt: skip


def measure_name(by: str, known: Catalogue) -> tuple[str, str]:
    """What people are compared by."""
    if by in MEASURE_NAMES:
        return MEASURE_NAMES[by]
    definition = known.attributes[by.partition(":")[2]]
    return definition.label_zh, definition.label_en


def is_money(condition: Percentile) -> bool:
    """Whether the measure is an amount in minor units."""
    return condition.by in MONEY_BY


def _percentile(w: Writer, node: Percentile) -> str:
    by, side, share = w.name(measure_name(node.by, w.catalogue)), w.name(SIDE_NAMES[node.side]), f"{node.mille / 10:g}%"
    return w.say(f"在{_base(w, node)}中，{by}排名{side} {share}", f"in the {side} {share} by {by} of {_base(w, node)}")


def _base(w: Writer, node: Percentile) -> str:
    """Who is compared."""
    if node.attribute:
        label = w.name(measure_name(node.by, w.catalogue))
        return w.say(f"有“{label}”值的全部客户", f"all customers with a value of “{label}”")
    done = w.name(_DONE.get(node.by, ("下过单", "bought")))
    only = _only(w, node)
    if node.days is None:
        return w.say(f"{done}的全部客户{only}", f"all customers who ever {done}{only}")
    return w.say(
        f"最近 {node.days} 天{done}的全部客户{only}", f"all customers who {done} in the last {node.days} days{only}"
    )


def _only(w: Writer, node: Percentile) -> str:
    """What alone counts, for the base as for the measure."""
    parts = []
    if node.category:
        name = w.name(w.catalogue.categories[node.category])
        parts.append(w.say(f"品类“{name}”", f"category “{name}”"))
    if node.store:
        name = w.catalogue.stores[node.store].name
        parts.append(w.say(f"门店“{name}”", f"store “{name}”"))
    listed = w.say("、", " and ").join(parts)
    return w.say(f"（只算{listed}）", f" (counting {listed} only)") if listed else ""


def _rfm(w: Writer, node: RfmCell) -> str:
    days = node.days
    when = w.say(f"最近 {days} 天" if days else "全部历史", f"the last {days} days" if days else "all time")
    base = w.say(
        f"（与下过单的全部客户相比，F、M 取{when}）", f" (of all customers who ever bought, F and M over {when})"
    )
    if node.segments:
        names = w.listed([w.name(SEGMENT_NAMES[one]) for one in node.segments])
        one_of = w.say("之一", "one of ") if len(node.segments) > 1 else ""
        return w.say(f"RFM 客群为{names}{one_of}{base}", f"RFM segment is {one_of}{names}{base}")
    scores = [
        f"{name[0]} {low}" if low == high else f"{name[0]} {low}–{high}"
        for name, (low, high) in zip(map(str.upper, LETTERS), node.ranges, strict=True)
        if (low, high) != ANY_SCORE
    ]
    listed = w.say("、", ", ").join(scores) or w.say("不限", "any")
    return w.say(f"RFM 得分：{listed}{base}", f"RFM scores: {listed}{base}")


WRITERS: dict[type, Callable[[Any, Any], str]] = {Percentile: _percentile, RfmCell: _rfm}
