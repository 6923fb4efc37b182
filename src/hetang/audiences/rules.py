"""The segment language: a typed tree in JSON, parsed into frozen nodes. Pure: no ORM, no clock, no I/O.

`{"version": 1, "rule": NODE}`; NODE is `{"all": [...]}`, `{"any": [...]}`, `{"not": NODE}` or a condition with a
`type`. An empty `all` at the root means everybody; empty groups elsewhere are refused. Days are days of the brand's
calendar, today included: "in the last 7 days" is today and the six days before it. Money is in minor units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

VERSION = 1
MAX_DEPTH = 12
MAX_CONDITIONS = 500
MAX_VALUES = 1000
MAX_TEXT = 200
MAX_DAYS = 36_500
MAX_NUMBER = 10**15

COUNTS = ("orders", "orders_30", "orders_90", "orders_365", "visits")
MONEY = ("gmv", "average_order_value", "refunded")
DAYS_SINCE = ("days_since_last_order", "days_since_first_order", "days_since_last_visit")
FAVOURITES = ("favourite_store", "favourite_category")
METRICS = COUNTS + MONEY + DAYS_SINCE + FAVOURITES
COMPARISONS = ("=", "!=", "<", "<=", ">", ">=", "between")
TEXT_OPS = ("=", "!=", "in", "contains", "empty", "not_empty")
ATTRIBUTE_OPS: Mapping[str, tuple[str, ...]] = {
    "text": TEXT_OPS,
    "choice": ("=", "!=", "in", "empty", "not_empty"),
    "boolean": ("=", "empty", "not_empty"),
    "number": (*COMPARISONS, "empty", "not_empty"),
    "date": (*COMPARISONS, "empty", "not_empty"),
}
DATE_OPS = ("within_last", "more_than_ago", "within_next", "before", "after")
TIMES = ("first_order", "last_order", "last_visit")
EVENTS = ("bought", "spent", "visited", "received")
QUANTIFIERS = ("at_least", "at_most", "exactly")
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
    op: Literal["any", "all", "none"]
    tags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attribute:
    """`!=` is the complement of `=`: it holds for people without a value too. Other comparisons need a value."""

    code: str
    type: str
    op: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Metric:
    """`days_since_*` and the average order value do not exist before the first order (visit): only `!=` holds then."""

    metric: str
    op: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class DateOf:
    """A day of a customer (`first_order`, `last_order`, `last_visit` or `attribute:<code>`) relative to today or to
    `on` (ISO date). `before` and `after` exclude the day itself."""

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
class Behaviour:
    """How often (`bought`, `visited`, `received`) or for how much (`spent`, before refunds) in the last `days` days
    (None: ever)."""

    event: str
    op: str
    value: int
    days: int | None = None
    category: str = ""
    sku: str = ""
    stores: tuple[str, ...] = ()
    count: str = "orders"
    channel: str = ""


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
class MemberOf:
    """Fits the rule of another saved audience (its public id) now."""

    audience: str


Condition = Tagged | Attribute | Metric | DateOf | AtStore | Behaviour | ConsentGiven | LeftAlone | Friends | MemberOf
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


@dataclass(frozen=True)
class OrgStores:
    """A node of the organisation and the codes of the stores below it."""

    name: str
    stores: tuple[str, ...]


@dataclass(frozen=True)
class SavedRule:
    id: int
    name: str
    rule: dict[str, Any]


@dataclass(frozen=True)
class Catalogue:
    """What exists and may be named in a rule. `categories` maps the code to its (Chinese, English) label."""

    tags: Mapping[str, Named] = field(default_factory=dict)
    attributes: Mapping[str, AttributeType] = field(default_factory=dict)
    stores: Mapping[str, Named] = field(default_factory=dict)
    nodes: Mapping[str, OrgStores] = field(default_factory=dict)
    staff: Mapping[str, Named] = field(default_factory=dict)
    categories: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    products: Mapping[str, str] = field(default_factory=dict)
    audiences: Mapping[str, SavedRule] = field(default_factory=dict)
    currency_digits: int = 2
    currency: str = "CNY"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong: where (keys and positions from the root), a code of `errors.MESSAGES`, its parameters."""

    path: Path
    code: str
    params: Mapping[str, Any] = field(default_factory=dict)


