"""One customer as rules see her: what both an explanation and a plain evaluation look at. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from hetang.audiences.first_source import Beginning
from hetang.customers.friendships import Known
from hetang.customers.tag_words import Word


@dataclass(frozen=True, slots=True)
class Purchase:
    """An order: money in minor units, `day` local."""

    order: tuple[str, str]
    day: date
    store: str
    channel: str
    net: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Line:
    order: tuple[str, str]
    day: date
    store: str
    channel: str
    category: str
    sku: str
    amount: int
    quantity: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class Visit:
    day: date
    store: str
    channel: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Received:
    """A touch that was sent to her."""

    day: date
    channel: str
    at: datetime
    programme: int = 0
    message_class: str = "marketing"


@dataclass(frozen=True, slots=True)
class Clicked:
    """A click on a link of a message that somebody said was hers; without programme and class where no message had
    that link."""

    day: date
    channel: str
    at: datetime
    programme: int = 0
    message_class: str = ""


@dataclass(frozen=True, slots=True)
class Noted:
    """A fact of a kind that names her; `day` is the brand's."""

    kind: str
    day: date
    at: datetime


@dataclass(frozen=True, slots=True)
class Move:
    """A snapshot of an audience at which she came or went, and whether she was in from then on."""

    at: datetime
    entered: bool
    left: bool
    inside: bool


@dataclass(frozen=True, slots=True)
class GroupStay:
    """A group chat that she is in: its public id, name and store, and the local day on which she joined."""

    group: str
    name: str
    store: str
    day: date


@dataclass(frozen=True)
class Person:
    """Everything about one customer that a rule may ask, in the words of rules (codes, local days, minor units)."""

    number: int
    alive: bool = True
    tags: frozenset[str] = frozenset()
    attributes: Mapping[str, str] = field(default_factory=dict)
    home_store: str = ""
    favourite_store: str = ""
    favourite_category: str = ""
    gmv: int = 0
    refunded: int = 0
    orders: int = 0
    visits: int = 0
    first_order: date | None = None
    last_order: date | None = None
    last_visit: date | None = None
    consents: frozenset[tuple[str, str]] = frozenset()
    left_alone: bool = False
    friends: frozenset[str] = frozenset()
    purchases: tuple[Purchase, ...] = ()
    lines: tuple[Line, ...] = ()
    visited: tuple[Visit, ...] = ()
    received: tuple[Received, ...] = ()
    clicked: tuple[Clicked, ...] = ()
    noted: tuple[Noted, ...] = ()
    friendships: tuple[Known, ...] = ()
    tag_words: tuple[Word, ...] = ()
    moves: Mapping[str, tuple[Move, ...]] = field(default_factory=dict)  # by audience: those whose past is asked for
    pond_days: Mapping[tuple[str, str], str] = field(default_factory=dict)  # by (pond, day asked for): the day kept
    groups: tuple[GroupStay, ...] = ()
    household: tuple[tuple[str, date], ...] = ()  # kind of a member, and the day that stages count from
    beginnings: tuple[Beginning, ...] = ()  # of friendships and stays in groups, the first one first
    sold_by: str = ""  # who of staff sold her first order, where that is known
