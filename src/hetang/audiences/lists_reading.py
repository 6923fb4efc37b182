"""Reading conditions on people of other lists: audiences and ponds, now and earlier, and random buckets; like
`reading`, of which this is a part."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from hetang.audiences.rules import (
    BUCKETS,
    MAX_DAYS,
    WAYS,
    Condition,
    InBucket,
    InPond,
    MemberOf,
    Moved,
    Path,
    WasInPond,
    WasMember,
    short,
)

if TYPE_CHECKING:
    from hetang.audiences.reading import Reader

_TIME = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


def audience(r: Reader, raw: dict[str, Any], path: Path) -> Condition | None:
    """Who fits another audience now."""
    r.only(raw, {"type", "audience"}, path)
    public_id = r.audience(raw, path)
    return MemberOf(public_id) if public_id else None


def pond(r: Reader, raw: dict[str, Any], path: Path) -> Condition:
    """Who is in a pond now."""
    r.only(raw, {"type", "ponds"}, path)
    ponds = _ponds(r, raw, path)
    known = [r.catalogue.ponds[one] for one in ponds if one in r.catalogue.ponds]
    for public_id in dict.fromkeys(one for of in known for one in (of.audience, *of.earlier) if one):
        r.usable(public_id, (*path, "ponds"))
    return InPond(ponds)


def was_in_pond(r: Reader, raw: dict[str, Any], path: Path) -> Condition:
    """Who was in a pond when a day began."""
    r.only(raw, {"type", "ponds", "date"}, path)
    ponds = _ponds(r, raw, path)
    return WasInPond(ponds, r.day(raw.get("date"), (*path, "date")))


def was_member(r: Reader, raw: dict[str, Any], path: Path) -> Condition | None:
    """Who was in another audience at a time."""
    r.only(raw, {"type", "audience", "date", "time"}, path)
    public_id = r.audience(raw, path)
    day = r.day(raw.get("date"), (*path, "date"))
    clock = raw.get("time", "00:00")
    if not isinstance(clock, str) or _TIME.fullmatch(clock) is None:
        r.problem((*path, "time"), "not_a_time", value=short(clock))
        return None
    return WasMember(public_id, day, clock) if public_id else None


def moved(r: Reader, raw: dict[str, Any], path: Path) -> Condition | None:
    """Who came into another audience or left it lately."""
    r.only(raw, {"type", "audience", "way", "days"}, path)
    public_id = r.audience(raw, path)
    way: Any = r.choice(raw, "way", WAYS, path, "entered")
    days = r.whole(raw.get("days"), (*path, "days"), 1, MAX_DAYS)
    return Moved(public_id, way, days) if public_id else None


def bucket(r: Reader, raw: dict[str, Any], path: Path) -> Condition:
    """Some of a hundred random buckets."""
    r.only(raw, {"type", "draw", "from", "to"}, path)
    draw = r.text(raw, "draw", path, required=False)
    first = r.whole(raw.get("from"), (*path, "from"), 1, BUCKETS)
    last = r.whole(raw.get("to"), (*path, "to"), 1, BUCKETS)
    if first > last:
        r.problem((*path, "to"), "wrong_way_round")
    return InBucket(draw, first, last)


def _ponds(r: Reader, raw: dict[str, Any], path: Path) -> tuple[str, ...]:
    ponds = r.texts(raw, "ponds", path)
    r.known(ponds, r.catalogue.ponds, "pond", (*path, "ponds"))
    return ponds
