"""How a condition is answered as a set: by live sets of the engine, by SQL over the ClickHouse history, or by their
complement. Pure: builds text and parameters, runs nothing.

Every query is local to a customer, so on several shards the same text runs everywhere and the results are united; where
somebody stands among all is worked out of the values of all shards (`Ranked`).
Absence counts: whoever has no row has zero orders, so a condition that zero fulfils is asked the other way round and
complemented against the living customers.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any
from zoneinfo import ZoneInfo

from hetang.audiences import district, first_source_sql, nearness
from hetang.audiences.behaviour_sql import QUANTIFIED, Select, compared_sql, counted_sql, deed_at_sql, followed_sql
from hetang.audiences.district import InDistrict
from hetang.audiences.first_source import FirstSource
from hetang.audiences.moments import (
    FIRST_DAY,
    LAST_DAY,
    Moment,
    anniversaries,
    asked_at,
    clamped,
    compare,
    day_bounds,
    first_day,
)
from hetang.audiences.place_sql import narrowed, near_sql, nearest_sql
from hetang.audiences.profile_sql import PROFILES, all_of
from hetang.audiences.rhythm_sql import expected_sql, has_rhythm_sql, late_sql
from hetang.audiences.rules import (
    ADDED,
    ANNIVERSARY,
    DAYS_SINCE,
    EXPECTED,
    FAVOURITES,
    LATENESS,
    AtStore,
    Attribute,
    Behaviour,
    Catalogue,
    Condition,
    ConsentGiven,
    DateOf,
    Deed,
    DeedAt,
    Followed,
    Friends,
    Friendship,
    InBucket,
    InGroups,
    LeftAlone,
    LifeStage,
    Metric,
    Moved,
    NearStore,
    Period,
    Scalar,
    Tagged,
    WasInPond,
    WasMember,
)
from hetang.audiences.standing_rules import Percentile, RfmCell, Standing
from hetang.audiences.standing_sql import measured_sql, rfm_sql
from hetang.commerce.attribute_columns import column as attribute_column
from hetang.commerce.rhythm import Base
from hetang.customers.stages import Course, Span


@dataclass(frozen=True, slots=True)
class Live:
    """Everybody in any of the live sets of a family: tag, tagged, consent, left_alone, home_store, friends, bucket,
    groups, friendship, first_source, household; of an audience's past: was_member, moved; of days of pond sets:
    was_in_pond."""

    family: str
    keys: tuple[Hashable, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """A select of one UInt32 column `customer`, which may hold somebody twice. Parameters are written `{name:Type}`.
    `attributes` are those (code, type) whose columns it reads; `where` is its condition, if it is one on profiles;
    `narrowed` is the part of its text for which `place_sql.narrowed` knows more conditions on profiles; `quick` is
    another text that selects the same, and the one that is asked."""

    sql: str
    parameters: tuple[tuple[str, Any], ...]
    attributes: tuple[tuple[str, str], ...] = ()
    where: str = ""
    narrowed: str = ""
    quick: str = ""


@dataclass(frozen=True, slots=True)
class Complement:
    of: Plan


@dataclass(frozen=True, slots=True)
class Intersection:
    of: tuple[Plan, ...]


@dataclass(frozen=True, slots=True)
class Union:
    of: tuple[Plan, ...]


@dataclass(frozen=True, slots=True)
class Ranked:
    """Who stands among all as a condition asks. The query selects what `standings.COLUMNS` says, of everybody who has
    the values."""

    condition: Standing
    query: Query


Plan = Live | Query | Ranked | Complement | Intersection | Union


def plan(condition: Condition, catalogue: Catalogue, moment: Moment) -> Plan:  # noqa: PLR0911, PLR0912 - one for each kind
    """The plan of one condition (not of membership: the caller reads that as the audience's own tree)."""
    match condition:
        case Tagged():
            return _tagged(condition, tuple(catalogue.tags[tag].id for tag in condition.tags), moment)
        case ConsentGiven(purpose, channel, given):
            return _unless(Live("consent", ((purpose, channel),)), not given)
        case LeftAlone(on):
            return _unless(Live("left_alone", (True,)), not on)
        case Friends(number, staff):
            return Live("friends", (number, tuple(sorted(catalogue.staff[userid].id for userid in staff))))
        case Friendship():
            return _friendship(condition, catalogue, moment)
        case FirstSource():
            return _first_source(condition, catalogue, moment)
        case InGroups():
            return _in_groups(condition, catalogue, moment)
        case InBucket(draw, first, last):
            return Live("bucket", (draw, first, last))
        case WasInPond(ponds, day):
            return Live("was_in_pond", (day, *sorted(ponds)))
        case WasMember(audience):
            return Live("was_member", (catalogue.audiences[audience].id, asked_at(condition, moment).isoformat()))
        case Moved(audience, way, days):
            since = moment.instant(first_day(days, moment.today))
            return Live("moved", (catalogue.audiences[audience].id, way, since.isoformat()))
        case AtStore():
            return _at_store(condition, catalogue)
        case NearStore():
            return _near(condition, catalogue)
        case InDistrict():
            centres = {code: one.at for code, one in catalogue.districts.items()}
            return _nearest(condition.of, centres, district.wanted(condition, catalogue.districts))
        case Attribute():
            return _attribute(condition)
        case Metric():
            return _metric(condition, moment, catalogue.rhythm)
        case DateOf():
            return _date(condition, moment, catalogue.rhythm)
        case Behaviour(op=op, value=value):
            return _selected(counted_sql(condition, QUANTIFIED[op], (value,), moment))
        case DeedAt():
            return _selected(deed_at_sql(condition, moment))
        case Followed():
            return _selected(followed_sql(condition, moment))
        case LifeStage():
            return _life_stage(condition, catalogue, moment)
        case Percentile():
            sql, parameters = measured_sql(condition, moment)
            of = ((condition.attribute, "number"),) if condition.attribute else ()
            return Ranked(condition, Query(sql, tuple(sorted(parameters.items())), of))
        case RfmCell():
            return Ranked(condition, _query(*rfm_sql(condition, moment)))
        case _:
            raise TypeError(f"no plan of its own: {condition!r}")


def _unless(inner: Plan, negated: bool) -> Plan:
    return Complement(inner) if negated else inner


def _tagged(condition: Tagged, ids: tuple[int, ...], moment: Moment) -> Plan:
    if condition.op == "all":
        return Intersection(tuple(_wearing(condition, (tag,), moment) for tag in ids))
    return _unless(_wearing(condition, ids, moment), condition.op == "none")


def _wearing(condition: Tagged, ids: tuple[int, ...], moment: Moment) -> Live:
    if condition.days is None and not condition.sources:
        return Live("tag", ids)
    since = None if condition.days is None else moment.instant(first_day(condition.days, moment.today))
    return Live("tagged", (ids, tuple(sorted(condition.sources)), since))


def _friendship(condition: Friendship, catalogue: Catalogue, moment: Moment) -> Plan:
    since = None if condition.days is None else moment.instant(first_day(condition.days, moment.today))
    staff = tuple(sorted(catalogue.staff[userid].id for userid in condition.staff))
    ways = tuple(sorted(ADDED[way] for way in condition.ways))
    if condition.states == ():
        return Union(())  # no code belongs to these campaigns
    return Live("friendship", (condition.state, staff, ways, tuple(sorted(condition.states or ())), since))


def _first_source(condition: FirstSource, catalogue: Catalogue, moment: Moment) -> Plan:
    since = None if condition.days is None else moment.instant(first_day(condition.days, moment.today))
    found: list[Plan] = []
    for keys, orders in first_source_sql.parts(condition, catalogue, since):
        live = Live("first_source", keys)
        found.append(Intersection((live, _selected(orders))) if orders else live)
    return found[0] if len(found) == 1 else Union(tuple(found))


def _in_groups(condition: InGroups, catalogue: Catalogue, moment: Moment) -> Plan:
    since = None if condition.days is None else first_day(condition.days, moment.today)
    groups = tuple(sorted(catalogue.groups[one].id for one in condition.groups))
    stores = tuple(sorted(catalogue.stores[code].id for code in condition.stores))
    return Live("groups", (condition.number, groups, stores, since, moment.today))


def _selected(select: Select) -> Plan:
    query = Query(select.sql, tuple(sorted(select.parameters.items())), quick=select.quick)
    return _unless(query, select.negated)


def _query(sql: str, parameters: Mapping[str, Any]) -> Query:
    return Query(sql, tuple(sorted(parameters.items())))


def profile_query(where: str, parameters: Mapping[str, Any], *attributes: tuple[str, str]) -> Query:
    """Rows of the dead are found as well: whoever asks intersects with the living, which costs less than a column."""
    sql = f"select customer {PROFILES}{where}"
    return Query(sql, tuple(sorted(parameters.items())), attributes, where)


def _at_store(condition: AtStore, catalogue: Catalogue) -> Plan:
    codes = catalogue.nodes[condition.node].stores if condition.node else condition.stores
    if condition.op == "home" or not codes:
        return Live("home_store", tuple(catalogue.stores[code].id for code in codes))
    if condition.op == "favourite":
        return profile_query("favourite_store in {stores:Array(String)}", {"stores": codes})
    return _query(
        "select customer from orders where customer > 0 and store in {stores:Array(String)}", {"stores": codes}
    )


def _near(condition: NearStore, catalogue: Catalogue) -> Plan:
    if condition.op == "nearest":
        open_ones = {code: one.at for code, one in catalogue.places.items() if one.open}
        return _nearest(condition.of, open_ones, frozenset(condition.stores))
    stores = tuple(catalogue.places[code].at for code in condition.stores)
    cover = nearness.around(stores, condition.metres)
    sql, parameters = near_sql(attribute_column(condition.of, "place"), cover, stores, condition.metres)
    return _of_places(condition.of, sql, parameters)


def _nearest(of: str, places: Mapping[str, nearness.Micro], codes: frozenset[str]) -> Plan:
    """The nearest of all places to an attribute is one of these."""
    wanted = frozenset(number for number, code in enumerate(places) if code in codes)
    at = tuple(places.values())
    deciding = _deciding(nearness.nearest_to(at, wanted), at, wanted)
    sql, parameters = nearest_sql(attribute_column(of, "place"), *deciding, nearness.NEAREST_M)
    return _of_places(of, sql, parameters)


def _of_places(of: str, sql: str, parameters: Mapping[str, Any]) -> Query:
    chosen = narrowed() if narrowed() in sql else ""  # no store, no places
    return Query(sql, tuple(sorted(parameters.items())), ((of, "place"),), narrowed=chosen)


def _deciding(
    cover: nearness.Cover, stores: tuple[nearness.Micro, ...], wanted: frozenset[int]
) -> tuple[nearness.Cover, tuple[nearness.Micro, ...], frozenset[int]]:
    """A cover with those stores only that decide anything: a brand has thousands, a rule names a few."""
    needed = sorted({one for group in cover.groups for one in group})
    place = {one: number for number, one in enumerate(needed)}
    groups = tuple(tuple(place[one] for one in group) for group in cover.groups)
    mine = frozenset(place[one] for one in wanted if one in place)
    return nearness.Cover(cover.levels, groups), tuple(stores[one] for one in needed), mine


def _attribute(condition: Attribute) -> Plan:
    if condition.op in {"!=", "empty"}:
        opposite = "=" if condition.op == "!=" else "not_empty"
        return Complement(_attribute(Attribute(condition.code, condition.type, opposite, condition.values)))
    where, parameters = _attribute_test(condition, attribute_column(condition.code, condition.type))
    return profile_query(where, parameters, (condition.code, condition.type))


def _attribute_test(condition: Attribute, name: str) -> tuple[str, dict[str, Any]]:
    op, values = condition.op, condition.values
    if op == "not_empty":
        tests = {"number": f"{name} is not null", "date": f"{name} > 0", "place": f"{name} > 0"}
        return tests.get(condition.type, f"{name} != ''"), {}
    if op == "in":
        return f"{name} in {{values:Array(String)}}", {"values": tuple(values)}
    if op == "contains":
        return f"position({name}, {{value:String}}) > 0", {"value": values[0]}
    if condition.type == "number":
        return _known(compared_sql(name, op, values))
    if condition.type == "date":
        where, parameters = compared_sql(name, op, [_digits(str(day)) for day in values])
        return all_of([f"{name} > 0", where]), parameters
    return compared_sql(name, op, [str(v).lower() if isinstance(v, bool) else v for v in values])


def _known(test: tuple[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    """A test of a value that may be missing: then it does not hold."""
    return f"ifNull({test[0]}, 0)", test[1]


def _digits(day: str) -> int:
    return int(day.replace("-", ""))


_SINCE_COLUMN = {
    "days_since_last_order": "last_order_at",
    "days_since_first_order": "first_order_at",
    "days_since_last_visit": "last_visit_at",
}
_WINDOWS = {"orders_30": 30, "orders_90": 90, "orders_365": 365}


def _metric(condition: Metric, moment: Moment, rhythm: Base) -> Plan:  # noqa: PLR0911 - one for each kind
    metric, op, values = condition.metric, condition.op, condition.values
    if op in {"!=", "empty"}:
        return Complement(_metric(Metric(metric, "=" if op == "!=" else "not_empty", values), moment, rhythm))
    if metric == LATENESS:
        return _query(*(has_rhythm_sql() if op == "not_empty" else late_sql(op, values, rhythm, moment.today)))
    if metric in FAVOURITES:
        return _favourite(condition)
    if metric in DAYS_SINCE:
        return _days_since(condition, moment)
    if metric in _WINDOWS:
        counted = Behaviour(Deed("bought", when=Period(_WINDOWS[metric])), "at_least", 0)
        return _selected(counted_sql(counted, op, values, moment))
    if metric == "average_order_value":
        return _average(op, values)
    where, parameters = compared_sql(metric, op, values)
    return _zero_aware(compare(0, op, values), where, parameters)


def _zero_aware(zero_fits: bool, where: str, parameters: Mapping[str, Any]) -> Plan:
    """People without a profile row count as zero."""
    if zero_fits:
        return Complement(profile_query(f"not ({where})", parameters))
    return profile_query(where, parameters)


def _favourite(condition: Metric) -> Plan:
    if condition.op == "not_empty":
        return profile_query(f"{condition.metric} != ''", {})
    return profile_query(f"{condition.metric} in {{values:Array(String)}}", {"values": tuple(condition.values)})


def _days_since(condition: Metric, moment: Moment) -> Plan:
    name = _SINCE_COLUMN[condition.metric]
    if condition.op == "not_empty":
        return profile_query(f"{name} is not null", {})
    first, behind = _days_ago(condition.op, [int(value) for value in condition.values])
    return _between(name, _day_before(moment.today, first), _day_before(moment.today, behind), moment)


def _days_ago(op: str, values: Sequence[int]) -> tuple[int | None, int | None]:
    """Days before today: the first that fits and the one behind the last (None: no border)."""
    value = values[0]
    first = {"<": value - 1, "<=": value, "=": value, "between": values[-1]}.get(op)
    behind = {">": value, ">=": value - 1, "=": value - 1, "between": value - 1}.get(op)
    return first, behind


def _day_before(today: date, days: int | None) -> date | None:
    """The day so many days before today, at the latest or earliest day that a time can have where it lies beyond."""
    if days is None:
        return None
    return date.fromordinal(min(max(today.toordinal() - days, FIRST_DAY.toordinal()), LAST_DAY.toordinal()))


def _between(name: str, first: date | None, behind: date | None, moment: Moment) -> Query:
    """Times from the beginning of one local day to that of another, compared as instants: no row becomes a day. A time
    that is not known compares as unknown, which no condition takes for true."""
    tests, parameters = [], {}
    for key, sign, day in (("first", ">=", first), ("behind", "<", behind)):
        if day is not None:
            tests.append(f"{name} {sign} {{{key}:DateTime64(3, 'UTC')}}")
            midnight = datetime.combine(day, time(), ZoneInfo(moment.zone)).astimezone(UTC)
            parameters[key] = midnight.strftime("%Y-%m-%d %H:%M:%S")
    return profile_query(all_of(tests or [f"{name} is not null"]), parameters)


def _average(op: str, values: Sequence[Scalar]) -> Plan:
    """Compared without dividing, so that the border is exact."""
    if op == "between":
        where = "gmv >= {low:Int128} * orders and gmv <= {high:Int128} * orders"
        return profile_query(f"orders > 0 and {where}", {"low": values[0], "high": values[1]})
    return profile_query(f"orders > 0 and gmv {op} {{value:Int128}} * orders", {"value": values[0]})


def _date(condition: DateOf, moment: Moment, rhythm: Base) -> Plan:
    if condition.of == EXPECTED:
        return _query(*expected_sql(condition, rhythm, moment.today))
    if condition.op == ANNIVERSARY:
        return _anniversary(condition, moment)
    low, high = day_bounds(condition.op, condition.days, condition.on, moment.today)
    if not condition.of.startswith("attribute:"):
        first = clamped(low) if low else None
        behind = clamped(high, 1) if high else None
        return _between(f"{condition.of}_at", first, behind, moment)
    code = condition.of.removeprefix("attribute:")
    name = attribute_column(code, "date")
    tests, parameters = [f"{name} > 0"], {}
    for key, sign, day in (("low", ">=", low), ("high", "<=", high)):
        if day:
            tests.append(f"{name} {sign} {{{key}:UInt32}}")
            parameters[key] = _digits(day)
    return profile_query(all_of(tests), parameters, (code, "date"))


def _anniversary(condition: DateOf, moment: Moment) -> Plan:
    code = condition.of.removeprefix("attribute:")
    name = attribute_column(code, "date")
    days = tuple(sorted(anniversaries(condition.days, moment.today)))
    where = f"{name} > 0 and {name} % 10000 in {{days:Array(UInt32)}}"
    return profile_query(where, {"days": days}, (code, "date"))


def stage_spans(condition: LifeStage, course: Course, today: date) -> list[Span]:
    """The reference dates for which a condition on life stages holds today."""
    first = date.fromordinal(max(1, today.toordinal() - condition.days + 1))
    found = []
    for code in condition.stages or [stage.code for stage in course.stages]:
        if condition.op == "in":
            found.append(course.inside(code, today))
        elif condition.op == "entered_within":
            found.append(course.entered(code, first, today))
        else:
            found.append(course.entering(code, today, condition.days))
    return [span for span in found if span]


def _life_stage(condition: LifeStage, catalogue: Catalogue, moment: Moment) -> Plan:
    """Whoever has a date in one of a few spans: of days of households by live sets of each day, of an attribute by its
    column. Nothing is kept of the stages themselves, so no night rewrites anybody."""
    model = catalogue.stage_models[condition.model]
    spans = stage_spans(condition, model.course, moment.today)
    parts: list[Plan] = []
    if model.member_kind and condition.whose != "own":
        borders = tuple((span.after.isoformat(), span.until.isoformat()) for span in spans)
        parts.append(Live("household", (model.member_kind, borders)))
    if model.attribute and condition.whose != "member" and spans:
        parts.append(_attribute_in(model.attribute, spans))
    return Union(tuple(parts))


def _attribute_in(code: str, spans: Sequence[Span]) -> Query:
    name = attribute_column(code, "date")
    tests: list[str] = []
    parameters: dict[str, Any] = {}
    for place, span in enumerate(spans):
        tests.append(f"({name} > {{after{place}:UInt32}} and {name} <= {{until{place}:UInt32}})")
        parameters |= {f"after{place}": _digits(str(span.after)), f"until{place}": _digits(str(span.until))}
    return profile_query(f"{name} > 0 and ({' or '.join(tests)})", parameters, (code, "date"))
