"""Reading a rule document: every value is checked against what exists, and every problem is collected with its place.
Pure: no ORM, no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from hetang.audiences import (
    behaviour_reading,
    district,
    first_source_reading,
    lists_reading,
    relation_reading,
    standing_reading,
)
from hetang.audiences.rules import (
    ANNIVERSARY,
    ATTRIBUTE_OPS,
    COMPARISONS,
    DATE_OPS,
    FAVOURITES,
    MAX_CONDITIONS,
    MAX_DAYS,
    MAX_DEPTH,
    MAX_KM,
    MAX_NUMBER,
    MAX_TEXT,
    MAX_VALUES,
    MAY_BE_MISSING,
    METRICS,
    MONEY,
    NEAR_OPS,
    STAGE_OPS,
    TIMES,
    VERSION,
    WHOSE,
    All,
    AnyOf,
    AtStore,
    Attribute,
    Catalogue,
    Condition,
    DateOf,
    InPond,
    InvalidRule,
    LifeStage,
    MemberOf,
    Metric,
    NearStore,
    Node,
    Not,
    Path,
    PondRule,
    Problem,
    Scalar,
    Tagged,
    conditions,
    short,
)

MAX_PROBLEMS = 500
_CIRCLES = ("cycle", "tag_cycle")


Checked = dict[tuple[str, frozenset[str]], InvalidRule | None]


def parse(
    document: Any, catalogue: Catalogue, inside: frozenset[str] = frozenset(), checked: Checked | None = None
) -> Node:
    """The tree of a rule document, checked against what exists. Raises `InvalidRule` with every problem found, at most
    some hundreds.

    `inside` holds the public ids of audiences whose rule is being read: naming one of them again is a cycle. `checked`
    remembers what was found of named audiences: each of them would be read again wherever it is named.
    """
    reader = Reader(catalogue, inside, {} if checked is None else checked)
    node = reader.document(document)
    if reader.problems or node is None:
        raise InvalidRule(reader.problems)
    return node


def nested(member: MemberOf | InPond, catalogue: Catalogue) -> Node:
    """The tree of the audience, or of the ponds, that a condition names, as it is now. Raises `InvalidRule` when it is
    broken."""
    if isinstance(member, InPond):
        return AnyOf(tuple(_pond_tree(catalogue.ponds[one]) for one in member.ponds))
    return parse(catalogue.audiences[member.audience].rule, catalogue, frozenset({member.audience}))


def every_condition(nodes: Iterable[Node], catalogue: Catalogue) -> Iterator[Condition]:
    """The conditions of these trees, and of the audiences and ponds that they name, each of these read once however
    often it is named. Raises `InvalidRule`."""
    waiting, named = list(nodes), set[Condition]()
    while waiting:
        for one in conditions(waiting.pop()):
            if not isinstance(one, MemberOf | InPond):
                yield one
            elif one not in named:
                named.add(one)
                waiting.append(nested(one, catalogue))


def _pond_tree(pond: PondRule) -> Node:
    mine: tuple[Node, ...] = (MemberOf(pond.audience),) if pond.audience else ()
    earlier = (Not(AnyOf(tuple(MemberOf(one) for one in pond.earlier))),) if pond.earlier else ()
    return All((*mine, *earlier))


class Reader:
    """Reads one document; collects problems instead of stopping at the first."""

    def __init__(self, catalogue: Catalogue, inside: frozenset[str], checked: Checked) -> None:
        self.catalogue = catalogue
        self.inside = inside
        self.checked = checked
        self.problems: list[Problem] = []
        self.seen = 0

    def problem(self, path: Path, code: str, /, **params: Any) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(path, code, params))

    def document(self, document: Any) -> Node | None:
        if not isinstance(document, dict) or "rule" not in document:
            self.problem((), "not_a_rule")
            return None
        if document.get("version") != VERSION:
            self.problem(("version",), "unknown_version", version=short(document.get("version")))
            return None
        rule = document["rule"]
        if rule == {"all": []}:
            return All(())
        return self.node(rule, ("rule",), 1)

    def node(self, raw: Any, path: Path, depth: int) -> Node | None:
        if depth > MAX_DEPTH:
            self.problem(path, "too_deep", limit=MAX_DEPTH)
            return None
        if not isinstance(raw, dict):
            self.problem(path, "not_a_condition")
            return None
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
            self.problem(path, "empty_group")
            return None
        read = []
        for position, item in enumerate(items):
            read.append(self.node(item, (*path, word, position), depth + 1))
            if self.seen > MAX_CONDITIONS or len(self.problems) >= MAX_PROBLEMS:
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
            self.problem(path, "unknown_type", type=short(kind))
            return None
        before = len(self.problems)
        read = reader(self, raw, path)
        return read if len(self.problems) == before else None

    # fields -------------------------------------------------------------------------------------------------

    def only(self, raw: dict[str, Any], allowed: set[str], path: Path) -> None:
        for key in raw:
            if key not in allowed:
                self.problem(path, "unknown_field", field=short(key))

    def choice(self, raw: dict[str, Any], key: str, options: Sequence[str], path: Path, default: str = "") -> str:
        value = raw.get(key, default)
        if value not in options:
            self.problem((*path, key), "not_an_option", value=short(value), options=", ".join(options))
            return options[0]
        return str(value)

    def text(self, raw: dict[str, Any], key: str, path: Path, *, required: bool = True) -> str:
        value = raw.get(key, "")
        if not isinstance(value, str) or len(value) > MAX_TEXT or "\0" in value:
            self.problem((*path, key), "not_a_text", limit=MAX_TEXT)
            return ""
        if required and not value:
            self.problem((*path, key), "missing", field=key)
        return str(value)

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
        self.problem(path, "not_a_date", value=short(value))
        return ""

    def boolean(self, raw: dict[str, Any], key: str, path: Path) -> bool:
        value = raw.get(key, True)
        if not isinstance(value, bool):
            self.problem((*path, key), "not_a_boolean")
        return value is True

    def known(self, codes: Sequence[str], known: Mapping[str, Any], what: str, path: Path) -> None:
        for code in codes:
            if code and code not in known:
                self.problem(path, f"unknown_{what}", code=short(code))

    def audience(self, raw: dict[str, Any], path: Path) -> str:
        """The saved audience that a condition names; empty where it cannot be used here."""
        public_id, at = self.text(raw, "audience", path), (*path, "audience")
        saved = self.catalogue.audiences.get(public_id)
        if saved is not None and saved.of_pond:
            self.problem(at, "unknown_audience", code=short(public_id))
            return ""
        return self.usable(public_id, at)

    def usable(self, public_id: str, at: Path) -> str:
        """The saved audience, or the own rule of a pond, of a public id; empty where it cannot be used here."""
        saved = self.catalogue.audiences.get(public_id)
        if saved is None:
            if public_id:
                self.problem(at, "unknown_audience", code=short(public_id))
        elif public_id in self.inside:
            self.problem(at, "cycle", name=saved.name)
        elif len(self.inside) >= MAX_DEPTH:
            self.problem(at, "too_deep", limit=MAX_DEPTH)
        elif broken := self.broken(public_id):
            cycle = next((p for p in broken.problems if p.code in _CIRCLES), None)
            code, params = ("broken_pond" if saved.of_pond else "broken_audience"), {"name": saved.name}
            self.problem(at, cycle.code if cycle else code, **(cycle.params if cycle else params))
        else:
            return public_id
        return ""

    def no_circle(self, tags: Sequence[str], path: Path) -> None:
        """A tag that an audience keeps, whose rule contains what is being read, would ask for itself."""
        for code in tags:
            keeper = self.catalogue.kept.get(code, "")
            if keeper not in self.catalogue.audiences or len(self.inside) >= MAX_DEPTH:
                continue
            broken = None if keeper in self.inside else self.broken(keeper)
            circles = keeper in self.inside or (broken and any(p.code in _CIRCLES for p in broken.problems))
            if circles and code in self.catalogue.tags:
                name = self.catalogue.audiences[keeper].name
                self.problem(path, "tag_cycle", tag=self.catalogue.tags[code].name, name=name)

    def broken(self, public_id: str) -> InvalidRule | None:
        """Why the rule of a saved audience cannot be evaluated inside of this one."""
        within = self.inside | {public_id}
        if (public_id, within) not in self.checked:
            self.checked[public_id, within] = None
            try:
                parse(self.catalogue.audiences[public_id].rule, self.catalogue, within, self.checked)
            except InvalidRule as broken:
                self.checked[public_id, within] = broken
        return self.checked[public_id, within]

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


def _tagged(r: Reader, raw: dict[str, Any], path: Path) -> Condition:
    r.only(raw, {"type", "op", "tags", "days", "sources"}, path)
    tags = r.texts(raw, "tags", path)
    r.known(tags, r.catalogue.tags, "tag", (*path, "tags"))
    r.no_circle(tags, (*path, "tags"))
    op: Any = r.choice(raw, "op", ("any", "all", "none"), path, "any")
    days, sources = raw.get("days"), r.texts(raw, "sources", path, required=False)
    within = None if days is None else r.whole(days, (*path, "days"), 1, MAX_DAYS)
    for code in tags if within or sources else ():
        if code in r.catalogue.kept and code in r.catalogue.tags:
            keeper = r.catalogue.audiences.get(r.catalogue.kept[code])
            r.problem(
                (*path, "tags"), "tag_is_kept", tag=r.catalogue.tags[code].name, name=keeper.name if keeper else "?"
            )
    return Tagged(op, tags, within, sources)


def _attribute(r: Reader, raw: dict[str, Any], path: Path) -> Condition | None:
    r.only(raw, {"type", "code", "op", "value"}, path)
    code = r.text(raw, "code", path)
    definition = r.catalogue.attributes.get(code)
    if definition is None:
        if code:
            r.problem((*path, "code"), "unknown_attribute", code=short(code))
        return None
    op = r.choice(raw, "op", ATTRIBUTE_OPS[definition.type], path)
    read: Any = {"number": r.decimal, "date": r.day, "boolean": r.truth}.get(definition.type, r.plain_text)
    values = r.values(raw, op, read, path)
    if definition.type == "choice":
        for value in values:
            if value not in definition.choices:
                r.problem((*path, "value"), "not_an_option", value=short(value), options=", ".join(definition.choices))
    return Attribute(code, definition.type, op, values)


def _metric(r: Reader, raw: dict[str, Any], path: Path) -> Condition:
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
    op = r.choice(raw, "op", (*COMPARISONS, "empty", "not_empty") if metric in MAY_BE_MISSING else COMPARISONS, path)
    low = -MAX_NUMBER if metric in MONEY else 0
    return Metric(metric, op, r.values(raw, op, lambda value, at: r.whole(value, at, low), path))


def _date(r: Reader, raw: dict[str, Any], path: Path) -> Condition:
    r.only(raw, {"type", "of", "op", "days", "date"}, path)
    of = r.text(raw, "of", path)
    if of.startswith("attribute:"):
        definition = r.catalogue.attributes.get(of.removeprefix("attribute:"))
        if definition is None or definition.type != "date":
            code = "unknown_attribute" if definition is None else "not_a_date_attribute"
            r.problem((*path, "of"), code, code=short(of.removeprefix("attribute:")))
    elif of not in TIMES:
        r.problem((*path, "of"), "not_an_option", value=short(of), options=", ".join(TIMES))
    op = r.choice(raw, "op", (*DATE_OPS, ANNIVERSARY) if of.startswith("attribute:") else DATE_OPS, path)
    if op in {"before", "after"}:
        return DateOf(of, op, 0, r.day(raw.get("date"), (*path, "date")))
    return DateOf(of, op, r.whole(raw.get("days"), (*path, "days"), 1 if op != "more_than_ago" else 0, MAX_DAYS), "")


def _store(r: Reader, raw: dict[str, Any], path: Path) -> Condition:
    r.only(raw, {"type", "op", "stores", "node"}, path)
    node = r.text(raw, "node", path, required=False)
    stores = r.texts(raw, "stores", path, required=not node)
    if node and stores:
        r.problem(path, "store_or_node")
    r.known([node], r.catalogue.nodes, "node", (*path, "node"))
    r.known(stores, r.catalogue.stores, "store", (*path, "stores"))
    op: Any = r.choice(raw, "op", ("home", "favourite", "bought_at"), path, "home")
    return AtStore(op, stores, node)


def _near(r: Reader, raw: dict[str, Any], path: Path) -> Condition:
    r.only(raw, {"type", "of", "op", "stores", "km"}, path)
    of = r.text(raw, "of", path)
    definition = r.catalogue.attributes.get(of)
    if of and definition is None:
        r.problem((*path, "of"), "unknown_attribute", code=short(of))
    elif definition is not None and definition.type != "place":
        r.problem((*path, "of"), "not_a_place", code=short(of))
    op: Any = r.choice(raw, "op", NEAR_OPS, path, "within")
    stores = r.texts(raw, "stores", path)
    r.known(stores, r.catalogue.stores, "store", (*path, "stores"))
    for code in stores:
        if code in r.catalogue.stores and code not in r.catalogue.places:
            r.problem((*path, "stores"), "store_without_position", name=r.catalogue.stores[code].name)
    if op == "nearest":
        if "km" in raw:
            r.problem(path, "unknown_field", field="km")
        return NearStore(of, op, stores)
    km = raw.get("km")
    if isinstance(km, bool) or not isinstance(km, int | float) or not 0.01 <= km <= MAX_KM:
        r.problem((*path, "km"), "not_a_distance", limit=MAX_KM)
        return NearStore(of, op, stores)
    return NearStore(of, op, stores, round(km * 1000))


def _life_stage(r: Reader, raw: dict[str, Any], path: Path) -> Condition | None:
    r.only(raw, {"type", "model", "op", "stages", "days", "whose"}, path)
    code = r.text(raw, "model", path)
    model = r.catalogue.stage_models.get(code)
    if model is None:
        if code:
            r.problem((*path, "model"), "unknown_stage_model", code=short(code))
        return None
    op = r.choice(raw, "op", STAGE_OPS, path, "in")
    stages = r.texts(raw, "stages", path, required=op == "in")
    r.known(stages, {stage.code: stage for stage in model.course.stages}, "stage", (*path, "stages"))
    days = 0 if op == "in" else r.whole(raw.get("days"), (*path, "days"), 1, MAX_DAYS)
    if op == "in" and "days" in raw:
        r.problem(path, "unknown_field", field="days")
    whose = r.choice(raw, "whose", WHOSE, path, "any")
    if (whose == "own" and not model.attribute) or (whose == "member" and not model.member_kind):
        r.problem((*path, "whose"), "stage_model_has_no_such_date", name=model.name)
    return LifeStage(code, op, stages, days, whose)


_CONDITIONS: dict[str, Callable[[Reader, dict[str, Any], Path], Condition | None]] = {
    "tag": _tagged,
    "attribute": _attribute,
    "metric": _metric,
    "date": _date,
    "store": _store,
    "place": _near,
    "district": district.read,
    "behaviour": behaviour_reading.behaviour,
    "behaviour_at": behaviour_reading.deed_at,
    "behaviour_then": behaviour_reading.followed,
    "consent": relation_reading.consent,
    "do_not_disturb": relation_reading.left_alone,
    "relation": relation_reading.friends,
    "friendship": relation_reading.friendship,
    "first_source": first_source_reading.first_source,
    "group_chat": relation_reading.groups,
    "audience": lists_reading.audience,
    "pond": lists_reading.pond,
    "pond_at": lists_reading.was_in_pond,
    "audience_at": lists_reading.was_member,
    "audience_moved": lists_reading.moved,
    "bucket": lists_reading.bucket,
    "life_stage": _life_stage,
    "percentile": standing_reading.percentile,
    "rfm": standing_reading.rfm,
}
TYPES = tuple(_CONDITIONS)
