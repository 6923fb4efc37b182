"""The segment language: a typed tree in JSON, parsed into frozen nodes. Pure: no ORM, no clock, no I/O.

`{"version": 1, "rule": NODE}`; NODE is `{"all": [...]}`, `{"any": [...]}`, `{"not": NODE}` or a condition with a
`type`. An empty `all` at the root means everybody; empty groups elsewhere are refused. Days are days of the brand's
calendar, today included: "in the last 7 days" is today and the six days before it. Money is in minor units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from hetang.audiences.district import InDistrict, Place
from hetang.audiences.first_source import Code, FirstSource, asked_states
from hetang.audiences.standing_rules import Borders, Percentile, RfmCell, Standing
from hetang.commerce.rhythm import Base
from hetang.customers.stages import Course
from hetang.platform.positions import USUAL

VERSION = 1
MAX_DEPTH = 12
MAX_CONDITIONS = 500
MAX_VALUES = 1000
MAX_TEXT = 200
MAX_DAYS = 36_500
MAX_NUMBER = 10**15
BUCKETS = 100

COUNTS = ("orders", "orders_30", "orders_90", "orders_365", "visits")
MONEY = ("gmv", "average_order_value", "refunded")
DAYS_SINCE = ("days_since_last_order", "days_since_first_order", "days_since_last_visit")
LATENESS = "lateness"  # in percent of times she had bought by now: see `commerce.rhythm`
MAY_BE_MISSING = (*DAYS_SINCE, LATENESS)
FAVOURITES = ("favourite_store", "favourite_category")
METRICS = COUNTS + MONEY + MAY_BE_MISSING + FAVOURITES
COMPARISONS = ("=", "!=", "<", "<=", ">", ">=", "between")
TEXT_OPS = ("=", "!=", "in", "contains", "empty", "not_empty")
ATTRIBUTE_OPS: Mapping[str, tuple[str, ...]] = {
    "text": TEXT_OPS,
    "choice": ("=", "!=", "in", "empty", "not_empty"),
    "boolean": ("=", "empty", "not_empty"),
    "number": (*COMPARISONS, "empty", "not_empty"),
    "date": (*COMPARISONS, "empty", "not_empty"),
    "place": ("empty", "not_empty"),
}
ENDS = ("first", "last")
NEAR_OPS = ("within", "nearest")
MAX_KM = 500
UNITS = {"hours": 3600, "days": 86400}  # in seconds
DEED_OPS = ("within_last", "more_than_ago", "before", "after")
ANNIVERSARY = "anniversary_within"  # of dates of attributes, such as a birthday
DATE_OPS = ("within_last", "more_than_ago", "within_next", "before", "after")
EXPECTED = "expected_order"
TIMES = ("first_order", "last_order", "last_visit", EXPECTED)
EVENTS = ("bought", "spent", "visited", "received", "clicked", "fact")
DEEDS = (
    "bought",
    "visited",
    "received",
    "clicked",
    "fact",
)  # what has a first and a last time, and comes after something else
# Facts that name a person, other than those that are an event of their own here.
FACT_KINDS = (
    "order.refunded",
    "customer.described",
    "customer.identified",
    "customer.joined",
    "customer.kept_apart",
    "customer.decision_lifted",
    "identity.judged",
    "consent.changed",
    "consent.basis_stated",
    "do_not_disturb.changed",
    "relation.changed",
    "tag.changed",
    "household.member_described",
    "household.member_removed",
)
# What is measured of an event (the first one by default), and of which of its properties.
MEASURES: Mapping[str, tuple[str, ...]] = {
    "bought": ("times", "sum", "distinct"),
    "spent": ("sum", "average"),
    "visited": ("times", "distinct"),
    "received": ("times", "distinct"),
    "clicked": ("times", "distinct"),
    "fact": ("times", "distinct"),
}
MEASURED: Mapping[tuple[str, str], tuple[str, ...]] = {
    ("bought", "sum"): ("quantity",),
    ("bought", "distinct"): ("category", "sku", "store", "channel", "day"),
    ("visited", "distinct"): ("store", "channel", "day"),
    ("received", "distinct"): ("channel", "day"),
    ("clicked", "distinct"): ("channel", "day"),
    ("fact", "distinct"): ("day",),
}
QUANTIFIERS = ("at_least", "at_most", "exactly")
WAYS = ("entered", "left")
FRIENDSHIPS = ("active", "lost", "any")
# How a friendship began, with WeCom's numbers (`add_way`).
ADDED = {
    "qr_code": 1,
    "phone_number": 2,
    "card": 3,
    "group_chat": 4,
    "phone_contacts": 5,
    "wechat_contacts": 6,
    "email": 9,
    "channels": 10,
    "acquisition_link": 16,
    "shared_by_colleague": 201,
    "assigned": 202,
    "unknown": 0,
}
STAGE_OPS = ("in", "entered_within", "enters_within")
WHOSE = ("any", "own", "member")
PURPOSES = ("marketing", "service", "transaction")

Scalar = str | int | float | bool
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class All:
    of: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    of: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Not:
    of: Node


@dataclass(frozen=True, slots=True)
class Tagged:
    """Wears any, all or none of these tags. With `days` or `sources` only tags count that were put on in the last days,
    or by one of these sources (`console`: by hand, `wecom`, or the name under which another system or file says it);
    the newest word counts. Tags that a rule keeps cannot be asked so."""

    op: Literal["any", "all", "none"]
    tags: tuple[str, ...]
    days: int | None = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attribute:
    """`!=` is the complement of `=`: it holds for people without a value too. Other comparisons need a value."""

    code: str
    type: str
    op: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Metric:
    """`days_since_*` and the average order value do not exist before the first order (visit), lateness not before the
    second day of a purchase: only `!=` holds then."""

    metric: str
    op: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class DateOf:
    """A day of a customer (`first_order`, `last_order`, `last_visit`, `attribute:<code>`, or `expected_order`: the day
    by which she has bought again in half of all times) relative to today or to `on` (ISO date). `before` and `after`
    exclude the day itself. The anniversary of an attribute's day comes every year; that of 29 February is the first of
    March in a common year."""

    of: str
    op: str
    days: int
    on: str


@dataclass(frozen=True, slots=True)
class AtStore:
    """Home store, favourite store, or any store she bought at; by store codes, or below the node of code `node`."""

    op: Literal["home", "favourite", "bought_at"]
    stores: tuple[str, ...]
    node: str


@dataclass(frozen=True, slots=True)
class NearStore:
    """A position of hers (the code of an attribute) is within so many metres of any of these stores, or one of them is
    the nearest of all stores that are open today, at most `nearness.NEAREST_M` away. Who has no position is neither."""

    of: str
    op: Literal["within", "nearest"]
    stores: tuple[str, ...]
    metres: int = 0


@dataclass(frozen=True, slots=True)
class Period:
    """When something happened: in the last `days` days, more than `before` days ago (both: in between), or from the day
    `first` to the day `last` (ISO, both included). What is left out is no border."""

    days: int | None = None
    before: int | None = None
    first: str = ""
    last: str = ""


WEEKDAYS = {"workdays": (1, 5), "weekend": (6, 7)}  # first and last, Monday is 1; holidays are not known here


@dataclass(frozen=True, slots=True)
class Deed:
    """Something that happened with a customer: an event with these properties, in a period. `kind` is the kind of fact
    of the event `fact`, `sources` are systems from which orders come. Messages are those of the `programmes` that
    belong to the campaigns and to the broadcasts (public ids) that are named; None where neither is. `hours`: from one
    hour of the brand's day until before another, past midnight where the first is the later one. Clicks are those on
    links of messages that somebody said were hers (`click.identified`): those that name nobody are no deed."""

    event: str
    kind: str = ""
    category: str = ""
    sku: str = ""
    stores: tuple[str, ...] = ()
    channel: str = ""
    when: Period = Period()
    hours: tuple[int, int] | None = None
    weekdays: str = ""
    sources: tuple[str, ...] = ()
    message_class: str = ""
    campaigns: tuple[str, ...] = ()
    broadcasts: tuple[str, ...] = ()
    programmes: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How much of something happened: how often (`count`: by orders or by their lines), the sum of a property, how many
    different values of it, or the average of an order's amount. Amounts are before refunds. What never happened is
    zero times; its average does not exist, so nothing holds of that."""

    deed: Deed
    op: str
    value: int
    measure: str = "times"
    of: str = ""
    count: str = "orders"


