"""The kinds of facts, each declared once: schema, meaning, example, and its line in a customer's timeline.

The reference page (`docs/reference/facts.md`) and the API's schema are generated from here. Money is in minor units
of the brand's currency; times carry a zone; quantities are decimal text with at most three places.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from hetang.facts.errors import Refusal
from hetang.platform import positions

Code = Annotated[str, Meta(min_length=1, max_length=64)]
Channel = Annotated[str, Meta(min_length=1, max_length=40, pattern=r"^[a-z0-9_.-]+$")]
Money = Annotated[int, Meta(ge=-(10**15), le=10**15)]
Quantity = Annotated[str, Meta(pattern=r"^-?[0-9]{1,11}(\.[0-9]{1,3})?$")]
Purpose = Literal["marketing", "service", "transaction"]
ConsentPurpose = Literal["marketing", "service", "transaction", "guardian", "personalisation"]
StatedBasis = Literal["consent", "contract", "legal_duty", "public_interest"]
Basis = Literal["consent", "contract", "legal_duty", "public_interest", "unknown"]
RelationState = Literal["active", "half", "lost_by_customer", "lost_by_staff"]
FIRST_BIRTH, LAST_BIRTH = date(1900, 1, 1), date(2199, 12, 31)
AttributeValue = bool | float | int | Annotated[str, Meta(max_length=500)] | None


class Body(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True, gc=False):
    """Base of all bodies: a field that is not declared is refused, so that a typing error is not swallowed."""

    def check(self) -> None:
        """Rules that the types cannot say. Raises Refusal."""

    def settled(self) -> Body:
        """The body as it is kept."""
        return self

    def remark(self) -> str:
        """What the sender of a good body should know: a code of `facts.messages`, or nothing."""
        return ""


class Line(Body):
    sku: Code
    amount: Money
    quantity: Quantity = "1"
    category: Annotated[str, Meta(max_length=120)] | None = None
    discount: Money = 0


class OrderPlaced(Body):
    lines: Annotated[list[Line], Meta(min_length=1, max_length=2000)]
    net: Money
    discount: Money = 0
    store: Code | None = None
    channel: Channel = "store"
    staff: Code | None = None

    def check(self) -> None:
        total = 0
        for line in self.lines:
            total += line.amount
        if total != self.net:
            raise Refusal("net_is_not_sum_of_lines", {"net": self.net, "sum": total})


class OrderRefunded(Body):
    order: Annotated[str, Meta(min_length=1, max_length=200)]
    amount: Annotated[int, Meta(gt=0, le=10**15)]
    store: Code | None = None
    channel: Channel = "store"


class VisitRecorded(Body):
    store: Code | None = None
    channel: Channel = "store"
    simulated: bool = False


class Coordinates(Body):
    latitude: float
    longitude: float
    datum: Literal["wgs84", "gcj02", "bd09"]

    def check_at(self, path: str) -> None:
        """Whether there is such a place. Raises Refusal, without the numbers: they say where somebody lives."""
        if abs(self.latitude) <= 90 and abs(self.longitude) <= 180:
            return
        if abs(self.latitude) <= 180 and abs(self.longitude) <= 90:
            raise Refusal("swapped_coordinates", {"path": path})
        raise Refusal("bad_body", {"path": path, "problem": "degrees out of range"})


class CustomerDescribed(Body):
    attributes: dict[Annotated[str, Meta(max_length=60)], AttributeValue] = {}
    home_store: Code | None = None
    owner: Code | None = None
    places: dict[Annotated[str, Meta(min_length=1, max_length=60)], Coordinates | None] = {}

    def check(self) -> None:
        for code, place in self.places.items():
            if place is not None:
                place.check_at(f"places.{code}")
        for code, value in self.attributes.items():
            if isinstance(value, str) and value.startswith("geo:") and positions.read(value) is None:
                raise Refusal("bad_body", {"path": f"attributes.{code}", "problem": "no position: send it in places"})

    def settled(self) -> Body:
        """Positions become attributes in one datum: so merges, erasure and copies treat them as what they are."""
        written = {
            code: place and positions.written(place.latitude, place.longitude, place.datum)
            for code, place in self.places.items()
        }
        return msgspec.structs.replace(self, attributes={**self.attributes, **written}, places={})


class CustomerIdentified(Body):
    pass


class ConsentChanged(Body):
    purpose: ConsentPurpose
    channel: Channel
    given: bool
    basis: Basis = "unknown"
    text_version: Annotated[str, Meta(max_length=60)] = ""
    simulated: bool = False

    def check(self) -> None:
        if self.purpose in ("guardian", "personalisation") and self.channel != "any":
            raise Refusal("channel_must_be_any", {"purpose": self.purpose})

    def remark(self) -> str:
        waits = self.given and self.basis == "unknown" and self.purpose in {"marketing", "guardian"}
        return "consent_without_basis" if waits else ""


class DoNotDisturbChanged(Body):
    on: bool
    until: Annotated[datetime, Meta(tz=True)] | None = None


class RelationChanged(Body):
    staff: Code
    state: RelationState
    since: Annotated[datetime, Meta(tz=True)] | None = None
    add_way: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    channel_state: Annotated[str, Meta(max_length=64)] = ""
    simulated: bool = False


class TagChanged(Body):
    tag: Code
    on: bool
    expires_at: Annotated[datetime, Meta(tz=True)] | None = None


class HouseholdMemberRemoved(Body, kw_only=True):
    member: Code
    origin: Annotated[str, Meta(min_length=1, max_length=60, pattern=r"^[a-z0-9][a-z0-9_.-]*$")] | None = None


class HouseholdMemberDescribed(HouseholdMemberRemoved, kw_only=True):
    kind: Literal["child", "partner", "parent", "pet", "other"]
    born_on: date | None = None
    due_on: date | None = None
    sex: Literal["female", "male"] | None = None

    def check(self) -> None:
        for field, day in (("born_on", self.born_on), ("due_on", self.due_on)):
            if day is not None and not FIRST_BIRTH <= day <= LAST_BIRTH:
                raise Refusal("bad_body", {"path": field, "problem": f"{day} is no day from 1900 to 2199"})


class AudienceMoved(Body):
    audience: int


class LifeStageChanged(Body):
    model: int
    stage: Annotated[str, Meta(max_length=64)]
    day: date


class TagMoved(Body):
    tag: Annotated[str, Meta(max_length=64)]
    audience: int | None = None


class TouchSettled(Body):
    programme: int
    channel: Channel
    message_class: Purpose = "marketing"
    reason: Annotated[str, Meta(max_length=60)] = ""


class LinkClicked(Body):
    link: Code
    programme: int | None = None
    task: int | None = None


class ClickIdentified(Body):
    link: Code
    direct: bool = False


class CustomerMerged(Body):
    survivor: int
    absorbed: int
    evidence: list[tuple[str, str]] = []


class CustomerErased(Body):
    numbers: Annotated[list[int], Meta(min_length=1, max_length=10_000)]


class CustomerUnmerged(Body):
    survivor: int
    people: list[int]
    restored: list[int] = []
    cause: Annotated[str, Meta(max_length=280)] = ""


class Decided(Body, kw_only=True):
    """Who decided, and why. No personal data: the people are in `who`."""

    by: Annotated[str, Meta(min_length=1, max_length=80)]
    reason: Annotated[str, Meta(max_length=500)] = ""


class CustomerKeptApart(Decided, kw_only=True):
    left: Annotated[int, Meta(ge=1)]


class DecisionLifted(Decided, kw_only=True):
    decision: Annotated[str, Meta(min_length=1, max_length=262)]


class ConsentBasisStated(Decided, kw_only=True):
    purpose: ConsentPurpose
    channel: Channel
    given_at: Annotated[datetime, Meta(tz=True)]
    basis: StatedBasis
    text_version: Annotated[str, Meta(max_length=60)] = ""


class IdentityJudged(Decided, kw_only=True):
    verdict: Literal["shared", "own", "rule"]


@dataclass(frozen=True)
class FactKind:
    """One kind. `message_*` are `str.format` templates over the body's fields, for the timeline.

    `external` kinds may come through the API; the others are written by rooms of the house. A `set_fact` carries
    a roaring bitmap of customer numbers in place of a subject; `subject` says whether somebody must be named.
    """

    name: str
    body: type[Body]
    meaning_en: str
    meaning_zh: str
    message_en: str
    message_zh: str
    example: dict[str, Any]
    subject: Literal["required", "optional", "none"] = "required"
    external: bool = True
    set_fact: bool = False


def _sale_kinds() -> list[FactKind]:
    return [
        FactKind(
            "order.placed",
            OrderPlaced,
            "An order was placed. The fact's key is the order's number in its source; without anybody named it is"
            " an anonymous order: in the sales, never in the people.",
            "下单。事实的 key 即来源系统的订单号；未带身份的为匿名订单：计入销售额，不计入人数。",
            "Order of {net_money} at {store_name}, {items}",
            "在{store_name}下单 {net_money}，{line_count} 件商品",
            {
                "store": "330",
                "channel": "store",
                "lines": [{"sku": "1095275", "category": "BREAD", "quantity": "1", "amount": 50}],
                "net": 50,
            },
            subject="optional",
        ),
        FactKind(
            "order.refunded",
            OrderRefunded,
            "Money of an order was given back. `order` is the order's number in the same source; it may arrive first.",
            "退款。order 为同一来源的订单号，可以先于订单到达。",
            "Refund of {amount_money}",
            "退款 {amount_money}",
            {"order": "31198570044", "amount": 50, "store": "330"},
            subject="optional",
        ),
        FactKind(
            "visit.recorded",
            VisitRecorded,
            "Somebody visited a store, mini-program or page.",
            "到店或访问小程序、页面。",
            "Visited {store_name} ({channel})",
            "到访{store_name}（{channel}）",
            {"store": "330", "channel": "store"},
        ),
    ]


def _person_kinds() -> list[FactKind]:
    return [
        FactKind(
            "customer.described",
            CustomerDescribed,
            "What is known of a customer: attributes, home store, the adviser who serves her, and `places`: positions,"
            " such as that of a delivery address, by a code (`place` is the usual one) with the `datum` of the numbers."
            " They are kept as attributes in WGS-84. The newest word counts; null takes one away.",
            "客户资料：属性、所属门店、归属顾问，以及 places：位置（如收货地址的坐标），按编号填写（常用 place）并注明"
            "坐标系 datum，统一换算为 WGS-84，作为属性保存。以最新一次为准，null 表示删除。",
            "Profile updated",
            "资料更新",
            {
                "attributes": {"household_size": 2},
                "home_store": "330",
                "places": {"place": {"latitude": 31.230416, "longitude": 121.473701, "datum": "gcj02"}},
            },
        ),
        FactKind(
            "customer.identified",
            CustomerIdentified,
            "Two or more identities belong to one person: evidence for a merge.",
            "两个或以上身份属于同一人：合并的依据。",
            "Identities recognised as one person",
            "确认为同一人",
            {},
        ),
        FactKind(
            "customer.merged",
            CustomerMerged,
            "Two customers were recognised as one; the smaller number stays.",
            "两个客户被识别为同一人，保留较小的编号。",
            "Merged with another record of the same person",
            "与同一人的另一条记录合并",
            {"survivor": 12, "absorbed": 340, "evidence": [["unionid", "oA1"], ["member", "900"]]},
            subject="none",
            external=False,
        ),
        FactKind(
            "customer.erased",
            CustomerErased,
            "A customer was erased, with the numbers that had been merged into hers.",
            "客户的个人信息已删除（含并入其名下的编号）。",
            "Personal data erased",
            "个人信息已删除",
            {"numbers": [12, 340]},
            subject="none",
            external=False,
        ),
    ]


def _contact_kinds() -> list[FactKind]:
    return [
        FactKind(
            "consent.changed",
            ConsentChanged,
            "Consent for one purpose on one channel was given or withdrawn, on which legal basis. For all channels"
            " together (`any`): `guardian`, the consent of a guardian to marketing to somebody under fourteen, and"
            " `personalisation`, not given when somebody objects to being chosen by what is known of her. Send the"
            " `basis`: a consent to marketing, a guardian's included, whose basis is `unknown` or left out is kept and"
            " shown, and does not count until its basis is stated.",
            "对某一用途、某一渠道的同意或撤回，及其法律依据。渠道为 `any` 时：`guardian` 为监护人同意营销"
            "（未满十四周岁），`personalisation` 未同意即客户关闭个性化推荐。请带上法律依据 `basis`：营销（含监护人）"
            "同意若依据为 `unknown` 或未填，只保存和显示，补充依据之前不生效。",
            "Consent for {purpose} by {channel}: {given_word}",
            "{channel} {purpose} 授权：{given_word}",
            {
                "purpose": "marketing",
                "channel": "wecom",
                "given": True,
                "basis": "consent",
                "text_version": "2026-01",
            },
        ),
        FactKind(
            "consent.basis_stated",
            ConsentBasisStated,
            "Somebody of the brand said on which legal basis a consent rests that came without one. `given_at` is the"
            " time of that consent; its own basis, where it has one, is never changed.",
            "品牌方补充说明某条同意的法律依据（该同意到来时未带依据）。given_at 为该同意的时间；"
            "已带依据的同意不受影响。",
            "Legal basis of the consent for {purpose} by {channel}: {basis_word} (stated by {by})",
            "{channel} {purpose} 授权的法律依据：{basis_word}（由 {by} 补充）",
            {
                "purpose": "marketing",
                "channel": "wecom",
                "given_at": "2025-06-01T09:00:00+08:00",
                "basis": "consent",
                "text_version": "2025-03",
                "by": "lin",
                "reason": "signed forms of March 2025, kept in the stores",
            },
            external=False,
        ),
        FactKind(
            "do_not_disturb.changed",
            DoNotDisturbChanged,
            "The customer wants to be left alone (for ever, or until a time), or no longer.",
            "客户要求免打扰（永久或至某时），或解除。",
            "Do not disturb: {on_word}",
            "免打扰：{on_word}",
            {"on": True, "until": None},
        ),
        FactKind(
            "relation.changed",
            RelationChanged,
            "A WeCom friendship between the customer and a member of staff began, ended or changed.",
            "客户与员工的企微好友关系建立、解除或变化。",
            "WeCom friendship with {staff}: {state}",
            "与 {staff} 的好友关系：{state}",
            {"staff": "adviser_12", "state": "active", "add_way": 1},
        ),
        FactKind(
            "tag.changed",
            TagChanged,
            "A tag was put on or taken off.",
            "打上或去掉标签。",
            "Tag {tag}: {on_word}",
            "标签 {tag}：{on_word}",
            {"tag": "taste_coffee", "on": True},
        ),
        FactKind(
            "link.clicked",
            LinkClicked,
            "A short link of ours was opened.",
            "打开了我们的短链接。",
            "Opened link {link}",
            "点击链接 {link}",
            {"link": "a1B2c3", "programme": 7, "task": 12},
            subject="optional",
            external=False,
        ),
        FactKind(
            "click.identified",
            ClickIdentified,
            "Somebody who is known opened a short link of ours, as another system says: a mini-program, a page behind"
            " sign-in, an SMS provider. `link` is the link's code, which a page gets where the message's address says"
            " `{link}`. Our own address has counted the click already; `direct` says that she came another way, so that"
            " it is counted now. The door adds the programme, task, channel and class of the message, and its name.",
            "已知身份的客户打开了我们的短链接，由其他系统上报：小程序、需登录的页面、短信服务商等。link 为短链接编号；"
            "在群发的跳转地址中写上 `{link}`，页面即可收到该编号。经我们的短链接打开时点击数已计入；direct 表示未经"
            "短链接直接打开，此时才计入。接收时自动补上所属的任务、渠道、消息类别和名称。",
            "Clicked the link of “{title}”",
            "点击“{title}”的链接",
            {"link": "a1B2c3"},
        ),
    ]


def _household_kinds() -> list[FactKind]:
    return [
        FactKind(
            "household.member_described",
            HouseholdMemberDescribed,
            "Somebody of the customer's household: a child, partner, parent, pet or other, with the birthday or, before"
            " it, the day on which the birth is due. The fact's `name` is the member's name or nickname. `member` is"
            " the member's code, which its source gives to nobody else; each fact says all that is known of the"
            " member, the newest counts. `origin` names the source whose member it is, where that is another one.",
            "客户的家庭成员：孩子、伴侣、父母、宠物或其他，及其生日，出生前则为预产期。事实的 name 为成员的姓名或小名。"
            "member 为成员编号，同一来源内不得用于他人；每条事实写全该成员的资料，以最新一次为准。"
            "若成员由另一来源登记，origin 填该来源。",
            "Household member noted",
            "登记家庭成员",
            {"member": "900-1", "kind": "child", "born_on": "2024-02-29", "sex": "female"},
        ),
        FactKind(
            "household.member_removed",
            HouseholdMemberRemoved,
            "Somebody no longer belongs to the customer's household, or was noted by mistake.",
            "家庭成员不再属于该客户的家庭，或为误登记。",
            "Household member removed",
            "移除家庭成员",
            {"member": "900-1"},
        ),
        FactKind(
            "life_stage.changed",
            LifeStageChanged,
            "At the local midnight that began `day`, these people (or somebody of their households) came into a stage"
            " of a life stage model; an empty `stage` means that its last one was over.",
            "在 day 当天零点（品牌时区），这些客户本人或其家庭成员进入生命阶段模型的某一阶段；"
            "stage 为空表示最后一个阶段结束。",
            "Life stage changed",
            "生命阶段变化",
            {"model": 3, "stage": "s1f0c2", "day": "2026-11-27"},
            subject="none",
            external=False,
            set_fact=True,
        ),
    ]


def _decision_kinds() -> list[FactKind]:
    by = {"by": "lin", "reason": "same birthday, both called in"}
    return [
        FactKind(
            "customer.unmerged",
            CustomerUnmerged,
            "A person was divided: `people` are the customers whose identities changed, `restored` those who are"
            " customers of their own again. `cause` is the decision, or the identity that proved to be shared.",
            "客户被拆分：people 为身份有变的客户，restored 为重新独立的客户，cause 为所依据的决定或多人共用的身份。",
            "Separated from another person",
            "与另一位客户拆分",
            {"survivor": 12, "people": [12, 340], "restored": [340], "cause": "console\x1f9f2c"},
            subject="none",
            external=False,
        ),
        FactKind(
            "customer.joined",
            Decided,
            "Somebody decided that two identities are one person's.",
            "人工判断两个身份属于同一人。",
            "Merged by hand by {by}",
            "由 {by} 人工合并",
            by,
            external=False,
        ),
        FactKind(
            "customer.kept_apart",
            CustomerKeptApart,
            "Somebody decided that two people are not the same: the first `left` identities named are one's, the rest"
            " the other's. No evidence joins them until that is lifted.",
            "人工判断两位客户不是同一人：前 left 个身份属于一人，其余属于另一人；撤回之前，任何依据都不会将其合并。",
            "Kept apart from another person by {by}",
            "由 {by} 判断与另一位客户不是同一人",
            {"left": 1, **by},
            external=False,
        ),
        FactKind(
            "customer.decision_lifted",
            DecisionLifted,
            "A decision about two people was taken back; the evidence counts again.",
            "撤回关于两位客户的决定，恢复按依据判断。",
            "A decision about who she is was taken back by {by}",
            "由 {by} 撤回关于客户身份的决定",
            {"decision": "console\x1f9f2c", **by},
            external=False,
        ),
        FactKind(
            "identity.judged",
            IdentityJudged,
            "Somebody decided that an identity is shared by several people and no evidence, or is one person's own, or"
            " that the rule decides.",
            "人工判断某个身份为多人共用（不作依据）、归一人所有，或交回规则判断。",
            "An identity was judged by {by}",
            "由 {by} 判断身份归属",
            {"verdict": "shared", **by},
            external=False,
        ),
    ]


def _set_kinds() -> list[FactKind]:
    moved = {"audience": 7}
    touched = {"programme": 7, "channel": "wecom"}
    bodies: dict[str, tuple[type[Body], dict[str, Any]]] = {
        "audience": (AudienceMoved, moved),
        "tag": (TagMoved, {"tag": "gold", "audience": 7}),
        "touch": (TouchSettled, touched),
    }
    texts = [
        ("audience.entered", "These people came into an audience.", "进入人群。", "Entered an audience", "进入人群"),
        ("audience.left", "These people left an audience.", "离开人群。", "Left an audience", "离开人群"),
        (
            "tag.kept",
            "A rule put a tag on these people.",
            "规则给这些人打上标签。",
            "Tag put on by a rule",
            "规则打标签",
        ),
        (
            "tag.released",
            "A rule took a tag off these people.",
            "规则给这些人取下标签。",
            "Tag taken off by a rule",
            "规则取下标签",
        ),
        ("touch.sent", "A message was sent to these people.", "已向这些人发送消息。", "Message sent", "已发送消息"),
        (
            "touch.failed",
            "A message could not be sent to these people.",
            "未能发送消息。",
            "Message not sent",
            "消息未发出",
        ),
    ]
    return [
        FactKind(
            name,
            bodies[name.partition(".")[0]][0],
            meaning_en,
            meaning_zh,
            message_en,
            message_zh,
            example=bodies[name.partition(".")[0]][1],
            subject="none",
            external=False,
            set_fact=True,
        )
        for name, meaning_en, meaning_zh, message_en, message_zh in texts
    ]


_ALL = (*_sale_kinds(), *_person_kinds(), *_contact_kinds(), *_decision_kinds(), *_household_kinds(), *_set_kinds())
KINDS: dict[str, FactKind] = {kind.name: kind for kind in _ALL}
SETTLED = frozenset(name for name, kind in KINDS.items() if kind.body.settled is not Body.settled)
REMARKED = frozenset(name for name, kind in KINDS.items() if kind.body.remark is not Body.remark)
_DECODERS = {name: msgspec.json.Decoder(kind.body) for name, kind in KINDS.items()}
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # PostgreSQL cannot hold it in a text
_FAULT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)


def check_body(kind: str, body: bytes | msgspec.Raw) -> None:
    """Validate a body's JSON against its kind. Raises Refusal with the path of the fault; about 1 microsecond."""
    decoder = _DECODERS.get(kind)
    if decoder is None:
        raise Refusal("unknown_kind", {"kind": kind[:60]})
    try:
        decoder.decode(body).check()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as fault:  # ValidationError is one too
        raise body_refusal(fault) from None
    plain = body if isinstance(body, bytes) else bytes(body)
    if b"\\u0000" in plain and _NUL.search(plain):
        raise Refusal("bad_body", {"path": "$", "problem": "a text holds the character NUL"})


