"""Reading conditions on behaviour; like `reading`, of which this is a part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hetang.audiences.rules import (
    DEED_OPS,
    DEEDS,
    ENDS,
    EVENTS,
    FACT_KINDS,
    MAX_DAYS,
    MEASURED,
    MEASURES,
    PURPOSES,
    QUANTIFIERS,
    UNITS,
    WEEKDAYS,
    Behaviour,
    Condition,
    Deed,
    DeedAt,
    Followed,
    Path,
    Period,
)

if TYPE_CHECKING:
    from hetang.audiences.reading import Reader

MAX_WITHIN = 10_000
HOURS = 24
CLOCK = {"hours", "weekdays"}
_MESSAGES = {"channel", "message_class", "campaigns", "broadcasts"} | CLOCK
_GOODS = {"category", "sku", "stores", "channel", "sources"} | CLOCK
LISTS = frozenset({"stores", "sources", "campaigns", "broadcasts"})
FILTERS = {
    "bought": _GOODS,
    "spent": _GOODS,
    "visited": {"stores", "channel"} | CLOCK,
    "received": _MESSAGES,
    "clicked": _MESSAGES,
    "fact": {"kind"} | CLOCK,
}
PERIOD = {"days", "before_days", "from", "to"}


def behaviour(r: Reader, raw: dict[str, Any], path: Path) -> Condition:
    """How much of something happened."""
    event = r.choice(raw, "event", EVENTS, path)
    own = {"type", "event", "op", "value", "measure"} | ({"count"} if event == "bought" else set())
    measure = r.choice(raw, "measure", MEASURES[event], path, MEASURES[event][0])
    properties = MEASURED.get((event, measure), ())
    r.only(raw, own | ({"of"} if properties else set()) | FILTERS[event] | PERIOD, path)
    return Behaviour(
        _deed(r, raw, event, path),
        r.choice(raw, "op", QUANTIFIERS, path, "at_least"),
        r.whole(raw.get("value", 1), (*path, "value")),
        measure,
        r.choice(raw, "of", properties, path, properties[0]) if properties else "",
        r.choice(raw, "count", ("orders", "lines"), path, "orders"),
    )


def deed_at(r: Reader, raw: dict[str, Any], path: Path) -> Condition:
    """When something happened first or last."""
    event = r.choice(raw, "event", DEEDS, path)
    op = r.choice(raw, "op", DEED_OPS, path, "within_last")
    by_date = op in {"before", "after"}
    r.only(raw, {"type", "event", "end", "op", "date" if by_date else "days"} | FILTERS[event], path)
    deed, end = _deed(r, raw, event, path, dated=False), r.choice(raw, "end", ENDS, path, "last")
    if by_date:
        return DeedAt(deed, end, op, 0, r.day(raw.get("date"), (*path, "date")))
    lowest = 0 if op == "more_than_ago" else 1
    return DeedAt(deed, end, op, r.whole(raw.get("days"), (*path, "days"), lowest, MAX_DAYS), "")


def followed(r: Reader, raw: dict[str, Any], path: Path) -> Condition | None:
    """One thing, and within a time after it another one, or not."""
    r.only(raw, {"type", "first", "then", "within", "unit", "happened"}, path)
    deeds = []
    for key, period in (("first", PERIOD), ("then", set[str]())):
        part, at = raw.get(key), (*path, key)
        if not isinstance(part, dict):
            r.problem(at, "not_a_deed")
            continue
        event = r.choice(part, "event", DEEDS, at)
        r.only(part, {"event"} | FILTERS[event] | period, at)
        deeds.append(_deed(r, part, event, at))
    unit = r.choice(raw, "unit", tuple(UNITS), path, "days")
    within = r.whole(raw.get("within"), (*path, "within"), 1, MAX_WITHIN)
    happened = r.boolean(raw, "happened", path)
    return Followed(deeds[0], deeds[1], within, unit, happened) if len(deeds) == 2 else None


def _deed(r: Reader, raw: dict[str, Any], event: str, path: Path, *, dated: bool = True) -> Deed:
    """What happened; `dated` false: the condition's own days are no period of it."""
    category = r.text(raw, "category", path, required=False)
    r.known([category], r.catalogue.categories, "category", (*path, "category"))
    sku = r.text(raw, "sku", path, required=False)
    r.known([sku], r.catalogue.products, "product", (*path, "sku"))
    stores = r.texts(raw, "stores", path, required=False)
    r.known(stores, r.catalogue.stores, "store", (*path, "stores"))
    kind = r.choice(raw, "kind", FACT_KINDS, path) if event == "fact" else ""
    channel = r.text(raw, "channel", path, required=False)
    weekdays = "" if raw.get("weekdays") is None else r.choice(raw, "weekdays", tuple(WEEKDAYS), path)
    when = _period(r, raw, path) if dated else Period()
    return Deed(
        *(event, kind, category, sku, stores, channel, when, _hours(r, raw.get("hours"), path), weekdays),
        r.texts(raw, "sources", path, required=False),
        r.choice(raw, "message_class", PURPOSES, path) if raw.get("message_class") else "",
        *_messages(r, raw, path),
    )


def _messages(
    r: Reader, raw: dict[str, Any], path: Path
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[int, ...] | None]:
    """Campaigns, broadcasts, and the programmes that belong to both."""
    named = []
    chosen: set[int] | None = None
    for key, known in (("campaigns", r.catalogue.campaigns), ("broadcasts", r.catalogue.broadcasts)):
        said = r.texts(raw, key, path, required=False)
        r.known(said, known, key.removesuffix("s"), (*path, key))
        named.append(said)
        if said:
            theirs = {one for code in said if code in known for one in known[code].programmes}
            chosen = theirs if chosen is None else chosen & theirs
    return named[0], named[1], None if chosen is None else tuple(sorted(chosen))


def _hours(r: Reader, hours: Any, path: Path) -> tuple[int, int] | None:
    """From an hour until before another one; the whole day if none are given."""
    if hours is None:
        return None
    if not isinstance(hours, list) or len(hours) != 2:
        r.problem((*path, "hours"), "not_a_pair")
        return None
    first, end = r.whole(hours[0], (*path, "hours"), 0, HOURS - 1), r.whole(hours[1], (*path, "hours"), 1, HOURS)
    if first == end:
        r.problem((*path, "hours"), "no_hours_between")
    return first, end


def _period(r: Reader, raw: dict[str, Any], path: Path) -> Period:
    """Days back from today, or days of the calendar."""
    days, before, first, last = (raw.get(key) for key in ("days", "before_days", "from", "to"))
    if (days, before) != (None, None) and (first, last) != (None, None):
        r.problem(path, "two_periods")
        return Period()
    if (first, last) != (None, None):
        since = "" if first is None else r.day(first, (*path, "from"))
        until = "" if last is None else r.day(last, (*path, "to"))
        if since and until and since > until:
            r.problem((*path, "to"), "wrong_way_round")
        return Period(first=since, last=until)
    within = None if days is None else r.whole(days, (*path, "days"), 1, MAX_DAYS)
    ago = None if before is None else r.whole(before, (*path, "before_days"), 0, MAX_DAYS)
    if within is not None and ago is not None and ago >= within - 1:
        r.problem((*path, "before_days"), "no_days_between", days=within)
    return Period(within, ago)