@dataclass(frozen=True, slots=True)
class DeedAt:
    """The first or the last time that something happened lies within, before or after some days. Never: no."""

    deed: Deed
    end: str
    op: str
    days: int
    on: str


@dataclass(frozen=True, slots=True)
class Followed:
    """After one thing another one happened within a time, at least once (`happened`); or the other one did not happen
    although the time is over by the midnight that began today. Later means later by a millisecond at least."""

    first: Deed
    then: Deed
    within: int
    unit: str
    happened: bool


@dataclass(frozen=True, slots=True)
class ConsentGiven:
    purpose: str
    channel: str
    given: bool


@dataclass(frozen=True, slots=True)
class LeftAlone:
    """Do-not-disturb is on now (or, with `on` false, is not)."""

    on: bool


@dataclass(frozen=True, slots=True)
class Friends:
    """At least `number` active WeCom friendships, with these members of staff (userids) where named."""

    number: int
    staff: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Friendship:
    """A WeCom friendship that is there now (`active`) or was lost by the customer or by staff (`lost`; `any`: either),
    with these members of staff, begun in one of these ways (codes of `ADDED`), by a live code or link of one of these
    states, of these campaigns, where they are named; with `days` begun (lost: lost) in the last days. `codes` are as in
    `FirstSource`."""

    state: str
    staff: tuple[str, ...]
    ways: tuple[str, ...]
    channel_states: tuple[str, ...]
    days: int | None = None
    campaigns: tuple[str, ...] = ()
    codes: tuple[str, ...] | None = None

    @property
    def states(self) -> tuple[str, ...] | None:
        """By codes of which states it may have begun; None: of any, or without."""
        return asked_states(self.channel_states, self.codes)


