"""Sentences for conditions on the first source, in Chinese and English; like `sentences`, of which this is a part."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hetang.audiences.first_source import ANY, FRIENDSHIP, GROUP_CHAT, ORDER, FirstSource

if TYPE_CHECKING:
    from hetang.audiences.sentences import Writer

BY_NAMES = {
    FRIENDSHIP: ("添加企微好友", "as a WeCom friend"),
    GROUP_CHAT: ("加入客户群", "into a group chat"),
    ORDER: ("下单", "with an order"),
    ANY: ("任意方式", "in any way"),
}
ORDER_CHANNELS = {
    "store": ("门店", "store"),
    "mini_program": ("小程序", "mini program"),
    "h5": ("H5 页面", "H5 page"),
    "online": ("线上", "online"),
}


def first_source(w: Writer, node: FirstSource, ways: dict[str, tuple[str, str]]) -> str:
    """How she first came, by what, and when; `ways` names the ways of adding."""
    channels = [w.name(ORDER_CHANNELS.get(one, (one, one))) for one in node.channels]
    parts = [
        (w.listed([w.name(ways[way]) for way in node.ways]), "方式{}", "by {}"),
        (
            w.listed([w.catalogue.campaigns[one].name for one in node.campaigns]),
            "活动{}的渠道码",
            "codes of campaign {}",
        ),
        (w.listed([w.code(one) for one in node.channel_states]), "渠道参数{}", "channel state {}"),
        (
            w.listed([w.catalogue.staff[userid].name for userid in node.staff]),
            *(("销售员工{}", "sold by {}") if node.by == ORDER else ("员工{}", "with {}")),
        ),
        (w.listed([w.catalogue.groups[one].name for one in node.groups]), "客户群{}", "group chat {}"),
        (w.listed(channels), "渠道{}", "channel {}"),
        (w.listed(node.sources), "来源系统{}", "system {}"),
        (w.stores(node.stores), "门店{}", "store {}"),
    ]
    said = [w.say(chinese, english).format(names) for names, chinese, english in parts if names]
    detail = w.say("，", "; ").join(said)
    shown = w.say(f"（{detail}）", f" ({detail})") if detail else ""
    when = f" within the last {node.days} days (today included)" if node.days else ""
    by = w.name(BY_NAMES[node.by])
    if node.by != ANY:
        came = f"最近 {node.days} 天内（含今天）首次到来，来源是" if node.days else "首次来源是"
        return w.say(f"{came}{by}{shown}", f"first came {by}{shown}{when}")
    if node.days or detail:
        came = f"最近 {node.days} 天内（含今天）首次到来" if node.days else "首次到来"
        return w.say(f"{came}{shown}", f"first came{shown}{when}")
    return w.say("已知首次来源", "first came in a way that is known")
