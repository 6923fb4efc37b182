"""Which store a department is, and which roles its members get. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

LEADERS, OTHERS = "leaders", "others"


@dataclass(frozen=True)
class Placed:
    """A department: its own store by a person's word (`decided`, with None for none) or, undecided, by its name."""

    name: str
    parent: int = 0
    decided: bool = False
    store: str | None = None  # code


@dataclass(frozen=True)
class Rule:
    """Role for members of a department (0: any that is a store's) and those below; `node` None: at the store."""

    department: int
    members: str
    role: str
    node: int | None = None


@dataclass(frozen=True)
class Membership:
    """Where a member belongs; `main` is one of `departments`, or 0."""

    departments: Sequence[int]
    leads: Collection[int] = ()
    main: int = 0


@dataclass
class Tree:
    """The departments of a corp by number, and the stores by code and by name."""

    departments: Mapping[int, Placed]
    stores: Mapping[str, str]  # name or code -> code; names that two stores share are not in it
    _known: dict[int, str] = field(default_factory=dict)

    def own_store(self, number: int) -> str:
        """Code of the store that a department itself is; empty for none."""
        found = self.departments.get(number)
        if found is None:
            return ""
        return (found.store or "") if found.decided else self.stores.get(found.name.strip(), "")

    def store_of(self, number: int) -> str:
        """Code of the store in which members of a department work: its own, or that of the next one above.

        A person's "no store" ends the search. Departments that name each other as parents belong to none.
        """
        if number not in self._known:
            store = ""
            for at in self.above(number):
                store = self.own_store(at)
                if store or self.departments[at].decided:
                    break
            self._known[number] = store
        return self._known[number]

    def above(self, number: int) -> list[int]:
        """A department and those above it, each once, from the inside out."""
        found: list[int] = []
        while number in self.departments and number not in found:
            found.append(number)
            number = self.departments[number].parent
        return found

    def store_of_member(self, member: Membership) -> str:
        """The store where she counts: that of her main department, else of the last one that has any."""
        stores = [store for number in member.departments if (store := self.store_of(number))]
        main = self.store_of(member.main) if member.main in member.departments else ""
        return main or (stores[-1] if stores else "")


def roles_of(member: Membership, rules: Sequence[Rule], tree: Tree) -> set[tuple[str, int | str]]:
    """What a member gets: (role, id of a node) or (role, code of a store)."""
    found: set[tuple[str, int | str]] = set()
    for number in member.departments:
        store = tree.store_of(number)
        above = tree.above(number)
        for rule in rules:
            if _fits(rule, above, store, leads=number in member.leads):
                found.add((rule.role, store if rule.node is None else rule.node))
                break
    return found


def _fits(rule: Rule, above: Sequence[int], store: str, *, leads: bool) -> bool:
    if (rule.members == LEADERS and not leads) or (rule.members == OTHERS and leads):
        return False
    if rule.node is None and not store:
        return False
    return bool(store) if rule.department == 0 else rule.department in above
