"""Random rules over random people: as sets (real SQL), for one person, and by a plain reading of the JSON."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from hetang.audiences.first_source import FILTERS
from hetang.audiences.matching import matches
from hetang.audiences.plans import Query, Ranked
from hetang.audiences.reading import parse
from hetang.audiences.rules import DEED_OPS, DEEDS, EVENTS, MEASURED, MEASURES, WHOSE
from hetang.audiences.sets import borders, evaluate
from hetang.audiences.standing_rules import IN_PERIOD, LETTERS, MEASURED_BY, NARROWED, SEGMENTS, Borders
from tests.audiences.population import (
    CATALOGUE,
    CATEGORIES,
    CODES,
    GROUPS,
    KINDS,
    MOMENT,
    POND_DAYS,
    STAFF,
    STORES,
    TAGS,
    Population,
    fits,
    invent,
    person,
    store_history,
)

# Random rules --------------------------------------------------------------------------------------------------------

comparison = st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "between"])
days = st.sampled_from([1, 7, 8, 30, 31, 90, 365, 36500])


def some(values: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True)


@st.composite
def compared(draw: st.DrawFn, base: dict[str, Any], values: st.SearchStrategy[Any], more: tuple[str, ...] = ()) -> Any:
    op = draw(st.one_of(comparison, st.sampled_from(more)) if more else comparison)
    if op in ("empty", "not_empty"):
        return {**base, "op": op}
    if op == "between":
        return {**base, "op": op, "value": sorted([draw(values), draw(values)])}
    return {**base, "op": op, "value": draw(values)}


@st.composite
def condition(draw: st.DrawFn) -> dict[str, Any]:
    kind = draw(
        st.sampled_from(
            [
                "tag",
                "consent",
                "relation",
                "group_chat",
                "friendship",
                "first_source",
                "first_source",
                "store",
                "place",
                "district",
                "metric",
                "metric",
                "attribute",
                "attribute",
                "date",
                "behaviour",
                "behaviour",
                "behaviour",
                "behaviour_at",
                "behaviour_then",
                "behaviour_then",
                "audience",
                "pond",
                "pond_at",
                "audience_at",
                "audience_moved",
                "do_not_disturb",
                "bucket",
                "life_stage",
                "life_stage",
                "percentile",
                "rfm",
            ]
        )
    )
    match kind:
        case "tag":
            rule = {"type": kind, "op": draw(st.sampled_from(["any", "all", "none"])), "tags": draw(some(TAGS))}
            rule |= {"days": draw(st.sampled_from([1, 7, 8]))} if draw(st.booleans()) else {}
            return rule | ({"sources": draw(some(("console", "crm")))} if draw(st.integers(0, 2)) == 0 else {})
        case "consent":
            channel = draw(st.sampled_from(["wecom", "sms", "email"]))
            return {"type": kind, "purpose": "marketing", "channel": channel, "given": draw(st.booleans())}
        case "do_not_disturb":
            return {"type": kind, "on": draw(st.booleans())}
        case "relation":
            return {"type": kind, "number": draw(st.integers(1, 3)), "staff": draw(st.one_of(st.just([]), some(STAFF)))}
        case "friendship":
            rule = {"type": kind, "state": draw(st.sampled_from(["active", "lost", "any"]))}
            rule |= {"staff": draw(some(STAFF))} if draw(st.booleans()) else {}
            rule |= {"ways": draw(some(("qr_code", "unknown", "assigned")))} if draw(st.booleans()) else {}
            rule |= {"channel_states": draw(some(("till", "web")))} if draw(st.integers(0, 2)) == 0 else {}
            rule |= {"campaigns": draw(some(("c1", "c2")))} if draw(st.integers(0, 2)) == 0 else {}
            return rule | ({"days": draw(st.sampled_from([1, 7, 8]))} if draw(st.booleans()) else {})
        case "first_source":
            values = {"stores": STORES, "staff": STAFF, "groups": tuple(GROUPS), "channel_states": ("till", "web"),
                      "ways": ("qr_code", "unknown", "assigned"), "channels": ("store", "online"),
                      "sources": ("till", "shop"), "campaigns": ("c1", "c2")}  # fmt: skip
            by = draw(st.sampled_from(tuple(FILTERS)))
            rule = {"type": kind, "by": by}
            for key in FILTERS[by]:
                rule |= {key: draw(some(values[key]))} if draw(st.integers(0, 2)) == 0 else {}
            return rule | ({"days": draw(st.sampled_from([7, 8, 31, 400]))} if draw(st.booleans()) else {})
        case "group_chat":
            rule = {"type": kind, "number": draw(st.integers(1, 3))}
            rule |= {"groups": draw(some(tuple(GROUPS)))} if draw(st.booleans()) else {}
            rule |= {"stores": draw(some(STORES))} if draw(st.booleans()) else {}
            return rule | ({"days": draw(st.sampled_from([1, 7, 8]))} if draw(st.booleans()) else {})
        case "audience":
            return {"type": kind, "audience": "regulars"}
        case "pond":
            return {"type": kind, "ponds": draw(some(("p1", "p2", "set")))}
        case "pond_at":
            return {"type": kind, "ponds": draw(some(("p1", "p2", "set"))), "date": draw(st.sampled_from(POND_DAYS))}
        case "audience_at":
            on = draw(
                st.sampled_from(["1901-01-01", "2026-02-01", "2026-02-22", "2026-02-23", "2026-03-01", "9999-12-31"])
            )
            return {"type": kind, "audience": "regulars", "date": on, "time": draw(st.sampled_from(["00:00", "09:00"]))}
        case "audience_moved":
            way = draw(st.sampled_from(["entered", "left"]))
            return {
                "type": kind,
                "audience": "regulars",
                "way": way,
                "days": draw(st.sampled_from([1, 2, 7, 8, 36500])),
            }
        case "bucket":
            first = draw(st.integers(1, 100))
            named = {"draw": draw(st.sampled_from(["spring", "春"]))} if draw(st.booleans()) else {}
            return {"type": kind, "from": first, "to": draw(st.integers(first, 100)), **named}
        case "life_stage":
            model = draw(st.sampled_from(["child", "age", "both"]))
            op = draw(st.sampled_from(["in", "entered_within", "enters_within"]))
            whose = draw(st.sampled_from({"child": ["any", "member"], "age": ["any", "own"]}.get(model, list(WHOSE))))
            stages = some(CODES) if op == "in" else st.one_of(st.just([]), some(CODES))
            named = {} if op == "in" else {"days": draw(st.sampled_from([1, 2, 30, 366]))}
            return {"type": kind, "model": model, "op": op, "stages": draw(stages), "whose": whose, **named}
        case "store":
            where = draw(st.one_of(some(STORES), st.sampled_from(["north", "empty"])))
            op = draw(st.sampled_from(["home", "favourite", "bought_at"]))
            return {"type": kind, "op": op, **({"stores": where} if isinstance(where, list) else {"node": where})}
        case "place":
            near = {"op": "within", "km": draw(st.sampled_from([0.01, 0.7, 3, 25, 500]))}
            rule = near if draw(st.integers(0, 2)) else {"op": "nearest"}
            return {"type": kind, "of": "spot", "stores": draw(some(STORES)), **rule}
        case "district":
            rule = {"type": kind, "of": "spot", "districts": draw(some(("d1", "d2", "d3")))}
            if draw(st.booleans()):
                return rule
            return {**rule, "districts": draw(st.sampled_from([[], ["d1"]])), "parents": draw(some(("east", "west")))}
        case "date":
            of = draw(st.sampled_from(["first_order", "last_order", "last_visit", "expected_order", "attribute:born"]))
            yearly = ["anniversary_within"] * 2 if of == "attribute:born" else []
            op = draw(st.sampled_from(["within_last", "more_than_ago", "within_next", "before", "after", *yearly]))
            if op in ("before", "after"):
                on = draw(st.sampled_from(["2026-02-27", "2026-02-28", "2025-03-01", "0001-01-01", "9999-12-31"]))
                return {"type": kind, "of": of, "op": op, "date": on}
            return {"type": kind, "of": of, "op": op, "days": draw(days)}
    several = {"metric": metric, "attribute": attribute, "behaviour": behaviour, "percentile": percentile, "rfm": rfm}
    return draw((several | {"behaviour_at": behaviour_at, "behaviour_then": behaviour_then})[kind]())


@st.composite
def percentile(draw: st.DrawFn) -> dict[str, Any]:
    by = draw(st.sampled_from([*MEASURED_BY, *IN_PERIOD, "attribute:score"]))
    rule = {"type": "percentile", "side": draw(st.sampled_from(["top", "bottom"])), "by": by}
    rule |= {"percent": draw(st.sampled_from([0.1, 1, 10, 33.3, 50, 99.9]))}
    rule |= {"days": draw(days)} if by in IN_PERIOD and draw(st.booleans()) else {}
    to = {"category": CATEGORIES, "store": STORES}
    return rule | {one: draw(st.sampled_from(to[one])) for one in NARROWED.get(by, ()) if draw(st.booleans())}


@st.composite
def rfm(draw: st.DrawFn) -> dict[str, Any]:
    rule = {"type": "rfm", **({"days": draw(days)} if draw(st.booleans()) else {})}
    if draw(st.booleans()):
        return {**rule, "segments": draw(some(tuple(SEGMENTS)))}
    chosen = draw(st.lists(st.sampled_from(LETTERS), min_size=1, unique=True))
    scores = st.lists(st.integers(1, 5), min_size=2, max_size=2).map(sorted)
    return rule | {letter: draw(scores) for letter in chosen}


@st.composite
def metric(draw: st.DrawFn) -> dict[str, Any]:
    name = draw(
        st.sampled_from(
            [
                "orders",
                "visits",
                "orders_30",
                "orders_365",
                "gmv",
                "refunded",
                "average_order_value",
                "days_since_last_order",
                "days_since_last_visit",
                "lateness",
                "favourite_category",
            ]
        )
    )
    base = {"type": "metric", "metric": name}
    if name == "favourite_category":
        op = draw(st.sampled_from(["in", "empty", "not_empty"]))
        return {**base, "op": op, **({"value": draw(some(CATEGORIES))} if op == "in" else {})}
    if name == "lateness":
        return draw(compared(base, st.sampled_from([0, 1, 10, 50, 75, 90, 98, 99, 100]), ("empty", "not_empty")))
    if name.startswith("days"):
        return draw(compared(base, st.sampled_from([0, 1, 8, 31, 366]), ("empty", "not_empty")))
    money = st.sampled_from([-100, 0, 100, 350, 999, 1250])
    return draw(compared(base, money if name in ("gmv", "average_order_value") else st.integers(0, 3)))


@st.composite
def attribute(draw: st.DrawFn) -> dict[str, Any]:
    code = draw(st.sampled_from(["city", "score", "born", "member", "level", "spot"]))
    base = {"type": "attribute", "code": code}
    if code == "score":
        return draw(compared(base, st.sampled_from([0, 0.1, 7, -3.5, 12.0]), ("empty", "not_empty")))
    if code == "born":
        return draw(compared(base, st.sampled_from(["1990-02-28", "2026-02-27", "2026-03-03"]), ("empty", "not_empty")))
    if code == "member":
        return {**base, "op": "=", "value": draw(st.booleans())}
    if code == "spot":
        return {**base, "op": draw(st.sampled_from(["empty", "not_empty"]))}
    values = ("a", "b") if code == "level" else ("上海", "O'Hare \\ %", "海")
    ops = ["=", "!=", "in", "empty", "not_empty"] + (["contains"] if code == "city" else [])
    op = draw(st.sampled_from(ops))
    if op == "in":
        return {**base, "op": op, "value": draw(some(values))}
    return {**base, "op": op, **({} if "empty" in op else {"value": draw(st.sampled_from(values))})}


calendar = st.sampled_from(["0001-01-01", "2025-03-01", "2026-01-30", "2026-02-22", "2026-02-28", "9999-12-31"])


@st.composite
def period(draw: st.DrawFn) -> dict[str, Any]:
    match draw(st.sampled_from(["ever", "last", "last", "ago", "between", "calendar"])):
        case "ever":
            return {}
        case "last":
            return {"days": draw(days)}
        case "ago":
            return {"before_days": draw(st.sampled_from([0, 1, 7, 36500]))}
        case "between":
            before = draw(st.sampled_from([0, 7, 29]))
            return {"before_days": before, "days": before + draw(st.sampled_from([2, 24, 400]))}
    first, last = sorted([draw(calendar), draw(calendar)])
    return draw(st.sampled_from([{"from": first}, {"to": last}, {"from": first, "to": last}]))


@st.composite
def deed(draw: st.DrawFn, events: tuple[str, ...] = DEEDS) -> dict[str, Any]:
    event = draw(st.sampled_from(events))
    rule: dict[str, Any] = {"event": event}
    if draw(st.integers(0, 3)) == 0:
        rule["hours"] = draw(st.sampled_from([[0, 9], [9, 24], [20, 4], [23, 1]]))
    if draw(st.integers(0, 3)) == 0:
        rule["weekdays"] = draw(st.sampled_from(["workdays", "weekend"]))
    if event == "fact":
        return {**rule, "kind": draw(st.sampled_from(KINDS))}
    if draw(st.integers(0, 3)) == 0:
        rule["channel"] = "wecom" if event in ("received", "clicked") else "store"
    if event in ("received", "clicked"):
        rule |= {"campaigns": draw(some(("c1", "c2")))} if draw(st.integers(0, 2)) == 0 else {}
        rule |= {"broadcasts": draw(some(("b2", "b3")))} if draw(st.integers(0, 2)) == 0 else {}
        rule |= {"message_class": draw(st.sampled_from(["marketing", "service"]))} if draw(st.booleans()) else {}
    if event in ("bought", "spent", "visited") and draw(st.integers(0, 2)) == 0:
        rule["stores"] = draw(some(STORES))
    if event in ("bought", "spent"):
        if draw(st.booleans()):
            rule["category"] = draw(st.sampled_from(CATEGORIES))
        if draw(st.integers(0, 3)) == 0:
            rule["sku"] = "p1"
        if draw(st.integers(0, 3)) == 0:
            rule["sources"] = draw(some(("till", "shop")))
    return rule


@st.composite
def behaviour(draw: st.DrawFn) -> dict[str, Any]:
    rule: dict[str, Any] = {"type": "behaviour", **draw(deed(("bought", "bought", *EVENTS))), **draw(period())}
    event = rule["event"]
    rule["op"] = draw(st.sampled_from(["at_least", "at_most", "exactly"]))
    if draw(st.booleans()):
        rule["measure"] = measure = draw(st.sampled_from(MEASURES[event]))
        if properties := MEASURED.get((event, measure)):
            rule["of"] = draw(st.sampled_from(properties))
    rule["value"] = draw(st.sampled_from([0, 100, 350, 1000]) if event == "spent" else st.integers(0, 3))
    if event == "bought" and "measure" not in rule and draw(st.booleans()):
        rule["count"] = "lines"
    return rule


@st.composite
def behaviour_at(draw: st.DrawFn) -> dict[str, Any]:
    rule = {"type": "behaviour_at", **draw(deed()), "end": draw(st.sampled_from(["first", "last"]))}
    rule["op"] = draw(st.sampled_from(DEED_OPS))
    if rule["op"] in ("before", "after"):
        return {**rule, "date": draw(calendar)}
    return {**rule, "days": draw(days)}


@st.composite
def behaviour_then(draw: st.DrawFn) -> dict[str, Any]:
    rule = {"type": "behaviour_then", "first": {**draw(deed()), **draw(period())}, "then": draw(deed())}
    rule |= {"within": draw(st.sampled_from([1, 3, 7, 60])), "happened": draw(st.booleans())}
    return rule | ({"unit": "hours"} if draw(st.booleans()) else {})


def group(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(parts, min_size=1, max_size=3)
    return st.one_of(
        several.map(lambda p: {"all": p}), several.map(lambda p: {"any": p}), parts.map(lambda p: {"not": p})
    )


trees = st.recursive(condition(), group, max_leaves=7)
NEAR: dict[str, Any] = {"type": "place", "of": "spot", "op": "within", "km": 25, "stores": ["s1", "s2"]}
NEAR_AND_MORE: dict[str, Any] = {
    "all": [
        {"type": "metric", "metric": "gmv", "op": ">=", "value": 1},
        NEAR,
        {"not": {"type": "metric", "metric": "orders", "op": "<", "value": 2}},
        {"not": {"type": "date", "of": "last_order", "op": "within_last", "days": 30}},
    ]
}


@pytest.fixture(scope="module")
def population(history: None) -> Population:
    rng = random.Random(20260301)
    people = [invent(rng, number) for number in range(1, 301)]
    store_history(people)
    return Population(people)


@pytest.mark.engine
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(rule=trees, scoped=st.booleans())
@example(rule={"type": "date", "of": "last_order", "op": "before", "date": "0001-01-01"}, scoped=False)
@example(rule={"type": "date", "of": "last_order", "op": "after", "date": "9999-12-31"}, scoped=False)
@example(rule={"type": "metric", "metric": "days_since_last_order", "op": ">=", "value": 10**9}, scoped=False)
@example(rule={"type": "metric", "metric": "days_since_last_order", "op": "<", "value": 10**9}, scoped=False)
@example(rule={"type": "metric", "metric": "lateness", "op": ">=", "value": 90}, scoped=False)
@example(rule={"type": "metric", "metric": "lateness", "op": "between", "value": [10, 75]}, scoped=False)
@example(rule={"type": "date", "of": "expected_order", "op": "within_next", "days": 30}, scoped=False)
@example(rule={"type": "date", "of": "expected_order", "op": "more_than_ago", "days": 7}, scoped=False)
@example(rule=NEAR_AND_MORE, scoped=False)
def test_the_readings_agree(population: Population, rule: dict[str, Any], scoped: bool) -> None:
    node = parse({"version": 1, "rule": rule}, CATALOGUE)
    scope = BitMap(range(1, 150)) if scoped else None
    living = [h for h in population.people if h.alive and (scope is None or h.number in scope)]
    expected = {h.number for h in living if fits(rule, h)}
    found = evaluate(node, CATALOGUE, MOMENT, population, scope)
    assert set(found.members) == expected
    assert set(evaluate(node, CATALOGUE, MOMENT, population, scope, sizes=False).members) == expected
    known = replace(CATALOGUE, borders=borders([node], CATALOGUE, MOMENT, population))
    one_by_one = {h.number for h in population.people if matches(node, person(h), known, MOMENT)}
    assert {number for number in one_by_one if scope is None or number in scope} == expected
    assert found.sizes["rule",] == len(expected)


def test_conditions_on_profiles_are_one_question_where_nobody_wants_their_sizes() -> None:
    worth = {"type": "metric", "metric": "gmv", "op": ">", "value": 500}
    often = {"type": "metric", "metric": "orders", "op": "<", "value": 3}  # who never bought fits
    recent = {"type": "date", "of": "last_order", "op": "within_last", "days": 30}
    tag = {"type": "tag", "op": "any", "tags": ["gold"]}
    for rule, queries in (
        ({"all": [tag, worth, recent]}, 1),
        ({"all": [worth, {"not": {"any": [recent, often]}}, {"any": [tag, {"all": [worth, recent]}]}]}, 2),
        ({"any": [worth, {"not": often}, {"all": [recent, {"not": worth}]}]}, 1),
        ({"all": [tag, worth]}, 1),
        (NEAR_AND_MORE, 1),
        ({"any": [NEAR, worth]}, 2),
        ({"all": [{"not": NEAR}, worth]}, 2),
    ):
        asked = Asked()
        evaluate(parse({"version": 1, "rule": rule}, CATALOGUE), CATALOGUE, MOMENT, asked, sizes=False)
        assert len(asked.queries) == queries, rule
        assert all("final where" in one.sql for one in asked.queries)


class Asked:
    """A source that only notes what it is asked."""

    universe = BitMap()

    def __init__(self) -> None:
        self.queries: list[Query] = []

    def live(self, family: str, keys: Any) -> BitMap:
        return BitMap()

    def prepare(self, queries: Sequence[Query]) -> None:
        self.queries += queries

    def query(self, query: Query) -> BitMap:
        return BitMap()

    def ranked(self, step: Ranked) -> tuple[BitMap, Borders]:
        return BitMap(), Borders(0)


@pytest.mark.engine
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(rule=st.one_of(percentile(), rfm()))
def test_who_stands_where_is_the_same_in_all_readings(population: Population, rule: dict[str, Any]) -> None:
    test_the_readings_agree.hypothesis.inner_test(population, rule, False)


@pytest.mark.engine
def test_nobody_whom_an_exclusion_names_is_left(population: Population) -> None:
    excluded = {"type": "tag", "op": "any", "tags": ["lost"]}
    rule = {"all": [{"type": "behaviour", "event": "bought", "op": "at_least", "value": 1}, {"not": excluded}]}
    found = evaluate(parse({"version": 1, "rule": rule}, CATALOGUE), CATALOGUE, MOMENT, population)
    lost = {h.number for h in population.people if "lost" in h.tags}
    buyers = {h.number for h in population.people if h.orders and h.alive}
    assert set(found.members) == buyers - lost
    assert found.removes["rule", "all", 1] == len(buyers & lost)
