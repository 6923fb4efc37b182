"""Who is one person: connected components over the evidence, and which number stays. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

IdentityKey = tuple[str, str]  # kind, key
_Node = IdentityKey | int  # a number stands for all identities that already have it


@dataclass(frozen=True, slots=True)
class Evidence:
    """A fact that names two or more identities: they belong to one person."""

    source: str
    key: str
    occurred_at: datetime
    identities: tuple[IdentityKey, ...]


@dataclass(frozen=True, slots=True)
class MergeStep:
    """`absorbed` became `survivor` because `evidence` named the two identities of `pair` together."""

    survivor: int
    absorbed: int
    evidence: Evidence
    pair: tuple[IdentityKey, IdentityKey]


@dataclass(slots=True)
class Resolution:
    """What the evidence says: groups of identities that need a new number, identities that join a known number
    (already the surviving one), the merges in order, and for each absorbed number the one that finally stays."""

    new_people: list[list[IdentityKey]] = field(default_factory=list)
    joined: dict[IdentityKey, int] = field(default_factory=dict)
    merges: list[MergeStep] = field(default_factory=list)
    survivor_of: dict[int, int] = field(default_factory=dict)


def resolve(known: Mapping[IdentityKey, int], new: Iterable[IdentityKey], evidence: Sequence[Evidence]) -> Resolution:
    """Join what the evidence joins. The lowest number of a component stays, in whatever order the evidence comes.

    `known` maps identities to their present number, `new` are those without one.
    """
    forest = _Forest()
    result = Resolution()
    for fact in sorted(evidence, key=lambda one: (one.occurred_at, one.source, one.key)):
        first = fact.identities[0]
        for other in fact.identities[1:]:
            numbers = forest.join(known.get(first, first), known.get(other, other))
            if numbers is not None:
                result.merges.append(MergeStep(*numbers, fact, (first, other)))
    result.survivor_of = {step.absorbed: forest.number_of(step.absorbed) for step in result.merges}
    _place(list(new), forest, result)
    return result


def _place(new: list[IdentityKey], forest: _Forest, result: Resolution) -> None:
    """Give each new identity to a known number or to a group of its own component."""
    groups: dict[_Node, list[IdentityKey]] = {}
    for identity in new:
        root = forest.root(identity)
        number = forest.lowest.get(root)
        if number is not None:
            result.joined[identity] = number
        else:
            groups.setdefault(root, []).append(identity)
    result.new_people = list(groups.values())


class _Forest:
    """Disjoint sets with path halving; each root knows the lowest number in its set."""

    def __init__(self) -> None:
        self.parent: dict[_Node, _Node] = {}
        self.lowest: dict[_Node, int] = {}

    def root(self, node: _Node) -> _Node:
        if node not in self.parent:
            self.parent[node] = node
            if isinstance(node, int):
                self.lowest[node] = node
        while self.parent[node] != node:
            self.parent[node] = self.parent[self.parent[node]]
            node = self.parent[node]
        return node

    def number_of(self, node: _Node) -> int:
        return self.lowest[self.root(node)]

    def join(self, one: _Node, other: _Node) -> tuple[int, int] | None:
        """Join two sets; (survivor, absorbed) if both had a number and the numbers differ."""
        a, b = self.root(one), self.root(other)
        if a == b:
            return None
        numbers = sorted(self.lowest[root] for root in (a, b) if root in self.lowest)
        self.parent[b] = a
        if numbers:
            self.lowest[a] = numbers[0]
        return (numbers[0], numbers[1]) if len(numbers) == 2 else None