@dataclass(frozen=True, slots=True)
class InGroups:
    """In at least `number` group chats now: of these (public ids) and of these stores where named, and with `days`
    only those that she joined in the last days."""

    number: int
    groups: tuple[str, ...]
    stores: tuple[str, ...]
    days: int | None = None


@dataclass(frozen=True, slots=True)
class MemberOf:
    """Fits the rule of another saved audience (its public id) now."""

    audience: str


@dataclass(frozen=True, slots=True)
class InPond:
    """In any of these ponds of pond sets now (codes of `Catalogue.ponds`)."""

    ponds: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class WasInPond:
    """Was in any of these ponds (codes of `Catalogue.ponds`) at the beginning of a day (ISO), by the newest day that is
    kept of their sets until then. Before the first one nobody was."""

    ponds: tuple[str, ...]
    day: str


@dataclass(frozen=True, slots=True)
class WasMember:
    """Was in another saved audience (its public id) on a day at a time (`HH:MM`) of the brand's zone, by the snapshot
    that was valid then. Before its first snapshot nobody was; a time to come asks for the newest."""

    audience: str
    day: str
    time: str


@dataclass(frozen=True, slots=True)
class Moved:
    """Came into another saved audience, or went out of it, in the last `days` days. Who was in its first snapshot came
    in with that."""

    audience: str
    way: Literal["entered", "left"]
    days: int


@dataclass(frozen=True, slots=True)
class InBucket:
    """In one of the buckets `first` to `last` of the hundred into which the draw `draw` puts all customers
    (`buckets.bucket`). The empty name is the draw that everybody shares."""

    draw: str
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class LifeStage:
    """In any of these stages (codes) of a model, into one of them within the last `days` days (today included) and
    still in it, or into one of them in 1 to `days` days. By a date of her own, a household member's, or either."""

    model: str
    op: str
    stages: tuple[str, ...]
    days: int
    whose: str


Condition = (
    Tagged
    | Attribute
    | Metric
    | DateOf
    | AtStore
    | NearStore
    | Behaviour
    | DeedAt
    | Followed
    | ConsentGiven
    | LeftAlone
    | Friends
    | Friendship
    | FirstSource
    | InDistrict
    | InGroups
    | MemberOf
    | InPond
    | WasInPond
    | WasMember
    | Moved
    | InBucket
    | LifeStage
    | Percentile
    | RfmCell
)
Node = All | AnyOf | Not | Condition


@dataclass(frozen=True)
class Named:
    """Something a rule may refer to: its row id and what people call it."""

    id: int
    name: str


@dataclass(frozen=True)
class AttributeType:
    type: str
    label_zh: str
    label_en: str
    choices: tuple[str, ...] = ()
    birth_date: bool = False  # the customer's own


@dataclass(frozen=True)
class StageModel:
    """A life stage model: its stages, and what it counts from: a date attribute, days of household members of a kind
    (`any`: of every kind); what is empty does not count."""

    name: str
    course: Course
    attribute: str = ""
    member_kind: str = ""


@dataclass(frozen=True)
class OrgStores:
    """A node of the organisation and the codes of the stores below it."""

    name: str
    stores: tuple[str, ...]


@dataclass(frozen=True)
class StorePlace:
    """Where a store is (WGS-84, millionths of a degree), and whether it is open today."""

    at: tuple[int, int]
    open: bool = True


@dataclass(frozen=True)
class Sent:
    """A campaign or a broadcast, and the ids of the programmes by which it was sent."""

    name: str
    programmes: tuple[int, ...]


@dataclass(frozen=True)
class SavedRule:
    """The rule of a saved audience, or (`of_pond`) one that a pond has of its own: no other rule can name that one."""

    id: int
    name: str
    rule: dict[str, Any]
    of_pond: bool = False


