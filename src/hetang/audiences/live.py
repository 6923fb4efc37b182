"""The live sets: roaring bitmaps of customer numbers by family and key, held by the engine process.

A published bitmap is never changed in place: a change makes a new one, so readers need no lock.
"""

from __future__ import annotations

import heapq
import json
import os
import zlib
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import astuple, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from pyroaring import BitMap

FAMILIES = ("alive", "tag", "consent", "left_alone", "home_store", "friends", "household")
_MAGIC = b"hetang-sets-4\n"  # 4: with the days of households
_EMPTY = BitMap()


@dataclass(frozen=True, slots=True)
class Position:
    """What the sets contain: the customers stream up to a place in the fact log, customers, merges and un-merges up to
    a number, and so many replayed facts.

    `database` tells one database (and one epoch of its log) from another: transaction ids of another mean nothing.
    """

    database: str = ""
    tx: int = 0
    fact: int = 0
    number: int = 0
    merge: int = 0
    replayed: int = 0
    unmerge: int = 0


@dataclass(frozen=True, slots=True)
class Expiry:
    """A membership that ends by itself."""

    at: datetime
    family: str
    key: Hashable
    number: int


@dataclass(frozen=True, slots=True)
class Move:
    """Who is in one set of a family from now on, and who is not; `ends` of those for whom it ends by itself."""

    key: Hashable
    on: BitMap
    off: BitMap
    ends: list[Expiry] = field(default_factory=list)


Members = Mapping[str, Mapping[Hashable, BitMap]]


@dataclass
class LiveSets:
    """All families at one position, living people only: whoever reads a set need not intersect it with the living.

    `ends` are the memberships that end by themselves, the soonest first.
    """

    position: Position = Position()
    families: dict[str, dict[Hashable, BitMap]] = field(default_factory=lambda: {name: {} for name in FAMILIES})
    ends: list[tuple[datetime, str, Any, int]] = field(default_factory=list)

    @property
    def universe(self) -> BitMap:
        """Living customers: neither absorbed by a merge nor erased."""
        return self.families["alive"].get(True, _EMPTY)

    def still(self, *, ends: bool = True) -> LiveSets:
        """As they are now, under an index of its own: what changes later does not show in it. Without `ends` for those
        who only ask: there may be many."""
        index = {family: dict(known) for family, known in self.families.items()}
        return LiveSets(self.position, index, list(self.ends) if ends else [])

    def union(self, family: str, keys: Iterable[Hashable]) -> BitMap:
        """Everybody in any of the keys' sets."""
        known = self.families[family]
        found = [known[key] for key in keys if key in known]
        if len(found) == 1:
            return found[0]
        return BitMap.union(*found) if found else _EMPTY

    def friends(self, number: int, staff: tuple[Hashable, ...]) -> BitMap:
        """Who has at least `number` active friendships (with these members of staff, when any are named)."""
        known = self.families["friends"]
        keys = staff or tuple(known)
        if number == 1:
            return self.union("friends", keys)
        at_least = [BitMap() for _ in range(number)]
        for key in keys:
            served = known.get(key, _EMPTY)
            for level in range(number - 1, 0, -1):
                at_least[level] |= at_least[level - 1] & served
            at_least[0] |= served
        return at_least[-1]

    def household(self, kind: str, spans: Iterable[tuple[str, str]]) -> BitMap:
        """Who has a member of a kind (`any`: of every kind) whose day lies in a span: ISO days, behind the first up to
        the second. The set of each kind and day is looked at, some thousands: about a millisecond."""
        borders = list(spans)
        found = []
        for key, members in self.families["household"].items():
            of_kind, day = cast(tuple[str, str], key)
            if kind in ("any", of_kind) and any(after < day <= until for after, until in borders):
                found.append(members)
        return BitMap.union(*found) if found else _EMPTY

    def replace(
        self, changed: BitMap, members: Members, ends: Iterable[Expiry], households: BitMap | None = None
    ) -> None:
        """Put these customers into exactly these sets, and out of all others; those not alive into none.

        Only of `households` the sets of days are looked at (None: of all who changed): there are thousands of them,
        and most changes concern no household.
        """
        living = members.get("alive", {}).get(True, _EMPTY)
        for family, known in self.families.items():
            new, moved = members.get(family, {}), changed
            if family == "household" and households is not None:
                moved = changed & households
            if not moved:
                continue
            for key in [*known, *(key for key in new if key not in known)]:
                before, incoming = known.get(key, _EMPTY), new.get(key, _EMPTY) & living
                if incoming or before.intersection_cardinality(moved):
                    known[key] = (before - moved) | incoming
        self._end(ends)

    def move(self, family: str, change: Move) -> None:
        """Put people into one set and take others out, whatever else they are in; those not alive come into none."""
        known, before = self.families[family], self.families[family].get(change.key, _EMPTY)
        known[change.key] = (before - change.off) | (change.on & self.universe)
        self._end(change.ends)

    def _end(self, ends: Iterable[Expiry]) -> None:
        for end in ends:
            heapq.heappush(self.ends, (end.at, end.family, end.key, end.number))

    def due(self, now: datetime) -> BitMap:
        """Customers with a membership that has ended by now; they are to be read again."""
        found = BitMap()
        while self.ends and self.ends[0][0] <= now:
            found.add(heapq.heappop(self.ends)[3])
        return found

    def save(self, path: Path) -> None:
        """Write a snapshot atomically: a crash leaves the old file or the new one, a full disk the old one. Raises
        OSError."""
        index: list[list[Any]] = []
        blobs: list[bytes] = []
        for family, known in self.families.items():
            for key, members in known.items():
                blob = members.serialize()
                index.append([family, list(key) if isinstance(key, tuple) else key, len(blob)])
                blobs.append(blob)
        position = self.position
        head = {
            "position": list(astuple(position)),
            "sets": index,
            "ends": [[at.isoformat(), family, key, number] for at, family, key, number in self.ends],
        }
        payload = json.dumps(head).encode() + b"\n" + b"".join(blobs)
        draft = path.with_suffix(".draft")
        try:
            with draft.open("wb") as stream:
                stream.write(_MAGIC + f"{zlib.crc32(payload):08x}\n".encode() + payload)
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)  # a full disk needs the space
            raise

    @classmethod
    def load(cls, path: Path) -> LiveSets | None:
        """Read a snapshot; None when there is none or it is damaged (the sets are then built from PostgreSQL)."""
        try:
            content = path.read_bytes()
        except OSError:
            return None
        start = len(_MAGIC) + 9
        if (
            not content.startswith(_MAGIC)
            or f"{zlib.crc32(content[start:]):08x}\n".encode() != content[start - 9 : start]
        ):
            return None
        end = content.index(b"\n", start) + 1
        head = json.loads(content[start:end])
        sets = cls(position=Position(*head["position"]))
        for family, key, size in head["sets"]:
            name = tuple(key) if isinstance(key, list) else key
            sets.families[family][name] = BitMap.deserialize(content[end : end + size])
            end += size
        sets.ends = [(datetime.fromisoformat(at), family, key, number) for at, family, key, number in head["ends"]]
        heapq.heapify(sets.ends)
        return sets
