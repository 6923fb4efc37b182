"""Sentences for conditions on behaviour, in Chinese and English; like `sentences`, of which this is a part."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hetang.audiences.first_source_sentences import ORDER_CHANNELS
from hetang.audiences.rules import Behaviour, Deed, DeedAt, Followed, Period

if TYPE_CHECKING:
    from hetang.audiences.sentences import Writer

FACT_NAMES = {
    "order.refunded": ("退款", "refund"),
    "customer.described": ("资料更新", "profile update"),
    "customer.identified": ("身份关联", "link between identities"),
    "customer.joined": ("人工合并", "merge by hand"),
    "customer.kept_apart": ("判定为不同的人", "decision that two people are not the same"),
    "customer.decision_lifted": ("撤回合并判断", "decision taken back"),
    "identity.judged": ("身份归属判断", "decision about an identity"),
    "consent.changed": ("同意变更", "change of a consent"),
    "consent.basis_stated": ("补充同意的法律依据", "statement of a legal basis"),
    "do_not_disturb.changed": ("免打扰变更", "change of do-not-disturb"),
    "relation.changed": ("企微好友关系变化", "change of a WeCom friendship"),
    "tag.changed": ("标签变更", "change of a tag"),
    "household.member_described": ("家庭成员资料更新", "update of a household member"),
    "household.member_removed": ("移除家庭成员", "removal of a household member"),
}
PROPERTY_NAMES = {
    "quantity": ("件", "pieces"),
    "category": ("品类", "categories"),
    "sku": ("商品", "products"),
    "store": ("门店", "stores"),
    "channel": ("渠道", "channels"),
    "day": ("日期", "days"),
}
PURPOSE_NAMES = {
    "marketing": ("营销", "marketing"),
    "service": ("服务", "service"),
    "transaction": ("交易通知", "transaction"),
}
_WEEKDAYS = {
    "": ("", ""),
    "workdays": ("周一至周五 ", " from Monday to Friday"),
    "weekend": ("周末 ", " at the weekend"),
}
_MANY = {"at_least": ("至少", "at least"), "at_most": ("至多", "at most"), "exactly": ("恰好", "exactly")}


def date_words(w: Writer, op: str, days: int, on: str) -> str:
    """When a day lies."""
    return {
        "within_last": w.say(f"在最近 {days} 天内（含今天）", f" within the last {days} days (today included)"),
        "more_than_ago": w.say(f"在 {days} 天以前", f" more than {days} days ago"),
        "anniversary_within": w.say(
            f"的周年日在未来 {days} 天内（含今天）",
            f" has its anniversary within the next {days} days (today included)",
        ),
        "within_next": w.say(f"在未来 {days} 天内（含今天）", f" within the next {days} days (today included)"),
        "before": w.say(f"早于 {on}", f" before {on}"),
        "after": w.say(f"晚于 {on}", f" after {on}"),
    }[op]


def _behaviour(w: Writer, node: Behaviour) -> str:
    deed, number = node.deed, node.value
    when, where = _when(w, deed.when) or w.say("历史上", " ever"), _where(w, deed)
    if deed.event == "spent":
        return _spent(w, node, when, where)
    many = w.name(_MANY[node.op])
    if node.measure == "times" and _yes_or_no(node):
        never = number == 0
        chinese = f"{when}{where}{'没有' if never else ''}{_verb(w, deed)}{'' if never else '过'}{_object(w, deed)}"
        return w.say(chinese, f"{'never ' if never else ''}{_verb(w, deed)}{_object(w, deed)}{where}{when}")
    done = w.say(f"{when}{where}{_verb(w, deed)}{_object(w, deed)}", f"{_verb(w, deed)}{_object(w, deed)}")
    if node.measure == "times":
        unit = w.say("件（明细行）", "order lines") if node.count == "lines" else w.say("次", "times")
        return w.say(f"{done}{many} {number} {unit}", f"{done} {many} {number} {unit}{where}{when}")
    of = w.name(PROPERTY_NAMES[node.of])
    if node.measure == "sum":
        return w.say(f"{done}{many} {number} {of}", f"{done} {many} {number} {of}{where}{when}")
    return w.say(f"{done}，不同{of}{many} {number} 个", f"{done}{where}{when}: {many} {number} different {of}")


def _yes_or_no(node: Behaviour) -> bool:
    return (node.value == 0 and node.op in {"at_most", "exactly"}) or (node.value == 1 and node.op == "at_least")


def _spent(w: Writer, node: Behaviour, when: str, where: str) -> str:
    goods = _goods(w, node.deed)
    much = w.compared({"at_least": ">=", "at_most": "<=", "exactly": "="}[node.op], [w.money(node.value)])
    average = node.measure == "average"
    paid = f"购买{goods}的" if goods else ""
    paid += "平均每单金额" if average else "金额" if goods else "消费金额"
    spend = "average spend per order" if average else "spend"
    return w.say(f"{when}{where}{paid}（未扣退款）{much}", f"{spend}{goods}{where}{when} (before refunds) {much}")


def _deed_at(w: Writer, node: DeedAt) -> str:
    end = w.say("首次", "the first time she ") if node.end == "first" else w.say("最近一次", "the last time she ")
    when = date_words(w, node.op, node.days, node.on)
    return w.say(f"{end}{_deed(w, node.deed)}{when}", f"{end}{_deed(w, node.deed)} is{when}")


def _followed(w: Writer, node: Followed) -> str:
    first, then, when = _deed(w, node.first), _deed(w, node.then), _when(w, node.first.when)
    unit = w.say("天", "days") if node.unit == "days" else w.say("小时", "hours")
    if node.happened:
        return w.say(
            f"{when}{first}后 {node.within} {unit}内{then}", f"{first}{when}, and within {node.within} {unit} {then}"
        )
    return w.say(
        f"{when}{first}后 {node.within} {unit}内没有{then}",
        f"{first}{when}, and for {node.within} {unit} after it never {then}",
    )


def _deed(w: Writer, deed: Deed) -> str:
    where = _where(w, deed)
    return w.say(f"{where}{_verb(w, deed)}{_object(w, deed)}", f"{_verb(w, deed)}{_object(w, deed)}{where}")


def _when(w: Writer, when: Period) -> str:
    days, before = when.days, when.before
    if when.first and when.last:
        return w.say(f"{when.first} 至 {when.last} 期间", f" from {when.first} to {when.last}")
    if when.first or when.last:
        chinese = f"{when.first} 起" if when.first else f"截至 {when.last}"
        return w.say(chinese, f" since {when.first}" if when.first else f" until {when.last}")
    if days is not None and before is not None:
        return w.say(f"{before} 天以前、最近 {days} 天内", f" more than {before} days ago but in the last {days} days")
    if before is not None:
        return w.say(f"{before} 天以前", f" more than {before} days ago")
    return "" if days is None else w.say(f"最近 {days} 天", f" in the last {days} days")


def _where(w: Writer, deed: Deed) -> str:
    where = w.say("在{}", " at {}").format(w.stores(deed.stores)) if deed.stores else ""
    if deed.channel and deed.event not in {"received", "clicked"}:
        channel = w.name(ORDER_CHANNELS.get(deed.channel, ("", ""))) or w.channel(deed.channel)
        where += w.say(f"通过{channel}", f" by {channel}")
    if deed.sources:
        where += w.say("经系统{}", " (system {})").format(w.listed(deed.sources))
    return f"{_at(w, deed)}{where}"


def _at(w: Writer, deed: Deed) -> str:
    """At which days of the week and hours."""
    at = w.name(_WEEKDAYS[deed.weekdays])
    if deed.hours:
        first, end = deed.hours
        following = "次日 " if end < first else " "
        at += w.say(f"{first} 点至{following}{end} 点", f" between {first}:00 and {end}:00")
    return at


def _verb(w: Writer, deed: Deed) -> str:
    verb = {
        "bought": w.say("购买", "bought"),
        "visited": w.say("到访", "visited"),
        "received": w.say("收到" if _messages(w, deed) else "被触达", f"received{_class(w, deed)} messages"),
        "clicked": w.say("点击", "clicked"),
        "fact": w.say("发生", "had"),
    }[deed.event]
    if deed.event != "received" or not deed.channel:
        return verb
    return w.say(f"通过{w.channel(deed.channel)}{verb}", f"{verb} by {w.channel(deed.channel)}")


def _object(w: Writer, deed: Deed) -> str:
    if deed.event == "fact":
        name = w.name(FACT_NAMES[deed.kind])
        return w.say(f"“{name}”", f" a {name}")
    if deed.event == "clicked":
        return _link(w, deed)
    return _messages(w, deed) if deed.event == "received" else _goods(w, deed)


def _link(w: Writer, deed: Deed) -> str:
    """A link of which messages, and which clicks count."""
    channel, many = w.channel(deed.channel) if deed.channel else "", _class(w, deed)
    messages = f"{_sent_by(w, deed)}{channel}{many}消息" if w.chinese else f"{many} messages"
    if w.chinese:
        return f"{messages}里的链接（只计已识别身份的点击）"
    by = f" by {channel}" if channel else ""
    return f" a link of{messages}{by}{_sent_by(w, deed)} (identified clicks only)"


def _class(w: Writer, deed: Deed) -> str:
    name = w.name(PURPOSE_NAMES[deed.message_class]) if deed.message_class else ""
    return w.say(name, f" {name}" if name else "")


def _messages(w: Writer, deed: Deed) -> str:
    """Of which campaigns, broadcasts and class; nothing for any message."""
    if w.chinese and (deed.campaigns or deed.broadcasts or deed.message_class):
        return f"{_sent_by(w, deed)}{_class(w, deed)}消息"
    return "" if w.chinese else _sent_by(w, deed)


def _sent_by(w: Writer, deed: Deed) -> str:
    """Of which campaigns and broadcasts; nothing for all."""
    campaigns = w.listed([w.catalogue.campaigns[one].name for one in deed.campaigns])
    broadcasts = w.listed([w.catalogue.broadcasts[one].name for one in deed.broadcasts])
    chinese = (f"活动{campaigns}" if campaigns else "") + (f"群发{broadcasts}" if broadcasts else "")
    if w.chinese:
        return f"{chinese}的" if chinese else ""
    english = f" of the campaign {campaigns}" if campaigns else ""
    return english + (f" of the broadcast {broadcasts}" if broadcasts else "")


def _goods(w: Writer, deed: Deed) -> str:
    parts = []
    if deed.category:
        name = w.name(w.catalogue.categories[deed.category])
        parts.append(w.say(f"品类“{name}”", f" category “{name}”"))
    if deed.sku:
        name = w.catalogue.products[deed.sku]
        parts.append(w.say(f"商品“{name}”", f" product “{name}”"))
    return "".join(parts)


WRITERS: dict[type, Callable[[Any, Any], str]] = {Behaviour: _behaviour, DeedAt: _deed_at, Followed: _followed}