def settled(kind: str, body: bytes) -> bytes:
    """The JSON of a good body as it is kept: positions in one datum, among the attributes. Others stay as they came."""
    if kind not in SETTLED or b'"places"' not in body:
        return body
    return msgspec.json.encode(_DECODERS[kind].decode(body).settled())


def remark(kind: str, body: bytes | msgspec.Raw) -> str:
    """What a sender should know of a body that is good: a code, or nothing. Asked for kinds of `REMARKED` only."""
    return str(_DECODERS[kind].decode(body).remark())


def body_refusal(fault: Exception) -> Refusal:
    """A refusal that names the field and what was expected there, without the value."""
    if not isinstance(fault, msgspec.DecodeError):
        return Refusal("bad_body", {"path": "$", "problem": "not JSON in UTF-8, or nested too deeply"})
    match = _FAULT.match(str(fault))
    path = (match.group("path") or "$") if match else "$"
    what = match.group("what") if match else ""
    return Refusal("bad_body", {"path": path.replace("$.", "").replace("...", "*"), "problem": what[:200]})


def schema_of(kind: FactKind) -> dict[str, Any]:
    """JSON Schema of a kind's body."""
    return msgspec.json.schema(kind.body)


def example_fact(kind: FactKind) -> dict[str, Any]:
    """A complete example of the kind as the API takes it."""
    who = [] if kind.subject == "none" else [{"kind": "member", "value": "900"}]
    fact: dict[str, Any] = {
        "kind": kind.name,
        "key": "example-1",
        "occurred_at": "2026-11-11T09:00:00+08:00",
        "who": who,
        "body": json.loads(json.dumps(kind.example)),
    }
    if kind.set_fact:
        fact["members"] = base64.b64encode(b"roaring bitmap").decode()
    return fact
