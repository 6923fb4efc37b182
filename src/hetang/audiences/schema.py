"""The JSON Schema of rule documents, published as `docs/reference/audience-rules.schema.json`. Made from `rules`.

It says what a document may look like. Whether the tags, stores and other things that it names exist, that a range does
not run backwards, that groups are not nested too deep and that no audience contains itself, only `reading.parse` knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hetang.audiences import district, rules, standing_rules
from hetang.audiences.behaviour_reading import CLOCK, FILTERS, HOURS, LISTS, MAX_WITHIN
from hetang.audiences.first_source_reading import shapes as first_source_shapes

Shape = dict[str, Any]

_DAYS: Shape = {"type": "integer", "minimum": 1, "maximum": rules.MAX_DAYS}
_AGO: Shape = {**_DAYS, "minimum": 0}
_HOURS: Shape = {
    "type": "array",
    "prefixItems": [
        {"type": "integer", "minimum": 0, "maximum": HOURS - 1},
        {"type": "integer", "minimum": 1, "maximum": HOURS},
    ],
    "minItems": 2,
    "maxItems": 2,
}
_COUNT: Shape = {"type": "integer", "minimum": 0, "maximum": rules.MAX_NUMBER}
_SIGNED: Shape = {**_COUNT, "minimum": -rules.MAX_NUMBER}
_DAY: Shape = {"type": "string", "format": "date", "minLength": 10, "maxLength": 10}
_TEXT: Shape = {"type": "string", "maxLength": rules.MAX_TEXT, "pattern": "^[^\\u0000]*$"}
_NAME: Shape = {**_TEXT, "minLength": 1}
_NAMES: Shape = {"type": "array", "items": _NAME, "maxItems": rules.MAX_VALUES}
_SOME: Shape = {**_NAMES, "minItems": 1}
_NOTHING: Shape = {"type": "array", "maxItems": 0}


def schema() -> Shape:
    """The schema of a whole rule document, with a definition for every type of condition."""
    node = {"$ref": "#/$defs/node"}
    parts = {"type": "array", "items": node, "minItems": 1}
    groups = [_object({"all": parts}), _object({"any": parts}), _object({"not": node})]
    conditions = _conditions()
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Rule of an audience",
        "description": f"Version {rules.VERSION}. Money is in minor units, days are days of the brand's calendar, today"
        f" included. At most {rules.MAX_CONDITIONS} conditions, nested at most {rules.MAX_DEPTH} deep.",
        "type": "object",
        "properties": {
            "version": {"const": rules.VERSION},
            "rule": {
                "anyOf": [
                    {**_object({"all": _NOTHING}), "description": "Everybody."},
                    node,
                ]
            },
        },
        "required": ["version", "rule"],
        "$defs": {
            "node": {"anyOf": [*groups, *({"$ref": f"#/$defs/{name}"} for name in conditions)]},
            **conditions,
        },
    }


def _object(properties: Mapping[str, Shape], optional: Mapping[str, Shape] | None = None) -> Shape:
    """An object that has all of these properties, perhaps the optional ones, and no others."""
    return {
        "type": "object",
        "properties": {**properties, **(optional or {})},
        "required": list(properties),
        "additionalProperties": False,
    }


def _one_of(values: Sequence[str]) -> Shape:
    return {"enum": list(values)}


def _conditions() -> dict[str, Shape]:
    shapes = {
        "tag": _object(
            {"tags": _SOME},
            {"op": _one_of(("any", "all", "none")), "days": _or_null(_DAYS), "sources": _NAMES},
        ),
        "attribute": {"anyOf": _attribute()},
        "metric": {"anyOf": _metric()},
        "date": {"anyOf": _date()},
        "store": {"anyOf": _store()},
        "place": {"anyOf": _near()},
        "district": {"anyOf": district.shapes(_NAME, _NAMES, _SOME)},
        "behaviour": {"anyOf": _behaviour()},
        "behaviour_at": {"anyOf": _behaviour_at()},
        "behaviour_then": _behaviour_then(),
        "consent": _object({"channel": _NAME}, {"purpose": _one_of(rules.PURPOSES), "given": {"type": "boolean"}}),
        "do_not_disturb": _object({}, {"on": {"type": "boolean"}}),
        "relation": _object({}, {"number": _few(), "staff": _NAMES}),
        "friendship": _object(
            {},
            {
                "state": _one_of(rules.FRIENDSHIPS),
                "staff": _NAMES,
                "ways": {**_NAMES, "items": _one_of(tuple(rules.ADDED))},
                "channel_states": _NAMES,
                "campaigns": _NAMES,
                "days": _or_null(_DAYS),
            },
        ),
        "first_source": {"anyOf": first_source_shapes(_NAMES, _DAYS)},
        "group_chat": _object({}, {"number": _few(), "groups": _NAMES, "stores": _NAMES, "days": _or_null(_DAYS)}),
        "audience": _object({"audience": _NAME}),
        "pond": _object({"ponds": _SOME}),
        "pond_at": _object({"ponds": _SOME, "date": _DAY}),
        "audience_at": _object(
            {"audience": _NAME, "date": _DAY},
            {"time": {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}},
        ),
        "audience_moved": _object({"audience": _NAME, "days": _DAYS}, {"way": _one_of(rules.WAYS)}),
        "bucket": _object({"from": _bucket(), "to": _bucket()}, {"draw": _TEXT}),
        "life_stage": {"anyOf": _life_stage()},
        "percentile": {"anyOf": _percentile()},
        "rfm": {"anyOf": _rfm()},
    }
    return {name: _typed(name, shape) for name, shape in shapes.items()}


def _typed(name: str, shape: Shape) -> Shape:
    """The shape of a condition with its type."""
    if "anyOf" in shape:
        return {"anyOf": [_typed(name, one) for one in shape["anyOf"]]}
    properties = {"type": {"const": name}, **shape["properties"]}
    return {**shape, "properties": properties, "required": ["type", *shape["required"]]}


def _few() -> Shape:
    return {"type": "integer", "minimum": 1, "maximum": 1000}


def _bucket() -> Shape:
    return {"type": "integer", "minimum": 1, "maximum": rules.BUCKETS}


def _or_null(shape: Shape) -> Shape:
    return {"anyOf": [shape, {"type": "null"}]}


def _compared(base: Mapping[str, Shape], ops: Sequence[str], value: Shape) -> list[Shape]:
    """A comparison: one value, two for `between`, a list for `in`, none for `empty`."""
    plain = [op for op in ops if op not in {"between", "in", "empty", "not_empty"}]
    found = [_object({**base, "op": _one_of(plain), "value": value})] if plain else []
    if "between" in ops:
        pair = {"type": "array", "items": value, "minItems": 2, "maxItems": 2}
        found.append(_object({**base, "op": {"const": "between"}, "value": pair}))
    if "in" in ops:
        some = {"type": "array", "items": value, "minItems": 1, "maxItems": rules.MAX_VALUES}
        found.append(_object({**base, "op": {"const": "in"}, "value": some}))
    if "empty" in ops:
        found.append(_object({**base, "op": _one_of(("empty", "not_empty"))}, {"value": {}}))
    return found


def _attribute() -> list[Shape]:
    ops = tuple(dict.fromkeys(op for known in rules.ATTRIBUTE_OPS.values() for op in known))
    number = {"type": "number", "minimum": -rules.MAX_NUMBER, "maximum": rules.MAX_NUMBER}
    scalar = {"anyOf": [_NAME, number, {"type": "boolean"}]}
    return _compared({"code": _NAME}, ops, scalar)


def _metric() -> list[Shape]:
    def of(metrics: Sequence[str], ops: Sequence[str], value: Shape) -> list[Shape]:
        return _compared({"metric": _one_of(metrics)}, ops, value)

    favourite = of(rules.FAVOURITES, ("in", "empty"), _NAME)
    favourite[0]["required"].remove("op")  # `in` unless it says otherwise
    return [
        *of(rules.COUNTS, rules.COMPARISONS, _COUNT),
        *of(rules.MONEY, rules.COMPARISONS, _SIGNED),
        *of(rules.MAY_BE_MISSING, (*rules.COMPARISONS, "empty"), _COUNT),
        *favourite,
    ]


def _by_days_or_date(base: Mapping[str, Shape], ops: Sequence[str], *, other: bool) -> list[Shape]:
    """A day in or before some days, or beside a date. `other`: what belongs to the other form is let through."""
    within = [op for op in ops if op.startswith("within")]
    days: dict[str, Shape] = {"days": {}} if other else {}
    day: dict[str, Shape] = {"date": {}} if other else {}
    return [
        _object({**base, "op": _one_of(within), "days": _DAYS}, day),
        _object({**base, "op": {"const": "more_than_ago"}, "days": _AGO}, day),
        _object({**base, "op": _one_of(("before", "after")), "date": _DAY}, days),
    ]


def _date() -> list[Shape]:
    attribute = {**_TEXT, "pattern": "^attribute:[^\\u0000]+$"}
    yearly = {"of": attribute, "op": {"const": rules.ANNIVERSARY}, "days": _DAYS}
    known = _by_days_or_date({"of": {"anyOf": [_one_of(rules.TIMES), attribute]}}, rules.DATE_OPS, other=True)
    return [*known, _object(yearly, {"date": {}})]


def _store() -> list[Shape]:
    op = {"op": _one_of(("home", "favourite", "bought_at"))}
    return [
        _object({"stores": _SOME}, {**op, "node": {"const": ""}}),
        _object({"node": _NAME}, {**op, "stores": _NOTHING}),
    ]


def _near() -> list[Shape]:
    base = {"of": _NAME, "stores": _SOME}
    km = {"type": "number", "minimum": 0.01, "maximum": rules.MAX_KM}
    return [_object({**base, "km": km}, {"op": {"const": "within"}}), _object({**base, "op": {"const": "nearest"}})]


def _filters(event: str) -> tuple[dict[str, Shape], dict[str, Shape]]:
    """The properties that narrow an event down: those that it must name, and those that it may."""
    must = {"kind": _one_of(rules.FACT_KINDS)} if event == "fact" else {}
    may = dict.fromkeys(sorted(FILTERS[event] - must.keys() - CLOCK), _TEXT)
    may |= dict.fromkeys(LISTS & may.keys(), _NAMES)
    if "message_class" in may:
        may["message_class"] = _one_of(("", *rules.PURPOSES))
    return must, {**may, "hours": _or_null(_HOURS), "weekdays": _or_null(_one_of(tuple(rules.WEEKDAYS)))}


def _periods() -> list[dict[str, Shape]]:
    """Days back from today, or days of the calendar."""
    return [
        {"days": _or_null(_DAYS), "before_days": _or_null(_AGO)},
        {"from": _or_null(_DAY), "to": _or_null(_DAY)},
    ]


def _behaviour() -> list[Shape]:
    found = []
    for event in rules.EVENTS:
        must, may = _filters(event)
        for measure in rules.MEASURES[event]:
            needs = {"event": {"const": event}, "op": _one_of(rules.QUANTIFIERS), **must}
            offers: dict[str, Shape] = {"value": _COUNT, "measure": {"const": measure}, **may}
            needs.pop("op")
            offers["op"] = _one_of(rules.QUANTIFIERS)
            if measure != rules.MEASURES[event][0]:
                needs["measure"] = offers.pop("measure")
            if properties := rules.MEASURED.get((event, measure)):
                offers["of"] = _one_of(properties)
            if event == "bought":
                offers["count"] = _one_of(("orders", "lines"))
            found += [_object(needs, {**offers, **period}) for period in _periods()]
    return found


def _behaviour_at() -> list[Shape]:
    found = []
    for event in rules.DEEDS:
        must, may = _filters(event)
        for shape in _by_days_or_date({"event": {"const": event}, **must}, rules.DEED_OPS, other=False):
            shape["properties"] |= {"end": _one_of(rules.ENDS), **may}
            found.append(shape)
    return found


def _behaviour_then() -> Shape:
    first, then = [], []
    for event in rules.DEEDS:
        must, may = _filters(event)
        deed = {"event": {"const": event}, **must}
        then.append(_object(deed, may))
        first += [_object(deed, {**may, **period}) for period in _periods()]
    within = {"type": "integer", "minimum": 1, "maximum": MAX_WITHIN}
    more = {"unit": _one_of(tuple(rules.UNITS)), "happened": {"type": "boolean"}}
    return _object({"first": {"anyOf": first}, "then": {"anyOf": then}, "within": within}, more)


def _life_stage() -> list[Shape]:
    whose = {"whose": _one_of(rules.WHOSE)}
    moving = _one_of(("entered_within", "enters_within"))
    return [
        _object({"model": _NAME, "stages": _SOME}, {"op": {"const": "in"}, **whose}),
        _object({"model": _NAME, "op": moving, "days": _DAYS}, {"stages": _NAMES, **whose}),
    ]


def _percentile() -> list[Shape]:
    percent = {"type": "number", "minimum": 0.1, "maximum": 99.9}  # with one decimal at most
    side = {"side": _one_of(standing_rules.SIDES)}
    attribute = {**_TEXT, "pattern": f"^{standing_rules.ATTRIBUTE}[^\\u0000]+$"}
    of_all_time = {"anyOf": [_one_of(standing_rules.OF_ALL_TIME), attribute]}
    in_period = [
        _object(
            {"by": {"const": by}, "percent": percent},
            {**side, "days": _or_null(_DAYS), **dict.fromkeys(standing_rules.NARROWED[by], _TEXT)},
        )
        for by in standing_rules.IN_PERIOD
    ]
    return [*in_period, _object({"by": of_all_time, "percent": percent}, side)]


def _rfm() -> list[Shape]:
    days = {"days": _or_null(_DAYS)}
    score = {"type": "integer", "minimum": 1, "maximum": standing_rules.SCORES}
    scores = _or_null({"type": "array", "items": score, "minItems": 2, "maxItems": 2})
    segments = {**_SOME, "items": _one_of(tuple(standing_rules.SEGMENTS))}
    found = [_object({"segments": segments}, days)]
    for letter in standing_rules.LETTERS:
        others = {one: scores for one in standing_rules.LETTERS if one != letter}
        found.append(_object({letter: scores}, {**others, "segments": _NOTHING, **days}))
    return found
