"""Who is one person: what counts as evidence, connected components over it, and which number stays. Pure.

All of it depends on the set of facts only, never on the order in which they came: an identity that ties too many
others together is no evidence for any of them, not only for those that came last.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Generic, TypeVar

IdentityKey = tuple[str, str]  # kind, key

CONTACT_KINDS = frozenset({"phone", "email"})  # handed on, used by families, typed in at tills
CONTACT_LIMIT = 3  # the brand's setting; a phone that names more members (cards, accounts, ...) is a shared one
OTHER_LIMIT = 20  # of a member number, card or account: more is a till's dummy
_SEVERAL = {"openid": 3}  # one person has one openid for each app
SHARED, OWN = "shared", "own"  # what people may say of an identity, whatever it ties together

_END_OF_SAME = re.compile(r"(\d)\1{6,}$")
_DUMMY_PHONES = frozenset({"13800138000", "12345678901", "1234567890", "123456789", "12345678", "01234567890"})
_DUMMY_MAILBOXES = frozenset({"no", "none", "na", "null", "test", "unknown", "noreply", "no-reply", "noemail"})
_ALWAYS = datetime.min.replace(tzinfo=UTC)
Node = TypeVar("Node", bound=Hashable)


def is_placeholder(kind: str, value: str) -> bool:
    """Whether a contact is one that people type to get past a field: 13800000000, none@…"""
    if kind == "phone":
        digits = value.removeprefix("+")
        return digits in _DUMMY_PHONES or _END_OF_SAME.search(digits) is not None
    if kind == "email":
        return value.partition("@")[0] in _DUMMY_MAILBOXES
    return False


_NOISE = re.compile(r"[\s·•.,，。、\-'’\"()（）#]+")
_TITLES_AFTER = ("女士", "先生", "小姐", "太太", "老师", "阿姨", "会员", "顾客", "客户")
_TITLES = re.compile(rf"^(mr|mrs|ms|miss)\b|({'|'.join(_TITLES_AFTER)})$")


def name_to_match(name: str) -> str:
    """The form of a name by which equal ones meet; empty where it says too little: 王女士, a single letter."""
    plain = plain_text(_TITLES.sub("", unicodedata.normalize("NFKC", name).casefold().strip()))
    return plain if len(plain) >= 2 and not plain.isdecimal() else ""


def plain_text(text: str) -> str:
    """A text without what people write now so, now so: width, case, spaces, marks."""
    return _NOISE.sub("", unicodedata.normalize("NFKC", text).casefold())


def most_tied(kind: str, contact_limit: int, other_kind: str) -> int:
    """How many identities of `other_kind` an identity of `kind` may tie together and still be evidence."""
    limit = contact_limit if kind in CONTACT_KINDS else OTHER_LIMIT
    return limit * _SEVERAL.get(other_kind, 1)


def is_shared(kind: str, tied: Mapping[str, int], contact_limit: int, *, placeholder: bool, verdict: str = "") -> bool:
    """Whether an identity is no evidence. `tied`: how many identities of each kind facts name together with it."""
    if verdict:
        return verdict == SHARED
    return placeholder or any(count > most_tied(kind, contact_limit, other) for other, count in tied.items())


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


def clusters(pairs: Iterable[tuple[Node, Node, bool]]) -> list[set[Node]]:
    """What hangs together by the pairs that say so; the ends of the others stand for themselves."""
    group: dict[Node, set[Node]] = {}
    for one, other, together in pairs:
        a, b = group.setdefault(one, {one}), group.setdefault(other, {other})
        if together and a is not b:
            small, large = sorted((a, b), key=len)
            large |= small
            group.update(dict.fromkeys(small, large))
    return list({id(each): each for each in group.values()}.values())


@dataclass(frozen=True, slots=True)
class Link(Generic[Node]):
    """Evidence that two identities are one person's. `rank` orders links for good: the lowest counts first."""

    one: Node
    other: Node
    rank: tuple[object, ...]


def rank(
    one: IdentityKey, other: IdentityKey, at: datetime | None, fact: str, *, by_hand: bool
) -> tuple[int, datetime, str, IdentityKey, IdentityKey]:
    """What people decided, then what accounts prove, then what a contact suggests; among equals the older evidence."""
    low, high = sorted((one, other))
    if by_hand or at is None:
        return 0, _ALWAYS, "", low, high
    contact = one[0] in CONTACT_KINDS or other[0] in CONTACT_KINDS
    return 2 if contact else 1, at, fact, low, high


Sides = tuple[Collection[Node], Collection[Node]]  # none of one side is the same person as any of the other


def divide(
    members: Iterable[Node], links: Iterable[Link[Node]], apart: Sequence[Sides[Node]]
) -> tuple[list[set[Node]], list[Link[Node]]]:
    """The people among `members`, and the links that joined them, in order of rank.

    A link that would bring both sides of an `apart` into one person is left out. About 2 us a link.
    """
    group = {member: {member} for member in members}
    marks: dict[int, set[tuple[int, int]]] = {id(one): set() for one in group.values()}
    for decision, sides in enumerate(apart):
        for side, among in enumerate(sides):
            for member in among:
                if member in group:
                    marks[id(group[member])].add((decision, side))
    used = []
    for link in sorted(links, key=lambda one: one.rank):
        a, b = group[link.one], group[link.other]
        if a is b or any((decision, 1 - side) in marks[id(b)] for decision, side in marks[id(a)]):
            continue
        if len(a) < len(b):
            a, b = b, a
        a |= b
        marks[id(a)] |= marks[id(b)]
        group.update(dict.fromkeys(b, a))
        used.append(link)
    return list({id(one): one for one in group.values()}.values()), used


@dataclass(slots=True)
class Numbering:
    """`owner`: which number each person has (None: a fresh one is needed), in the order of the people.
    `alias_of`: every other founded number, and the number that it is an alias of."""

    owner: list[int | None]
    alias_of: dict[int, int]


def number(people: Sequence[Collection[Node]], founder: Mapping[int, Node]) -> Numbering:
    """Give each person the lowest of the numbers that her identities founded, so that a number stays with its founder.

    `founder`: of each number, the one identity that it stays with.
    """
    founded: dict[Node, list[int]] = {}
    for one, member in founder.items():
        founded.setdefault(member, []).append(one)
    result = Numbering([], {})
    for person in people:
        numbers = sorted(one for member in person for one in founded.get(member, ()))
        result.owner.append(numbers[0] if numbers else None)
        result.alias_of.update(dict.fromkeys(numbers[1:], numbers[0]) if numbers else {})
    return result


def absorptions(used: Iterable[Link[Node]], founder: Mapping[int, Node]) -> list[tuple[int, int, Link[Node]]]:
    """(survivor, absorbed, link) in the order in which links joined people who both had a number."""
    lowest = {member: one for one, member in sorted(founder.items(), reverse=True)}
    parent: dict[Node, Node] = {}

    def root(node: Node) -> Node:
        while (above := parent.get(node, node)) != node:
            node = above
        return node

    found = []
    for link in used:
        a, b = root(link.one), root(link.other)
        parent[b] = a
        numbers = sorted(lowest[node] for node in (a, b) if node in lowest)
        if numbers:
            lowest[a] = numbers[0]
        if len(numbers) == 2:
            found.append((numbers[0], numbers[1], link))
    return found
