"""A sentence for every rule, in Chinese and English. Pure: the language is a parameter."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from hetang.audiences import behaviour_sentences, district, first_source_sentences, standing_sentences
from hetang.audiences.behaviour_sentences import PURPOSE_NAMES, date_words
from hetang.audiences.first_source import FirstSource
from hetang.audiences.metric_names import METRIC_NAMES
from hetang.audiences.rules import (
    BUCKETS,
    DAYS_SINCE,
    FAVOURITES,
    LATENESS,
    MONEY,
    All,
    AnyOf,
    AtStore,
    Attribute,
    Catalogue,
    Condition,
    ConsentGiven,
    DateOf,
    Friends,
    Friendship,
    InBucket,
    InGroups,
    InPond,
    LeftAlone,
    LifeStage,
    MemberOf,
    Metric,
    Moved,
    NearStore,
    Node,
    Not,
    Scalar,
    Tagged,
    WasInPond,
    WasMember,
)
from hetang.platform.money import sign, to_major

Language = Literal["zh-hans", "en"]

TIME_NAMES = {
    "first_order": ("首次下单日期", "first order"),
    "last_order": ("最近一次下单日期", "last order"),
    "last_visit": ("最近一次到访日期", "last visit"),
    "expected_order": ("预计下次购买日期", "expected next purchase"),
}
CHANNEL_NAMES = {
    "wecom": ("企业微信", "WeCom"),
    "sms": ("短信", "SMS"),
    "email": ("邮件", "email"),
}
ADDED_NAMES = {
    "qr_code": ("扫描二维码", "QR code"),
    "phone_number": ("搜索手机号", "search for the phone number"),
    "card": ("名片分享", "shared card"),
    "group_chat": ("群聊", "group chat"),
    "phone_contacts": ("手机通讯录", "phone's contacts"),
    "wechat_contacts": ("微信联系人", "WeChat contacts"),
    "email": ("搜索邮箱", "search for the e-mail address"),
    "channels": ("视频号", "WeChat Channels"),
    "acquisition_link": ("获客链接", "acquisition link"),
    "shared_by_colleague": ("内部成员共享", "sharing by a colleague"),
    "assigned": ("管理员分配", "assignment by an administrator"),
    "unknown": ("未知来源", "an unknown way"),
}
TAG_SOURCE_NAMES = {"console": ("人工（控制台）", "hand (console)"), "wecom": ("企业微信", "WeCom")}
_COMPARED = {
    "=": ("等于 {}", "is {}"),
    "!=": ("不等于 {}（或没有值）", "is not {} (or has no value)"),
    "<": ("小于 {}", "is less than {}"),
    "<=": ("不超过 {}", "is at most {}"),
    ">": ("大于 {}", "is more than {}"),
    ">=": ("至少 {}", "is at least {}"),
    "between": ("在 {} 到 {} 之间", "is between {} and {}"),
    "contains": ("包含 {}", "contains {}"),
    "in": ("是{}之一", "is one of {}"),
    "empty": ("为空", "is empty"),
    "not_empty": ("不为空", "is not empty"),
}


def describe(node: Node, catalogue: Catalogue, language: str) -> str:
    """The rule in words; `language` is `zh-hans` or anything else for English."""
    return Writer(catalogue, language == "zh-hans").whole(node)


class Writer:
    def __init__(self, catalogue: Catalogue, chinese: bool) -> None:
        self.catalogue = catalogue
        self.chinese = chinese

    def say(self, chinese: str, english: str) -> str:
        return chinese if self.chinese else english

    def name(self, names: tuple[str, str]) -> str:
        return names[0] if self.chinese else names[1]

    def whole(self, node: Node) -> str:
        if node == All(()):
            return self.say("全部客户", "All customers")
        if isinstance(node, All):
            return self.say("，且", ", and ").join(self.part(child) for child in node.of)
        return self.part(node)

    def part(self, node: Node) -> str:
        match node:
            case All(of):
                return self.group(of, self.say(" 且 ", " and "))
            case AnyOf(of):
                return self.group(of, self.say(" 或 ", " or "))
            case Not(of):
                return self.say(f"排除（{self.bare(of)}）", f"not ({self.bare(of)})")
            case _:
                return self.condition(node)

    def group(self, parts: Sequence[Node], joint: str) -> str:
        inner = joint.join(self.part(part) for part in parts)
        return inner if len(parts) == 1 else self.say(f"（{inner}）", f"({inner})")

    def bare(self, node: Node) -> str:
        """A part inside brackets that are already there."""
        written = self.part(node)
        return written[1:-1] if isinstance(node, All | AnyOf) and len(node.of) > 1 else written

    def condition(self, node: Condition) -> str:
        write: Callable[[Writer, Condition], str] = _WRITERS[type(node)]  # type: ignore[assignment]
        return write(self, node)

    def listed(self, names: Sequence[str]) -> str:
        shown = [f"“{name}”" for name in names[:5]]
        more = len(names) - len(shown)
        if more:
            shown.append(self.say(f"等 {len(names)} 个", f"{more} more"))
        return self.say("、", ", ").join(shown)

    def stores(self, codes: Sequence[str]) -> str:
        return self.listed([self.catalogue.stores[code].name for code in codes])

    def money(self, minor: Scalar) -> str:
        digits = self.catalogue.currency_digits
        amount = to_major(abs(int(minor)), digits)
        return f"{'−' if int(minor) < 0 else ''}{sign(self.catalogue.currency)}{amount:,.{digits}f}"

    def joined(self, what: str, said: str) -> str:
        """What is compared, and how: Chinese leaves no space between."""
        return self.say(f"{what}{said}", f"{what} {said}")

    def compared(self, op: str, values: Sequence[str]) -> str:
        shown = [self.listed(values)] if op == "in" else list(values)
        return self.name(_COMPARED[op]).format(*shown)

    def code(self, state: str) -> str:
        """What the code with this channel state is called, itself by its state."""
        known = self.catalogue.codes.get(state)
        return known.name if known and known.name else state

    def channel(self, code: str) -> str:
        return self.name(CHANNEL_NAMES.get(code, (code, code)))


def _tagged(w: Writer, node: Tagged) -> str:
    names, (chinese, english) = w.listed([w.catalogue.tags[tag].name for tag in node.tags]), _put_on(w, node)
    if node.op == "none":
        return w.say(f"没有{chinese}标签{names}", f"has none of the tags {names}{english}")
    if node.op == "all" and len(node.tags) > 1:
        return w.say(f"同时有{chinese}标签{names}", f"has all of the tags {names}{english}")
    if len(node.tags) > 1:
        return w.say(f"有任一{chinese}标签{names}", f"has any of the tags {names}{english}")
    return w.say(f"有{chinese}标签{names}", f"has the tag {names}{english}")


def _put_on(w: Writer, node: Tagged) -> tuple[str, str]:
    """When and by whom, before the tags in Chinese and behind them in English."""
    if not node.days and not node.sources:
        return "", ""
    sources = w.listed([w.name(TAG_SOURCE_NAMES.get(one, (one, one))) for one in node.sources])
    when = f"最近 {node.days} 天内（含今天）" if node.days else ""
    chinese = f"{when}{f'由{sources}' if sources else ''}打上的"
    english = f" within the last {node.days} days (today included)" if node.days else ""
    return chinese, f", put on{english}{f' by {sources}' if sources else ''}"


def _attribute(w: Writer, node: Attribute) -> str:
    definition = w.catalogue.attributes[node.code]
    if node.type == "boolean" and node.values:
        shown = [w.say("是", "yes") if node.values[0] else w.say("否", "no")]
    else:
        shown = [f"{value:g}" if isinstance(value, float) else str(value) for value in node.values]
    return w.joined(w.say(definition.label_zh, definition.label_en), w.compared(node.op, shown))


def _metric(w: Writer, node: Metric) -> str:
    name = w.name(METRIC_NAMES[node.metric])
    if node.metric in FAVOURITES:
        if node.metric == "favourite_store":
            shown = [w.catalogue.stores[str(code)].name for code in node.values]
        else:
            shown = [w.name(w.catalogue.categories[str(code)]) for code in node.values]
    elif node.metric in MONEY:
        shown = [w.money(value) for value in node.values]
    elif node.metric == LATENESS:
        shown = [f"{value}%" for value in node.values]
        if node.op in {"empty", "not_empty"}:
            if node.op == "empty":
                return w.say(
                    "还没有自己的购买节奏（不足两天有购买）",
                    "has no rhythm of her own (fewer than two days of purchases)",
                )
            return w.say(
                "有自己的购买节奏（至少两天有购买）", "has a rhythm of her own (at least two days of purchases)"
            )
    else:
        shown = [str(value) for value in node.values]
    if node.metric in DAYS_SINCE and node.op in {"empty", "not_empty"}:
        never = w.say("为空（从未发生）", "never happened"), w.say("不为空（发生过）", "has happened")
        what = w.name(TIME_NAMES[node.metric.removeprefix("days_since_")])
        return w.joined(what, never[0] if node.op == "empty" else never[1])
    return w.joined(name, w.compared(node.op, shown))


def _date(w: Writer, node: DateOf) -> str:
    if node.of in TIME_NAMES:
        what = w.name(TIME_NAMES[node.of])
    else:
        definition = w.catalogue.attributes[node.of.removeprefix("attribute:")]
        what = w.say(definition.label_zh, definition.label_en)
    return what + date_words(w, node.op, node.days, node.on)


def _store(w: Writer, node: AtStore) -> str:
    where = f"“{w.catalogue.nodes[node.node].name}”" if node.node else w.stores(node.stores)
    where = w.say(f"{where}下的门店", f"a store of {where}") if node.node else where
    return {
        "home": w.say(f"归属门店是{where}", f"home store is {where}"),
        "favourite": w.say(f"最常光顾{where}", f"favourite store is {where}"),
        "bought_at": w.say(f"在{where}买过", f"has bought at {where}"),
    }[node.op]


def _near(w: Writer, node: NearStore) -> str:
    definition, stores = w.catalogue.attributes[node.of], w.stores(node.stores)
    what = w.say(definition.label_zh, definition.label_en)
    many = len(node.stores) > 1
    if node.op == "nearest":
        one_of = w.say("之一", "one of "), w.say("", "")
        chosen = one_of[0] if many else one_of[1]
        return w.say(
            f"离{what}最近的营业门店是{stores}{chosen}（50 公里以内）",
            f"the open store nearest to the {what.lower()} (up to 50 km) is {chosen}{stores}",
        )
    km = f"{node.metres / 1000:g}"
    return w.say(
        f"{what}距门店{stores}{'中任一家' if many else ''} {km} 公里以内",
        f"{what.lower()} within {km} km of {'any of ' if many else ''}{stores}",
    )


def _consent(w: Writer, node: ConsentGiven) -> str:
    purpose, channel = w.name(PURPOSE_NAMES[node.purpose]), w.channel(node.channel)
    given = w.say("已同意", "has agreed to"), w.say("没有同意", "has not agreed to")
    return f"{given[0] if node.given else given[1]}{w.say('', ' ')}{channel}{w.say('', ' ')}{purpose}"


def _left_alone(w: Writer, node: LeftAlone) -> str:
    if node.on:
        return w.say("处于免打扰", "is on do-not-disturb")
    return w.say("不在免打扰", "is not on do-not-disturb")


def _friends(w: Writer, node: Friends) -> str:
    if node.staff:
        names = w.listed([w.catalogue.staff[userid].name for userid in node.staff])
        if node.number == 1:
            return w.say(f"是{names}的企微好友", f"is a WeCom friend of {names}")
        return w.say(
            f"是{names}中至少 {node.number} 人的企微好友", f"is a WeCom friend of at least {node.number} of {names}"
        )
    if node.number == 1:
        return w.say("有企微好友关系", "has a WeCom friend")
    return w.say(f"至少有 {node.number} 位企微好友", f"has at least {node.number} WeCom friends")


def _friendship(w: Writer, node: Friendship) -> str:
    """Who, in which state, how it began, when."""
    staff = w.listed([w.catalogue.staff[userid].name for userid in node.staff])
    ways = w.listed([w.name(ADDED_NAMES[way]) for way in node.ways])
    states = w.listed([w.code(one) for one in node.channel_states])
    campaigns = w.listed([w.catalogue.campaigns[one].name for one in node.campaigns])
    how_zh = (f"通过{ways}" if ways else "") + (f"（活动{campaigns}的渠道码）" if campaigns else "")
    how_zh += f"（渠道参数{states}）" if states else ""
    how_en = (f" by {ways}" if ways else "") + (f" with codes of the campaign {campaigns}" if campaigns else "")
    how_en += f" with the channel state {states}" if states else ""
    when_zh = f"最近 {node.days} 天内（含今天）" if node.days else ""
    when_en = f" within the last {node.days} days (today included)" if node.days else ""
    whom_zh, whom_en = staff or "员工", f" {staff}" if staff else " a member of staff"
    if node.state == "active":
        return w.say(
            f"{when_zh}{how_zh}添加了{whom_zh}，并且仍是好友", f"added{whom_en}{how_en}{when_en} and is still a friend"
        )
    if node.state == "lost":
        added = w.say(f"（当初{how_zh}添加）" if how_zh else "", f", added{how_en}," if how_en else "")
        return w.say(
            f"{when_zh}与{whom_zh}的好友关系已解除{added}", f"lost the friendship with{whom_en}{added}{when_en}"
        )
    return w.say(f"{when_zh}{how_zh}添加过{whom_zh}或已解除", f"added{whom_en}{how_en}, there or lost{when_en}")


def _in_groups(w: Writer, node: InGroups) -> str:
    """Which groups, of which stores, how many, joined when."""
    many = node.number > 1
    if node.groups:
        names = w.listed([w.catalogue.groups[one].name for one in node.groups])
        one_of = len(node.groups) > 1 and not many
        chinese = f"客户群{names}" + ("之一" if one_of else f"中的至少 {node.number} 个" if many else "")
        english = (
            (f"one of the group chats {names}" if one_of else f"the group chat {names}")
            if not many
            else (f"at least {node.number} of the group chats {names}")
        )
    else:
        chinese = f"至少 {node.number} 个客户群" if many else "任一客户群"
        english = f"at least {node.number} group chats" if many else "any group chat"
    if node.stores:
        stores = w.stores(node.stores)
        chinese, english = f"门店{stores}的{chinese}", f"{english} of {stores}"
    if node.days is None:
        return w.say(f"在{chinese}里", f"is in {english}")
    return w.say(
        f"最近 {node.days} 天内（含今天）加入了{chinese}，并且还在群里",
        f"joined {english} within the last {node.days} days (today included) and is still there",
    )


def _member(w: Writer, node: MemberOf) -> str:
    saved = w.catalogue.audiences[node.audience]
    if saved.of_pond:
        return w.say(f"符合分层“{saved.name}”的条件", f"fits the rule of the pond “{saved.name}”")
    return w.say(f"属于人群“{saved.name}”", f"is in the audience “{saved.name}”")


def _in_pond(w: Writer, node: InPond) -> str:
    names = _ponds(w, node.ponds)
    return w.say(f"在分层{names}中", f"is in the pond {names}")


def _was_in_pond(w: Writer, node: WasInPond) -> str:
    names = _ponds(w, node.ponds)
    return w.say(f"{node.day} 零点时在分层{names}中", f"was in the pond {names} when {node.day} began")


def _ponds(w: Writer, codes: tuple[str, ...]) -> str:
    rest = w.say("其他客户", "everybody else")
    known = [w.catalogue.ponds[one] for one in codes]
    return w.listed([f"{one.set_name}·{one.name or rest}" for one in known])


def _was_member(w: Writer, node: WasMember) -> str:
    name = w.catalogue.audiences[node.audience].name
    when = f"{node.day} {node.time}"
    return w.say(f"于 {when} 在人群“{name}”中", f"was in the audience “{name}” at {when}")


def _moved(w: Writer, node: Moved) -> str:
    name = w.catalogue.audiences[node.audience].name
    way = w.say("进入", "came into") if node.way == "entered" else w.say("离开", "went out of")
    days = node.days
    return w.say(f"最近 {days} 天内{way}过人群“{name}”", f"{way} the audience “{name}” in the last {days} days")


def _bucket(w: Writer, node: InBucket) -> str:
    named = w.say(f"（抽签“{node.draw}”）", f" of the draw “{node.draw}”") if node.draw else ""
    if node.first == node.last:
        return w.say(f"随机分桶第 {node.first} 桶{named}", f"random bucket {node.first} of {BUCKETS}{named}")
    return w.say(
        f"随机分桶第 {node.first}–{node.last} 桶（共 {BUCKETS} 桶）{named}",
        f"random buckets {node.first} to {node.last} of {BUCKETS}{named}",
    )


def _life_stage(w: Writer, node: LifeStage) -> str:
    model = w.catalogue.stage_models[node.model]
    names = {stage.code: stage.name for stage in model.course.stages}
    which = w.listed([names[code] for code in node.stages]) if node.stages else w.say("任一阶段", "a stage")
    who = {
        "any": ("本人或家庭成员", "she or somebody of her household"),
        "own": ("本人", "she"),
        "member": ("家庭成员", "somebody of her household"),
    }[node.whose]
    of = w.say(f"“{model.name}”", f" of “{model.name}”")
    return {
        "in": w.say(f"{who[0]}处于{of}{which}", f"{who[1]} is in {which}{of}"),
        "entered_within": w.say(
            f"{who[0]}在最近 {node.days} 天内（含今天）进入{of}{which}",
            f"{who[1]} came into {which}{of} within the last {node.days} days (today included)",
        ),
        "enters_within": w.say(
            f"{who[0]}将在 {node.days} 天内进入{of}{which}", f"{who[1]} comes into {which}{of} within {node.days} days"
        ),
    }[node.op]


_WRITERS = {
    Tagged: _tagged,
    Attribute: _attribute,
    Metric: _metric,
    DateOf: _date,
    AtStore: _store,
    NearStore: _near,
    district.InDistrict: district.sentence,
    **behaviour_sentences.WRITERS,
    **standing_sentences.WRITERS,
    ConsentGiven: _consent,
    LeftAlone: _left_alone,
    Friends: _friends,
    Friendship: _friendship,
    FirstSource: lambda w, node: first_source_sentences.first_source(w, node, ADDED_NAMES),
    InGroups: _in_groups,
    MemberOf: _member,
    InPond: _in_pond,
    WasInPond: _was_in_pond,
    WasMember: _was_member,
    Moved: _moved,
    InBucket: _bucket,
    LifeStage: _life_stage,
}
