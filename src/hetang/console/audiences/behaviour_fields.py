"""The fields of conditions on behaviour."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from hetang.audiences import behaviour_reading, behaviour_sentences, rules, sentences
from hetang.audiences.rules import Catalogue
from hetang.console.audiences.field import Choices, Field
from hetang.platform import clock

VISITED_THEN_BOUGHT: dict[str, Any] = {
    "type": "behaviour_then",
    "first": {"event": "visited", "days": 30},
    "then": {"event": "bought"},
    "within": 3,
    "unit": "days",
    "happened": False,
}
_PERIODS = {
    "ever": (),
    "last": ("days",),
    "ago": ("before_days",),
    "between": ("days", "before_days"),
    "dates": ("from", "to"),
}


def event_names() -> dict[str, str]:
    """What each event is called."""
    return {
        "bought": _("Bought"),
        "spent": _("Spent"),
        "visited": _("Visited"),
        "received": _("Received messages"),
        "clicked": _("Clicked a link"),
        "fact": _("Another record"),
    }


def behaviour(leaf: dict[str, Any], known: Catalogue) -> list[Field]:
    """How much of something happened."""
    event = _event_of(leaf, rules.EVENTS)
    measures = rules.MEASURES[event]
    measure = str(leaf["measure"]) if leaf.get("measure") in measures else measures[0]
    found = [_event(rules.EVENTS, event), *_kind(leaf, event)]
    if len(measures) > 1:
        names = {
            "times": _("number of times"),
            "sum": _("amount in all") if event == "spent" else _("number of pieces"),
            "average": _("average per order"),
            "distinct": _("number of different …"),
        }
        choices = [(code, names[code]) for code in measures]
        found.append(Field("measure", _("Measured by"), "select", measure, choices, shape=True))
    properties = rules.MEASURED.get((event, measure), ())
    if len(properties) > 1:
        choices = [(code, _named(behaviour_sentences.PROPERTY_NAMES[code])) for code in properties]
        found.append(Field("of", _("Different"), "select", leaf.get("of", properties[0]), choices))
    ops = [("at_least", _("at least")), ("at_most", _("at most")), ("exactly", _("exactly"))]
    found.append(Field("op", _("How often"), "select", leaf.get("op", "at_least"), ops))
    if event == "spent":
        digits = known.currency_digits
        found.append(Field("value", _("Amount"), "money", leaf.get("value", 0), hint=known.currency, digits=digits))
    else:
        label = _("Number of times") if measure == "times" else _("How many")
        found.append(Field("value", label, "number", leaf.get("value", 1)))
    if event == "bought" and measure == "times":
        counted = [("orders", _("orders")), ("lines", _("order lines"))]
        found.append(Field("count", _("Counted by"), "select", leaf.get("count", "orders"), counted))
    return [*found, *_period(leaf), *_filters(leaf, event)]


def deed_at(leaf: dict[str, Any]) -> list[Field]:
    """When something happened first or last."""
    event = _event_of(leaf, rules.DEEDS)
    ends = [("first", _("the first time")), ("last", _("the last time"))]
    ops = [
        ("within_last", _("within the last … days")),
        ("more_than_ago", _("more than … days ago")),
        ("before", _("before")),
        ("after", _("after")),
    ]
    op = leaf.get("op", "within_last")
    found = [
        Field("end", _("Which time"), "select", leaf.get("end", "last"), ends),
        _event(rules.DEEDS, event),
        *_kind(leaf, event),
        Field("op", _("When"), "select", op, ops, shape=True),
    ]
    if op in {"before", "after"}:
        found.append(Field("date", _("Day"), "day", leaf.get("date", "")))
    else:
        found.append(Field("days", _("Days"), "number", leaf.get("days", 30)))
    return [*found, *_filters(leaf, event)]


def followed(leaf: dict[str, Any]) -> list[Field]:
    """One thing, and within a time after it another one, or not."""
    first, then = _part(leaf, "first"), _part(leaf, "then")
    happened = [("yes", _("then did")), ("no", _("then did not"))]
    units = [("days", _("days")), ("hours", _("hours"))]
    return [
        *_deed(first, "first", _("What came first")),
        *_period(first, "first"),
        Field("happened", _("And"), "truth", leaf.get("happened", True), happened),
        *_deed(then, "then", _("What came after")),
        Field("within", _("Within"), "number", leaf.get("within", 3)),
        Field("unit", _("Unit"), "select", leaf.get("unit", "days"), units),
    ]


def _part(leaf: dict[str, Any], key: str) -> dict[str, Any]:
    part = leaf.get(key)
    return part if isinstance(part, dict) else {}


def _deed(deed: dict[str, Any], part: str, label: str) -> list[Field]:
    event = _event_of(deed, rules.DEEDS)
    return [
        _event(rules.DEEDS, event, part, label),
        *_kind(deed, event, part),
        *_filters(deed, event, part),
    ]


def _event_of(deed: dict[str, Any], events: tuple[str, ...]) -> str:
    event = deed.get("event")
    return str(event) if event in events else events[0]


def _event(events: tuple[str, ...], event: str, part: str = "", label: str = "") -> Field:
    names = event_names()
    return _field(part, "event", label or _("What"), "select", event, [(one, names[one]) for one in events], shape=True)


def _kind(deed: dict[str, Any], event: str, part: str = "") -> list[Field]:
    if event != "fact":
        return []
    kinds = [(code, _named(behaviour_sentences.FACT_NAMES[code])) for code in rules.FACT_KINDS]
    return [_field(part, "kind", _("Record"), "select", deed.get("kind", kinds[0][0]), kinds)]


def _filters(deed: dict[str, Any], event: str, part: str = "") -> list[Field]:
    """What a deed may be narrowed down to."""
    offered, found = behaviour_reading.FILTERS[event], []
    if "category" in offered:
        category, sku = deed.get("category", ""), deed.get("sku", "")
        found.append(_field(part, "category", _("Category"), "pick", category, source="categories", optional=True))
        found.append(_field(part, "sku", _("Product"), "pick", sku, source="products", optional=True))
    if "stores" in offered:
        stores = deed.get("stores", [])
        found.append(_field(part, "stores", _("Stores"), "pick", stores, source="stores", many=True, optional=True))
    if event in {"received", "clicked"}:
        channels = [("", _("any channel")), *((code, _named(n)) for code, n in sentences.CHANNEL_NAMES.items())]
        channel = deed.get("channel", "")
        found.append(_field(part, "channel", _("Channel"), "select", channel, channels, optional=True))
        found += _messages(deed, part)
    elif "sources" in offered:
        channel, sources = deed.get("channel", ""), deed.get("sources", [])
        found.append(_field(part, "channel", _("Channel"), "pick", channel, source="order_channels", optional=True))
        systems: dict[str, Any] = {"source": "order_sources", "many": True, "optional": True}
        found.append(_field(part, "sources", _("System of the order"), "pick", sources, **systems))
    elif "channel" in offered and deed.get("channel"):  # only a rule from elsewhere says it: visits name any channel
        found.append(_field(part, "channel", _("Channel"), "text", deed["channel"], optional=True))
    return [*found, *_clock(deed, part)]


def _messages(deed: dict[str, Any], part: str) -> list[Field]:
    """Of which campaigns, broadcasts and class a message is."""
    classes = [("", _("any message")), *((code, _named(n)) for code, n in behaviour_sentences.PURPOSE_NAMES.items())]
    campaigns, broadcasts = deed.get("campaigns", []), deed.get("broadcasts", [])
    several: dict[str, Any] = {"many": True, "optional": True}
    return [
        _field(part, "campaigns", _("Of these campaigns"), "pick", campaigns, source="campaigns", **several),
        _field(part, "broadcasts", _("Of these broadcasts"), "pick", broadcasts, source="broadcasts", **several),
        _field(
            *(part, "message_class", _("Kind of message"), "select", deed.get("message_class", ""), classes),
            optional=True,
        ),
    ]


def _clock(deed: dict[str, Any], part: str) -> list[Field]:
    """At which days of the week and which hours."""
    days = [("", _("any day")), ("workdays", _("Monday to Friday")), ("weekend", _("weekend"))]
    times = [("any", _("at any hour")), ("hours", _("between two hours"))]
    drawn = deed.get("hour")
    hour = str(drawn) if drawn in {"any", "hours"} else "hours" if deed.get("hours") else "any"
    found = [
        _field(part, "weekdays", _("Day of the week"), "select", deed.get("weekdays", ""), days, optional=True),
        _field(part, "hour", _("Hour"), "select", hour, times, shape=True, drawn=True),
    ]
    if hour == "hours":
        found.append(
            _field(part, "hours", _("From hour, before hour"), "number", deed.get("hours") or [9, 12], pair=True)
        )
    return found


def _period(deed: dict[str, Any], part: str = "") -> list[Field]:
    """When it happened: a choice of the kind of period, and its borders."""
    drawn = deed.get("when")
    when = str(drawn) if drawn in _PERIODS else _period_of(deed)
    names = {
        "last": _("in the last days"),
        "ever": _("at any time"),
        "ago": _("days ago and longer"),
        "between": _("between two days back"),
        "dates": _("between two dates"),
    }
    today = clock.today()
    defaults = {"days": 60 if when == "between" else 30, "before_days": 30}
    labels = {
        "days": _("In the last days"),
        "before_days": _("More than … days ago"),
        "from": _("From day"),
        "to": _("To day"),
    }
    borders = {"from": (today - timedelta(days=30)).isoformat(), "to": today.isoformat()}
    found = [_field(part, "when", _("When"), "select", when, list(names.items()), shape=True, drawn=True)]
    for key in _PERIODS[when]:
        if key in borders:
            value = deed.get(key) or ("" if when == _period_of(deed) else borders[key])
            found.append(_field(part, key, labels[key], "day", value, optional=True))
        else:
            found.append(_field(part, key, labels[key], "number", deed.get(key) or defaults[key]))
    return found


def _period_of(deed: dict[str, Any]) -> str:
    if deed.get("from") or deed.get("to"):
        return "dates"
    has = tuple(key for key in ("days", "before_days") if deed.get(key) is not None)
    return {(): "ever", ("days",): "last", ("before_days",): "ago"}.get(has, "between")


def _field(  # noqa: PLR0917 - those of a field, and the part
    part: str, name: str, label: str, kind: str, value: Any, choices: Choices = (), **more: Any
) -> Field:
    """A field of the condition itself, or of one of its parts."""
    return Field(f"{part}-{name}" if part else name, label, kind, value, choices, part=part, **more)


def _named(names: tuple[str, str]) -> str:
    return names[0] if (get_language() or "").startswith("zh") else names[1]
