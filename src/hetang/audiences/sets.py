"""Set algebra over a rule: sizes of every part, what each condition removes, who is left. Pure over a `Source`."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pyroaring import BitMap

from hetang.audiences.fusing import fuse
from hetang.audiences.live import FAMILIES
from hetang.audiences.moments import Moment
from hetang.audiences.plans import Complement, Intersection, Live, Plan, Query, Ranked, Union, plan
from hetang.audiences.reading import every_condition, nested
from hetang.audiences.rules import All, AnyOf, Catalogue, Condition, InPond, MemberOf, Node, Not, Path, conditions
from hetang.audiences.standing_rules import Borders, Standing


class Source(Protocol):
    """Where sets come from. What it returns belongs to it: readers copy before they change."""

    @property
    def universe(self) -> BitMap: ...

    def live(self, family: str, keys: tuple[Hashable, ...]) -> BitMap: ...

    def prepare(self, queries: Sequence[Query]) -> None:
        """Announces what will be asked, so that it can be asked at once."""

    def query(self, query: Query) -> BitMap: ...

    def ranked(self, step: Ranked) -> tuple[BitMap, Borders]:
        """Who of all living customers is chosen, and the borders that decided."""


@dataclass
class Evaluation:
    """Who fits (inside the scope), how many fit each part (by path from the rule's root), and for the parts of the
    outermost `all` how many more would fit without it."""

    members: BitMap
    sizes: dict[Path, int] = field(default_factory=dict)
    removes: dict[Path, int] = field(default_factory=dict)


def evaluate(
    node: Node,
    catalogue: Catalogue,
    moment: Moment,
    source: Source,
    scope: BitMap | None = None,
    *,
    sizes: bool = True,
) -> Evaluation:
    """Evaluate a rule over everybody in `scope` (None: all living customers). `sizes` false leaves out how many fit
    each part and what it removes: conditions on profiles are then asked together."""
    run = _Run(catalogue, moment, source, scope)
    if not sizes:
        return Evaluation(run.whole_at_once(node))
    members = run.whole(node)
    removed = _removes(node, run) if isinstance(node, All) and len(node.of) > 1 else {}
    return Evaluation(members, {path: len(found) for path, found in run.found.items()}, removed)


def each(
    nodes: Sequence[Node], catalogue: Catalogue, moment: Moment, source: Source, scope: BitMap | None = None
) -> Iterator[BitMap]:
    """Who fits each of several rules, one after the other; what they ask of the history is asked together."""
    return _Run(catalogue, moment, source, scope).each(nodes)


def borders(nodes: Sequence[Node], catalogue: Catalogue, moment: Moment, source: Source) -> dict[Standing, Borders]:
    """What decides who stands where, of every such condition in these rules and in the audiences that they name."""
    asked = dict.fromkeys(one for one in every_condition(nodes, catalogue) if isinstance(one, Standing))
    steps = {one: plan(one, catalogue, moment) for one in asked}
    return {one: source.ranked(step)[1] for one, step in steps.items() if isinstance(step, Ranked)}


def read_states(rows: bytes) -> Iterator[tuple[int, BitMap]]:
    """Rows of (UInt8, `groupBitmap` state of UInt32) in RowBinary.

    A state is a flag byte; then either up to 32 plain numbers behind their count (one byte), or a varint length and
    portable roaring bytes.
    """
    position = 0
    while position < len(rows):
        place, flag = rows[position], rows[position + 1]
        if flag == 0:
            start = position + 3
            position = start + 4 * rows[position + 2]
            yield place, BitMap(memoryview(rows)[start:position].cast("I").tolist())
        else:
            length, start = _varint(rows, position + 2)
            position = start + length
            yield place, BitMap.deserialize(rows[start:position])


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """A varint and where it ends."""
    value, shift = 0, 0
    while True:
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, position


class _Run:
    """One evaluation: remembers the set of every part by its path."""

    def __init__(self, catalogue: Catalogue, moment: Moment, source: Source, scope: BitMap | None) -> None:
        self.catalogue = catalogue
        self.moment = moment
        self.source = source
        self.scope = scope
        self.base = source.universe if scope is None else source.universe & scope
        self.found: dict[Path, BitMap] = {}
        self.saved: dict[str, BitMap] = {}
        self.plans: dict[Condition, Plan] = {}

    def whole(self, node: Node) -> BitMap:
        plans = [self._planned(one) for one in conditions(node) if not isinstance(one, MemberOf | InPond)]
        self.source.prepare(list(dict.fromkeys(query for one in plans for query in _queries(one))))
        return self.node(node, ("rule",))

    def whole_at_once(self, node: Node) -> BitMap:
        """As `whole`, without the set of every part."""
        step = fuse(self._as_plan(node))
        self.source.prepare(list(dict.fromkeys(_queries(step))))
        found = self._plan(step)
        return found if self._only_living(step) else found & self.base

    def each(self, nodes: Sequence[Node]) -> Iterator[BitMap]:
        steps = [fuse(self._as_plan(node)) for node in nodes]
        self.source.prepare(list(dict.fromkeys(query for step in steps for query in _queries(step))))
        for step in steps:
            found = self._plan(step)
            yield found if self._only_living(step) else found & self.base

    def _as_plan(self, node: Node) -> Plan:
        match node:
            case All(of):
                return Intersection(tuple(self._as_plan(child) for child in of))
            case AnyOf(of):
                return Union(tuple(self._as_plan(child) for child in of))
            case Not(of):
                return Complement(self._as_plan(of))
            case MemberOf(audience):
                if audience not in self.saved:
                    inner = self._inside()
                    self.saved[audience] = inner.whole_at_once(nested(node, self.catalogue))
                return Live(_SAVED, (audience,))
            case InPond():
                return self._as_plan(nested(node, self.catalogue))
            case _:
                return self._planned(node)

    def _only_living(self, step: Plan) -> bool:
        """Whether a step finds nobody but the living people of the scope, so that they need not be intersected again:
        that costs as much as the rule itself."""
        match step:
            case Complement():
                return True
            case Intersection(of):
                others = [part for part in of if not isinstance(part, Complement)]  # see `_left`
                return not others or any(self._only_living(part) for part in others)
            case Union(of):
                return all(self._only_living(part) for part in of)
            case Live(family):
                return family == _SAVED or (self.scope is None and family in FAMILIES)
            case Ranked():
                return self.scope is None
            case Query():
                return False

    def node(self, node: Node, path: Path) -> BitMap:
        found = self._node(node, path)
        self.found[path] = found
        return found

    def _node(self, node: Node, path: Path) -> BitMap:
        match node:
            case All(of):
                return self._fold([self.node(child, (*path, "all", i)) for i, child in enumerate(of)], _both, self.base)
            case AnyOf(of):
                return self._fold(
                    [self.node(child, (*path, "any", i)) for i, child in enumerate(of)], _either, BitMap()
                )
            case Not(of):
                return self.base - self.node(of, (*path, "not"))
            case MemberOf(audience):
                return self._member_of(node, audience)
            case InPond():
                return self._inside().whole(nested(node, self.catalogue))
            case _:
                return self._condition(node)

    def _fold(self, parts: list[BitMap], combine: Callable[[BitMap, BitMap], BitMap], empty: BitMap) -> BitMap:
        result: BitMap | None = None
        for part in sorted(parts, key=len):
            result = part if result is None else combine(result, part)
        return empty.copy() if result is None else result

    def _member_of(self, node: MemberOf, audience: str) -> BitMap:
        if audience not in self.saved:
            self.saved[audience] = self._inside().whole(nested(node, self.catalogue))
        return self.saved[audience]

    def _inside(self) -> _Run:
        inner = _Run(self.catalogue, self.moment, self.source, self.scope)
        inner.saved = self.saved
        return inner

    def _condition(self, condition: Condition) -> BitMap:
        step = self._planned(condition)
        return self._plan(step) if self._only_living(step) else self._plan(step) & self.base

    def _left(self, parts: Sequence[Plan]) -> BitMap:
        """Who is left of all parts; complements are taken away from the others, without being made."""
        found = [self._plan(part) for part in parts if not isinstance(part, Complement)]
        result = self._fold(found, _both, self.base)
        for part in parts:
            if isinstance(part, Complement):
                result = result - self._plan(part.of)
        return result

    def _planned(self, condition: Condition) -> Plan:
        if condition not in self.plans:
            self.plans[condition] = plan(condition, self.catalogue, self.moment)
        return self.plans[condition]

    def _plan(self, step: Plan) -> BitMap:
        match step:
            case Live(family, keys):
                return self.saved[str(keys[0])] if family == _SAVED else self.source.live(family, keys)
            case Query():
                return self.source.query(step)
            case Ranked():
                return self.source.ranked(step)[0]
            case Complement(of):
                return self.base - self._plan(of)
            case Intersection(of):
                return self._left(of)
            case Union(of):
                return self._fold([self._plan(part) for part in of], _either, BitMap())


_SAVED = "saved"  # of `Live`: the people of another audience, evaluated before


def _queries(step: Plan) -> Iterator[Query]:
    match step:
        case Query():
            yield step
        case Complement(of):
            yield from _queries(of)
        case Intersection(of) | Union(of):
            for part in of:
                yield from _queries(part)


def _both(left: BitMap, right: BitMap) -> BitMap:
    return left & right


def _either(left: BitMap, right: BitMap) -> BitMap:
    return left | right


def _removes(node: All, run: _Run) -> dict[Path, int]:
    """How many more would fit without each part of the outermost `all`: intersections from the left and the right."""
    paths: list[Path] = [("rule", "all", i) for i in range(len(node.of))]
    parts = [run.found[path] for path in paths]
    whole = len(run.found[("rule",)])
    after = [run.base] * (len(parts) + 1)
    for i in range(len(parts) - 1, 0, -1):
        after[i] = parts[i] & after[i + 1]
    before = run.base
    removed = {}
    for i, path in enumerate(paths):
        removed[path] = before.intersection_cardinality(after[i + 1]) - whole
        before = before & parts[i]
    return removed
