"""Where a customer first came from: a condition, and what it sees of one person. Pure.

Her *first source* is the first that is known of her: a WeCom friendship that began (or half began), a group chat that
she joined, or an order that she placed. What happened at one instant counts in this order, then by when it was written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

FRIENDSHIP, GROUP_CHAT, ORDER, ANY = "friendship", "group_chat", "order", "any"
# How somebody may have come, and what else can be asked of that.
FILTERS: Mapping[str, tuple[str, ...]] = {
    FRIENDSHIP: ("campaigns", "channel_states", "ways", "staff", "stores"),
    GROUP_CHAT: ("campaigns", "channel_states", "groups", "stores"),
    ORDER: ("channels", "sources", "staff", "stores"),
    ANY: ("campaigns", "stores"),
}


def asked_states(named: tuple[str, ...], codes: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The channel states that are `named`, of the `codes` of campaigns where campaigns are; None: any, or none."""
    if codes is None:
        return named or None
    return tuple(one for one in codes if not named or one in named)


@dataclass(frozen=True, slots=True)
class FirstSource:
    """Her first source is of this kind (`any`: of any), with these properties where they are named, and with `days` in
    the last days. The store of a friendship is that where the member of staff works now; the staff of an order is who
    sold it. `codes` are the states of the codes that belong to the `campaigns` (public ids) now, None where none is
    named: no order came by a code."""

    by: str
    stores: tuple[str, ...] = ()
    channel_states: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()  # codes of `rules.ADDED`
    staff: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    campaigns: tuple[str, ...] = ()
    codes: tuple[str, ...] | None = None
    days: int | None = None

    @property
    def states(self) -> tuple[str, ...] | None:
        """By which channel states she may have come; None: by any or without."""
        return asked_states(self.channel_states, self.codes)


@dataclass(frozen=True, slots=True)
class Code:
    """A live code or link by its channel state: what it is called, and its campaign (public id); either may be
    empty."""

    name: str = ""
    campaign: str = ""


@dataclass(frozen=True, slots=True)
class Beginning:
    """Something that began with a customer, in the words of rules; `name` is that of a group, `way` WeCom's number."""

    by: str
    at: datetime
    store: str = ""
    channel_state: str = ""
    way: int = 0
    staff: str = ""
    group: str = ""
    name: str = ""
    channel: str = ""
    source: str = ""


class Bought(Protocol):
    """An order, as `people.Purchase` is one."""

    @property
    def order(self) -> tuple[str, str]: ...
    @property
    def store(self) -> str: ...
    @property
    def channel(self) -> str: ...
    @property
    def at(self) -> datetime: ...


def first_of(beginnings: Sequence[Beginning], purchases: Sequence[Bought], sold_by: str = "") -> Beginning | None:
    """The first source, of friendships and groups in their order and of orders, the first of which `sold_by` (userid)
    sold; None where nothing is known."""
    first = beginnings[0] if beginnings else None
    order = min(purchases, key=lambda one: (one.at, one.order), default=None)
    if order is None or (first is not None and first.at <= order.at):
        return first
    return Beginning(ORDER, order.at, order.store, staff=sold_by, channel=order.channel, source=order.order[0])


def fits(node: FirstSource, first: Beginning | None, ways: Mapping[str, int], since: datetime | None) -> bool:
    """Whether a first source is one that is asked for; `ways` are WeCom's numbers by code, `since` is when `days`
    begin."""
    if first is None or node.by not in {ANY, first.by} or (since is not None and first.at < since):
        return False
    if node.states is not None and first.channel_state not in node.states:
        return False
    wanted: list[tuple[Sequence[Any], Any]] = [
        (node.stores, first.store),
        ([ways[way] for way in node.ways], first.way),
        (node.staff, first.staff),
        (node.groups, first.group),
        (node.channels, first.channel),
        (node.sources, first.source),
    ]
    return all(not values or found in values for values, found in wanted)


def told(first: Beginning | None) -> dict[str, Any]:
    """A first source as a verdict keeps it: what is known of it, the instant as ISO."""
    if first is None:
        return {}
    known = {name: getattr(first, name) for name in Beginning.__slots__ if name != "at"}
    return {"at": first.at.isoformat(), **{name: value for name, value in known.items() if value}}