@dataclass(frozen=True)
class PondRule:
    """A pond of a set (the rest has no name): who fits `audience` (empty: anybody) and none of `earlier` (public
    ids)."""

    set_name: str
    name: str
    audience: str
    earlier: tuple[str, ...]


@dataclass(frozen=True)
class Catalogue:
    """What exists and may be named in a rule. `categories` maps the code to its (Chinese, English) label."""

    tags: Mapping[str, Named] = field(default_factory=dict)
    attributes: Mapping[str, AttributeType] = field(default_factory=dict)
    stores: Mapping[str, Named] = field(default_factory=dict)
    places: Mapping[str, StorePlace] = field(default_factory=dict)  # of stores that said where they are, by code
    districts: Mapping[str, Place] = field(default_factory=dict)  # with a centre, by code
    nodes: Mapping[str, OrgStores] = field(default_factory=dict)
    staff: Mapping[str, Named] = field(default_factory=dict)
    categories: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    products: Mapping[str, str] = field(default_factory=dict)
    audiences: Mapping[str, SavedRule] = field(default_factory=dict)
    ponds: Mapping[str, PondRule] = field(default_factory=dict)  # by public id; the rest by that of its set
    kept: Mapping[str, str] = field(default_factory=dict)  # tags that an audience keeps, and which one
    groups: Mapping[str, Named] = field(default_factory=dict)
    campaigns: Mapping[str, Sent] = field(default_factory=dict)
    codes: Mapping[str, Code] = field(default_factory=dict)  # that have a name or a campaign, by channel state
    broadcasts: Mapping[str, Sent] = field(default_factory=dict)
    stage_models: Mapping[str, StageModel] = field(default_factory=dict)
    rhythm: Base = field(default_factory=Base)  # of the brand's purchases
    borders: Mapping[Standing, Borders] = field(default_factory=dict)  # known only where somebody asked for them
    currency_digits: int = 2
    currency: str = "CNY"


def position_of(known: Catalogue) -> str:
    """The attribute that says where customers are, empty where there is none: the usual one, else the first."""
    codes = [code for code, one in known.attributes.items() if one.type == "place"]
    return USUAL if USUAL in codes else next(iter(codes), "")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: where (keys and positions from the root), a code of `errors.MESSAGES`, its parameters."""

    path: Path
    code: str
    params: Mapping[str, Any] = field(default_factory=dict)


def short(value: Any) -> str:
    """A value as it may be repeated in a message: never long."""
    shown = str(value)
    return shown if len(shown) <= 60 else shown[:59] + "…"


# What these look at is how somebody can be reached and what she said, or chance: nothing of who she is or does.
_NEUTRAL = (ConsentGiven, LeftAlone, Friends, InBucket)


def is_personal(node: Node, rule_of: Callable[[str], Node | None]) -> bool:
    """Whether a rule chooses people by what is known of them (tags, attributes, purchases, visits, favourites, groups).

    Where they live, how they can be reached, what they agreed to, and chance are not meant: a broadcast to everybody of
    a store is no personalised one. `rule_of` gives the tree of a saved audience, None where there is none any more.
    """
    if isinstance(node, All | AnyOf):
        return any(is_personal(child, rule_of) for child in node.of)
    if isinstance(node, Not):
        return is_personal(node.of, rule_of)
    if isinstance(node, MemberOf):
        inner = rule_of(node.audience)
        return inner is None or is_personal(inner, rule_of)
    if isinstance(node, AtStore):
        return node.op != "home"
    return not isinstance(node, _NEUTRAL)


class InvalidRule(ValueError):
    """The rule cannot be evaluated; `problems` says exactly why, all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{'/'.join(map(str, p.path))}: {p.code} {dict(p.params)}" for p in problems))
        self.problems = list(problems)


def conditions(node: Node) -> Iterator[Condition]:
    """The conditions of a tree, left to right."""
    if isinstance(node, All | AnyOf):
        for child in node.of:
            yield from conditions(child)
    elif isinstance(node, Not):
        yield from conditions(node.of)
    else:
        yield node


def named_in(document: Any, key: str) -> set[str]:
    """The texts under `key` (such as `sku`) anywhere in a rule document, parsed or not."""
    found: set[str] = set()
    stack = [document]
    while stack:
        part = stack.pop()
        if isinstance(part, dict):
            value = part.get(key)
            found.update(v for v in (value if isinstance(value, list) else [value]) if isinstance(v, str) and v)
            stack.extend(part.values())
        elif isinstance(part, list):
            stack.extend(part)
    return found