class InvalidRule(ValueError):
    """The rule cannot be evaluated; `problems` says exactly why, all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("; ".join(f"{'/'.join(map(str, p.path))}: {p.code} {dict(p.params)}" for p in problems))
        self.problems = list(problems)


def parse(document: Any, catalogue: Catalogue, inside: frozenset[str] = frozenset()) -> Node:
    """The tree of a rule document, checked against what exists. Raises `InvalidRule` with every problem found.

    `inside` holds the public ids of audiences whose rule is being read: naming one of them again is a cycle.
    """
    reader = _Reader(catalogue, inside)
    node = reader.document(document)
    if reader.problems or node is None:
        raise InvalidRule(reader.problems)
    return node


def conditions(node: Node) -> Iterator[Condition]:
    """The conditions of a tree, left to right."""
    if isinstance(node, All | AnyOf):
        for child in node.of:
            yield from conditions(child)
    elif isinstance(node, Not):
        yield from conditions(node.of)
    else:
        yield node


def nested(member: MemberOf, catalogue: Catalogue) -> Node:
    """The tree of the audience that a condition names, as it is now. Raises `InvalidRule` when it is broken."""
    return parse(catalogue.audiences[member.audience].rule, catalogue, frozenset({member.audience}))


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


class _Reader:
    """Reads one document; collects problems instead of stopping at the first."""

    def __init__(self, catalogue: Catalogue, inside: frozenset[str]) -> None:
        self.catalogue = catalogue
        self.inside = inside
        self.problems: list[Problem] = []
        self.seen = 0

    def problem(self, path: Path, code: str, /, **params: Any) -> None:
        self.problems.append(Problem(path, code, params))

    def document(self, document: Any) -> Node | None:
        if not isinstance(document, dict) or "rule" not in document:
            self.problem((), "not_a_rule")
            return None
        if document.get("version") != VERSION:
            self.problem(("version",), "unknown_version", version=_short(document.get("version")))
            return None
        rule = document["rule"]
        if rule == {"all": []}:
            return All(())
        return self.node(rule, ("rule",), 1)

    def node(self, raw: Any, path: Path, depth: int) -> Node | None:
        if depth > MAX_DEPTH:
            return self.refuse(path, "too_deep", limit=MAX_DEPTH)
        if not isinstance(raw, dict):
            return self.refuse(path, "not_a_condition")
        for word, kind in (("all", All), ("any", AnyOf)):
            if word in raw:
                return self.group(raw, word, kind, path, depth)
        if "not" in raw:
            self.only(raw, {"not"}, path)
            inner = self.node(raw["not"], (*path, "not"), depth + 1)
            return Not(inner) if inner is not None else None
        return self.condition(raw, path)

    def group(
        self, raw: dict[str, Any], word: str, kind: type[All] | type[AnyOf], path: Path, depth: int
    ) -> Node | None:
        self.only(raw, {word}, path)
        items = raw[word]
        if not isinstance(items, list) or not items:
            return self.refuse(path, "empty_group")
        read = []
        for position, item in enumerate(items):
            read.append(self.node(item, (*path, word, position), depth + 1))
            if self.seen > MAX_CONDITIONS:
                return None
        children = tuple(child for child in read if child is not None)
        return kind(children) if len(children) == len(items) else None

    def condition(self, raw: dict[str, Any], path: Path) -> Condition | None:
        self.seen += 1
        if self.seen > MAX_CONDITIONS:
            if self.seen == MAX_CONDITIONS + 1:
                self.problem(path, "too_many", limit=MAX_CONDITIONS)
            return None
        kind = raw.get("type")
        reader = _CONDITIONS.get(kind) if isinstance(kind, str) else None
        if reader is None:
            return self.refuse(path, "unknown_type", type=_short(kind))
        before = len(self.problems)
        read = reader(self, raw, path)
        return read if len(self.problems) == before else None

    def refuse(self, path: Path, code: str, /, **params: Any) -> None:
        self.problem(path, code, **params)

    # fields -------------------------------------------------------------------------------------------------

    def only(self, raw: dict[str, Any], allowed: set[str], path: Path) -> None:
        for key in raw:
            if key not in allowed:
                self.problem(path, "unknown_field", field=_short(key))

    def choice(self, raw: dict[str, Any], key: str, options: Sequence[str], path: Path, default: str = "") -> str:
        value = raw.get(key, default)
        if value not in options:
            self.problem((*path, key), "not_an_option", value=_short(value), options=", ".join(options))
            return options[0]
        return str(value)

    def text(self, raw: dict[str, Any], key: str, path: Path, *, required: bool = True) -> str:
        value = raw.get(key, "")
        if not isinstance(value, str) or len(value) > MAX_TEXT or "\0" in value:
            self.problem((*path, key), "not_a_text", limit=MAX_TEXT)
            return ""
        if required and not value:
            self.problem((*path, key), "missing", field=key)
        return value

    def texts(self, raw: dict[str, Any], key: str, path: Path, *, required: bool = True) -> tuple[str, ...]:
        value = raw.get(key, [])
        if not isinstance(value, list) or len(value) > MAX_VALUES:
            self.problem((*path, key), "not_a_list", limit=MAX_VALUES)
            return ()
        if required and not value:
            self.problem((*path, key), "missing", field=key)
        good = [v for v in value if isinstance(v, str) and v and len(v) <= MAX_TEXT and "\0" not in v]
        if len(good) != len(value):
            self.problem((*path, key), "not_a_text", limit=MAX_TEXT)
        return tuple(dict.fromkeys(good))

    def whole(self, value: Any, path: Path, low: int = 0, high: int = MAX_NUMBER) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            self.problem(path, "not_a_number", low=low, high=high)
            return low
        return value

    def day(self, value: Any, path: Path) -> str:
        try:
            if isinstance(value, str) and len(value) == len("2026-01-01"):
                return date.fromisoformat(value).isoformat()
        except ValueError:
            pass
        self.problem(path, "not_a_date", value=_short(value))
        return ""

    def boolean(self, raw: dict[str, Any], key: str, path: Path) -> bool:
        value = raw.get(key, True)
        if not isinstance(value, bool):
            self.problem((*path, key), "not_a_boolean")
        return value is True

    def known(self, codes: Sequence[str], known: Mapping[str, Any], what: str, path: Path) -> None:
        for code in codes:
            if code and code not in known:
                self.problem(path, f"unknown_{what}", code=_short(code))

    # values of a comparison ---------------------------------------------------------------------------------

    def values(
        self, raw: dict[str, Any], op: str, read: Callable[[Any, Path], Scalar], path: Path
    ) -> tuple[Scalar, ...]:
        """One value, two for `between` (low, high), a list for `in`, none for `empty`."""
        at = (*path, "value")
        value = raw.get("value")
        if op in {"empty", "not_empty"}:
            return ()
        if op not in {"between", "in"}:
            return (read(value, at),)
        if not isinstance(value, list) or not value or len(value) > MAX_VALUES or (op == "between" and len(value) != 2):
            self.problem(at, "not_a_pair" if op == "between" else "not_a_list", limit=MAX_VALUES)
            return ()
        result = tuple(read(item, (*at, position)) for position, item in enumerate(value))
        if op == "between" and type(result[0]) is type(result[1]) and result[0] > result[1]:  # type: ignore[operator]
            self.problem(at, "wrong_way_round")
        return result

    def plain_text(self, value: Any, path: Path) -> str:
        if not isinstance(value, str) or not value or len(value) > MAX_TEXT or "\0" in value:
            self.problem(path, "not_a_text", limit=MAX_TEXT)
            return ""
        return value

    def decimal(self, value: Any, path: Path) -> float:
        good = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MAX_NUMBER
        if not good:
            self.problem(path, "not_a_number", low=-MAX_NUMBER, high=MAX_NUMBER)
            return 0.0
        return float(value)

    def truth(self, value: Any, path: Path) -> bool:
        if not isinstance(value, bool):
            self.problem(path, "not_a_boolean")
        return value is True


def _short(value: Any) -> str:
    """A value as it may be repeated in a message: never long."""
    shown = str(value)
    return shown if len(shown) <= 60 else shown[:59] + "…"


def _tagged(r: _Reader, raw: dict[str, Any], path: Path) -> Condition:
    r.only(raw, {"type", "op", "tags"}, path)
    tags = r.texts(raw, "tags", path)
    r.known(tags, r.catalogue.tags, "tag", (*path, "tags"))
    op: Any = r.choice(raw, "op", ("any", "all", "none"), path, "any")
    return Tagged(op, tags)


def _attribute(r: _Reader, raw: dict[str, Any], path: Path) -> Condition | None:
    r.only(raw, {"type", "code", "op", "value"}, path)
    code = r.text(raw, "code", path)
    definition = r.catalogue.attributes.get(code)
    if definition is None:
        return r.refuse((*path, "code"), "unknown_attribute", code=_short(code)) if code else None
    op = r.choice(raw, "op", ATTRIBUTE_OPS[definition.type], path)
    read: Any = {"number": r.decimal, "date": r.day, "boolean": r.truth}.get(definition.type, r.plain_text)
    values = r.values(raw, op, read, path)
    if definition.type == "choice":
        for value in values:
            if value not in definition.choices:
                r.problem((*path, "value"), "not_an_option", value=_short(value), options=", ".join(definition.choices))
    return Attribute(code, definition.type, op, values)


def _metric(r: _Reader, raw: dict[str, Any], path: Path) -> Condition:
    r.only(raw, {"type", "metric", "op", "value"}, path)
    metric = r.choice(raw, "metric", METRICS, path)
    if metric in FAVOURITES:
        op = r.choice(raw, "op", ("in", "empty", "not_empty"), path, "in")
        values = r.values(raw, op, r.plain_text, path)
        codes = [str(value) for value in values]
        if metric == "favourite_store":
            r.known(codes, r.catalogue.stores, "store", (*path, "value"))
        else:
            r.known(codes, r.catalogue.categories, "category", (*path, "value"))
        return Metric(metric, op, values)
    op = r.choice(raw, "op", (*COMPARISONS, "empty", "not_empty") if metric in DAYS_SINCE else COMPARISONS, path)
    low = -MAX_NUMBER if metric in MONEY else 0
    return Metric(metric, op, r.values(raw, op, lambda value, at: r.whole(value, at, low), path))


def _date(r: _Reader, raw: dict[str, Any], path: Path) -> Condition:
    r.only(raw, {"type", "of", "op", "days", "date"}, path)
    of = r.text(raw, "of", path)
    if of.startswith("attribute:"):
        definition = r.catalogue.attributes.get(of.removeprefix("attribute:"))
        if definition is None or definition.type != "date":
            code = "unknown_attribute" if definition is None else "not_a_date_attribute"
            r.problem((*path, "of"), code, code=_short(of.removeprefix("attribute:")))
    elif of not in TIMES:
        r.problem((*path, "of"), "not_an_option", value=_short(of), options=", ".join(TIMES))
    op = r.choice(raw, "op", DATE_OPS, path)
    if op in {"before", "after"}:
        return DateOf(of, op, 0, r.day(raw.get("date"), (*path, "date")))
    return DateOf(of, op, r.whole(raw.get("days"), (*path, "days"), 1 if op != "more_than_ago" else 0, MAX_DAYS), "")


def _store(r: _Reader, raw: dict[str, Any], path: Path) -> Condition:
    r.only(raw, {"type", "op", "stores", "node"}, path)
    node = r.text(raw, "node", path, required=False)
    stores = r.texts(raw, "stores", path, required=not node)
    if node and stores:
        r.problem(path, "store_or_node")
    r.known([node], r.catalogue.nodes, "node", (*path, "node"))
    r.known(stores, r.catalogue.stores, "store", (*path, "stores"))
    op: Any = r.choice(raw, "op", ("home", "favourite", "bought_at"), path, "home")
    return AtStore(op, stores, node)


def _behaviour(r: _Reader, raw: dict[str, Any], path: Path) -> Condition:
    event = r.choice(raw, "event", EVENTS, path)
    buying = {"category", "sku", "stores"}
    extra = {"bought": {*buying, "count"}, "spent": buying, "visited": {"stores"}, "received": {"channel"}}[event]
    r.only(raw, {"type", "event", "op", "value", "days", *extra}, path)
    category = r.text(raw, "category", path, required=False)
    r.known([category], r.catalogue.categories, "category", (*path, "category"))
    sku = r.text(raw, "sku", path, required=False)
    r.known([sku], r.catalogue.products, "product", (*path, "sku"))
    stores = r.texts(raw, "stores", path, required=False)
    r.known(stores, r.catalogue.stores, "store", (*path, "stores"))
    days = raw.get("days")
    return Behaviour(
        event,
        r.choice(raw, "op", QUANTIFIERS, path, "at_least"),
        r.whole(raw.get("value", 1), (*path, "value")),
        None if days is None else r.whole(days, (*path, "days"), 1, MAX_DAYS),
        category,
        sku,
        stores,
        r.choice(raw, "count", ("orders", "lines"), path, "orders"),
        r.text(raw, "channel", path, required=False),
    )


def _consent(r: _Reader, raw: dict[str, Any], path: Path) -> Condition:
    r.only(raw, {"type", "purpose", "channel", "given"}, path)
    purpose = r.choice(raw, "purpose", PURPOSES, path, "marketing")
    return ConsentGiven(purpose, r.text(raw, "channel", path), r.boolean(raw, "given", path))


def _left_alone(r: _Reader, raw: dict[str, Any], path: Path) -> Condition:
    r.only(raw, {"type", "on"}, path)
    return LeftAlone(r.boolean(raw, "on", path))


def _friends(r: _Reader, raw: dict[str, Any], path: Path) -> Condition:
    r.only(raw, {"type", "number", "staff"}, path)
    staff = r.texts(raw, "staff", path, required=False)
    r.known(staff, r.catalogue.staff, "staff", (*path, "staff"))
    return Friends(r.whole(raw.get("number", 1), (*path, "number"), 1, 1000), staff)


def _audience(r: _Reader, raw: dict[str, Any], path: Path) -> Condition | None:
    r.only(raw, {"type", "audience"}, path)
    public_id = r.text(raw, "audience", path)
    saved = r.catalogue.audiences.get(public_id)
    if saved is None:
        return r.refuse((*path, "audience"), "unknown_audience", code=_short(public_id)) if public_id else None
    if public_id in r.inside:
        return r.refuse((*path, "audience"), "cycle", name=saved.name)
    if len(r.inside) >= MAX_DEPTH:
        return r.refuse((*path, "audience"), "too_deep", limit=MAX_DEPTH)
    try:
        parse(saved.rule, r.catalogue, r.inside | {public_id})
    except InvalidRule as broken:
        cycle = next((p for p in broken.problems if p.code == "cycle"), None)
        code, params = ("cycle", cycle.params) if cycle else ("broken_audience", {"name": saved.name})
        return r.refuse((*path, "audience"), code, **params)
    return MemberOf(public_id)


_CONDITIONS: dict[str, Callable[[_Reader, dict[str, Any], Path], Condition | None]] = {
    "tag": _tagged,
    "attribute": _attribute,
    "metric": _metric,
    "date": _date,
    "store": _store,
    "behaviour": _behaviour,
    "consent": _consent,
    "do_not_disturb": _left_alone,
    "relation": _friends,
    "audience": _audience,
}
TYPES = tuple(_CONDITIONS)
