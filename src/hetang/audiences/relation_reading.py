"""Reading conditions on how she is related to the brand: consent, friendships, group chats; like `reading`, of which
this is a part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetang.audiences.rules import (
    ADDED,
    FRIENDSHIPS,
    MAX_DAYS,
    PURPOSES,
    Condition,
    ConsentGiven,
    Friends,
    Friendship,
    InGroups,
    LeftAlone,
    Path,
    short,
)

if TYPE_CHECKING:
    from hetang.audiences.reading import Reader


def consent(r: Reader, raw: dict[str, Any], path: Path) -> Condition:
    """Whether she agreed to a purpose on a channel."""
    r.only(raw, {"type", "purpose", "channel", "given"}, path)
    purpose = r.choice(raw, "purpose", PURPOSES, path, "marketing")
    return ConsentGiven(purpose, r.text(raw, "channel", path), r.boolean(raw, "given", path))


def left_alone(r: Reader, raw: dict[str, Any], path: Path) -> Condition:
    """Whether do-not-disturb is on."""
    r.only(raw, {"type", "on"}, path)
    return LeftAlone(r.boolean(raw, "on", path))


def friends(r: Reader, raw: dict[str, Any], path: Path) -> Condition:
    """How many of these members of staff are her friends."""
    r.only(raw, {"type", "number", "staff"}, path)
    staff = r.texts(raw, "staff", path, required=False)
    r.known(staff, r.catalogue.staff, "staff", (*path, "staff"))
    return Friends(r.whole(raw.get("number", 1), (*path, "number"), 1, 1000), staff)


def friendship(r: Reader, raw: dict[str, Any], path: Path) -> Condition:
    """How a friendship began or was lost, with whom and when."""
    r.only(raw, {"type", "state", "staff", "ways", "channel_states", "campaigns", "days"}, path)
    staff = r.texts(raw, "staff", path, required=False)
    r.known(staff, r.catalogue.staff, "staff", (*path, "staff"))
    days, campaigns = raw.get("days"), r.texts(raw, "campaigns", path, required=False)
    return Friendship(
        r.choice(raw, "state", FRIENDSHIPS, path, "active"),
        staff,
        ways(r, raw, path),
        r.texts(raw, "channel_states", path, required=False),
        None if days is None else r.whole(days, (*path, "days"), 1, MAX_DAYS),
        campaigns,
        codes_of(r, campaigns, path),
    )


def groups(r: Reader, raw: dict[str, Any], path: Path) -> Condition:
    """Group chats that she is in."""
    r.only(raw, {"type", "number", "groups", "stores", "days"}, path)
    groups = r.texts(raw, "groups", path, required=False)
    r.known(groups, r.catalogue.groups, "group", (*path, "groups"))
    stores = r.texts(raw, "stores", path, required=False)
    r.known(stores, r.catalogue.stores, "store", (*path, "stores"))
    days = raw.get("days")
    within = None if days is None else r.whole(days, (*path, "days"), 1, MAX_DAYS)
    return InGroups(r.whole(raw.get("number", 1), (*path, "number"), 1, 1000), groups, stores, within)


def codes_of(r: Reader, campaigns: tuple[str, ...], path: Path) -> tuple[str, ...] | None:
    """States of the codes that belong to these campaigns now; None where none is named."""
    r.known(campaigns, r.catalogue.campaigns, "campaign", (*path, "campaigns"))
    codes = sorted(state for state, one in r.catalogue.codes.items() if one.campaign in campaigns)
    return tuple(codes) if campaigns else None


def ways(r: Reader, raw: dict[str, Any], path: Path) -> tuple[str, ...]:
    """Ways in which somebody is added, as `ADDED` has them."""
    said = r.texts(raw, "ways", path, required=False)
    for way in said:
        if way not in ADDED:
            r.problem((*path, "ways"), "not_an_option", value=short(way), options=", ".join(ADDED))
    return said
