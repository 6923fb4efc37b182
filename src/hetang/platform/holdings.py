"""What a room holds about a person: how it is counted, handed out and erased. The rooms declare it, privacy asks them.

`settings.HOLDINGS` names lists of `Holding`s, in the order in which they are erased. Whoever adds a table, a file or a
set in which a person can be found adds a holding with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.functional import Promise

Text = str | Promise
Position = tuple[int, int, int]  # (epoch, transaction id, fact id): a place in the fact log
Checkpoint = Callable[[], None]  # called between transactions; raises when the work should stop and go on later


class NotNow(Exception):
    """A store is away, so that nothing can be said or removed there at the moment; try again later."""


@dataclass(frozen=True)
class Named:
    """One identity of the person: its kind, the keys under which facts know it, and its value in the clear.

    There are two keys while the lookup key is being rotated, and after that one again.
    """

    kind: str
    value: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Person:
    """Somebody who is to be erased or told what is held about her.

    `numbers` are her own customer number and those absorbed by it. `until` is the last place in the fact log, and `at`
    the time, at which these identities meant her: what comes later is somebody else's, even under the same identity.
    `stand_in` is a number that belongs to nobody; it takes her place where a row has to stay.
    """

    public_ids: tuple[str, ...]
    numbers: tuple[int, ...]
    identities: tuple[Named, ...]
    until: Position
    at: datetime
    stand_in: int = 0

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """(kind, key) of every identity, as facts name them."""
        return [(one.kind, key) for one in self.identities for key in one.keys]

    @property
    def kinds_and_keys(self) -> Mapping[str, list[str]]:
        """The pairs as two parallel lists, for `unnest(%(kinds)s::text[], %(keys)s::text[])`."""
        return {"kinds": [kind for kind, _ in self.pairs], "keys": [key for _, key in self.pairs]}


@dataclass(frozen=True)
class Holding:
    """One kind of data about people in one place.

    `count` says how many pieces are held about a person now; `erase` removes or empties them, may be repeated, and
    returns how many it changed; no transaction of it lasts over a second. `tell` gives what is held in a form that
    machines read (dicts, lists, texts), or None where there is nothing to hand out. `kept` says what stays, without
    her, and why. `by_value`: `count` needs the identities in the clear, so it cannot be asked once they are gone.
    `in_engine`: it lies in the engine, which may be away, and which a restore in another place must not touch.
    """

    code: str
    label: Text
    count: Callable[[Person], int]
    erase: Callable[[Person, Checkpoint], int]
    tell: Callable[[Person], Any] | None = None
    kept: Text = ""
    by_value: bool = False
    in_engine: bool = False


Holdings = Sequence[Holding]
