"""One person against a rule: whether she is in, and the value that each condition found. Pure.

The second evaluator of every condition; a property test holds it equal to the sets of `plans`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from typing import Any

from hetang.audiences import behaviour_matching, district, first_source, nearness, standing_matching
from hetang.audiences.buckets import bucket
from hetang.audiences.district import InDistrict
from hetang.audiences.first_source import FirstSource
from hetang.audiences.moments import Moment, anniversaries, asked_at, compare, day_bounds, first_day
from hetang.audiences.people import GroupStay, Person
from hetang.audiences.reading import nested
from hetang.audiences.rules import (
    ADDED,
    ANNIVERSARY,
    DAYS_SINCE,
    EXPECTED,
    FAVOURITES,
    LATENESS,
    All,
    AnyOf,
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
    InPond,
    LeftAlone,
    LifeStage,
    MemberOf,
    Metric,
    Moved,
    NearStore,
    Node,
    Not,
    Period,
    Scalar,
    Tagged,
    WasInPond,
    WasMember,
)
from hetang.audiences.standing_rules import Borders, Percentile, RfmCell, Standing
from hetang.commerce.rhythm import Base, Habit, habit
from hetang.customers.friendships import STATES, Known
from hetang.customers.stages import Course, read_day
from hetang.platform import positions

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a part of the rule holds for her; `found` is the value that decided a condition (JSON-able)."""

    holds: bool
    node: Node
    found: Any = None
    children: tuple[Verdict, ...] = ()


def explain(node: Node, person: Person, catalogue: Catalogue, moment: Moment) -> Verdict:
    """The verdict on one person, down to the conditions. An absorbed or erased customer is in nothing.

    Raises LookupError where the rule asks where she stands among all and the catalogue has no borders for that."""
    verdict = _explain(node, person, catalogue, moment)
    if person.alive:
        return verdict
    return Verdict(False, verdict.node, "gone", verdict.children)


def matches(node: Node, person: Person, catalogue: Catalogue, moment: Moment) -> bool:
    """Whether a person is in."""
    return explain(node, person, catalogue, moment).holds


def _explain(
    node: Node, person: Person, catalogue: Catalogue, moment: Moment, named: dict[Node, Verdict] | None = None
) -> Verdict:
    """`named`: the verdicts on audiences and ponds so far; those that are named again are not explained again."""
    named = {} if named is None else named
    match node:
        case All(of):
            children = tuple(_explain(child, person, catalogue, moment, named) for child in of)
            return Verdict(all(child.holds for child in children), node, None, children)
        case AnyOf(of):
            children = tuple(_explain(child, person, catalogue, moment, named) for child in of)
            return Verdict(any(child.holds for child in children), node, None, children)
        case Not(of):
            child = _explain(of, person, catalogue, moment, named)
            return Verdict(not child.holds, node, None, (child,))
        case MemberOf() | InPond():
            if node not in named:
                child = _explain(nested(node, catalogue), person, catalogue, moment, named)
                named[node] = Verdict(child.holds, node, None, (child,))
            return named[node]
        case _:
            found, holds = _condition(node, person, catalogue, moment)
            return Verdict(holds, node, found)


def _condition(  # noqa: PLR0911, PLR0912 - one for each kind
    node: Condition, person: Person, catalogue: Catalogue, moment: Moment
) -> tuple[Any, bool]:
    match node:
        case Tagged(op, tags):
            worn = [tag for tag in tags if tag in person.tags and _put_on(node, tag, person, moment)]
            return worn, {"any": bool(worn), "all": len(worn) == len(tags), "none": not worn}[op]
        case ConsentGiven(purpose, channel, given):
            has = (purpose, channel) in person.consents
            return has, has == given
        case LeftAlone(on):
            return person.left_alone, person.left_alone == on
        case Friends(number, staff):
            friends = sorted(userid for userid in person.friends if not staff or userid in staff)
            return friends, len(friends) >= number
        case Friendship():
            known = [one for one in person.friendships if _is_such(node, one, moment)]
            return sorted({one.staff for one in known}), bool(known)
        case FirstSource():
            since = None if node.days is None else moment.instant(first_day(node.days, moment.today))
            first = first_source.first_of(person.beginnings, person.purchases, person.sold_by)
            return first_source.told(first), first_source.fits(node, first, ADDED, since)
        case InGroups():
            stays = [one for one in person.groups if _stays(node, one, moment)]
            return sorted(one.name for one in stays), len({one.group for one in stays}) >= node.number
        case InBucket(draw, first, last):
            drawn = bucket(draw, person.number)
            return drawn, first <= drawn <= last
        case WasInPond(ponds, day):
            was = {code: kept for (code, asked), kept in person.pond_days.items() if asked == day and code in ponds}
            return was, bool(was)
        case WasMember():
            return _was_member(node, person, moment)
        case Moved():
            return _moved(node, person, moment)
        case AtStore():
            return _at_store(node, person, catalogue)
        case NearStore():
            return _near(node, person, catalogue)
        case InDistrict():
            return _in_district(node, person, catalogue)
        case Attribute():
            found = person.attributes.get(node.code, "")
            return found, _attribute(node, found)
        case Metric():
            found = metric(node.metric, person, moment, catalogue.rhythm)
            return _shown(node, found, person), _metric(node, found, person)
        case DateOf():
            return _date(node, person, moment, catalogue.rhythm)
        case LifeStage():
            return _life_stage(node, person, catalogue, moment)
        case Behaviour():
            return behaviour_matching.behaved(node, person, moment)
        case DeedAt():
            return behaviour_matching.deed_at(node, person, moment)
        case Followed():
            return behaviour_matching.followed(node, person, moment)
        case Percentile():
            return standing_matching.percentile(node, person, _borders(node, catalogue), moment)
        case RfmCell():
            return standing_matching.rfm(node, person, _borders(node, catalogue), moment)
        case _:
            raise TypeError(f"no condition: {node!r}")


def _borders(node: Standing, catalogue: Catalogue) -> Borders:
    if node not in catalogue.borders:
        raise LookupError(f"nobody has looked for the borders of {node!r}")
    return catalogue.borders[node]


def _put_on(node: Tagged, tag: str, person: Person, moment: Moment) -> bool:
    """Whether the word that put the tag on is one that is asked for."""
    since = None if node.days is None else moment.instant(first_day(node.days, moment.today))
    if since is None and not node.sources:
        return True
    said = [one for one in person.tag_words if one.tag == tag and (not node.sources or one.source in node.sources)]
    return any(since is None or one.at >= since for one in said)


def _was_member(node: WasMember, person: Person, moment: Moment) -> tuple[Any, bool]:
    """Found: since when, as far as the kept snapshots tell."""
    at = asked_at(node, moment)
    before = [move for move in person.moves.get(node.audience, ()) if move.at <= at]
    if not before or not before[-1].inside:
        return "", False
    since = before[-1].at
    for move in reversed(before):
        if not move.inside:
            break
        since = move.at
    return since.isoformat(), True


def _moved(node: Moved, person: Person, moment: Moment) -> tuple[Any, bool]:
    """Found: when last."""
    since = moment.instant(first_day(node.days, moment.today))
    moves = person.moves.get(node.audience, ())
    found = [move.at for move in moves if move.at >= since and (move.entered if node.way == "entered" else move.left)]
    return (found[-1].isoformat(), True) if found else ("", False)


def _stays(node: InGroups, stay: GroupStay, moment: Moment) -> bool:
    if (node.groups and stay.group not in node.groups) or (node.stores and stay.store not in node.stores):
        return False
    return node.days is None or first_day(node.days, moment.today) <= stay.day <= moment.today


def _is_such(node: Friendship, one: Known, moment: Moment) -> bool:
    if not any(one.state in states for code, states in STATES.items() if node.state in {"any", code}):
        return False
    if (node.staff and one.staff not in node.staff) or (node.ways and one.way not in {ADDED[w] for w in node.ways}):
        return False
    if node.states is not None and one.channel_state not in node.states:
        return False
    return node.days is None or one.at >= moment.instant(first_day(node.days, moment.today))


def _life_stage(node: LifeStage, person: Person, catalogue: Catalogue, moment: Moment) -> tuple[Any, bool]:
    """The stages in which she and her household are; day by day from each date, where sets look for dates."""
    model = catalogue.stage_models[node.model]
    dates = []
    if model.member_kind and node.whose != "own":
        dates += [day for kind, day in person.household if model.member_kind in ("any", kind)]
    own = person.attributes.get(model.attribute, "") if model.attribute and node.whose != "member" else ""
    if _DAY.fullmatch(own):
        dates.append(read_day(own))
    found = [stage for day in dates if (stage := model.course.stage_at(day, moment.today))]
    holds = any(_stage_holds(node, model.course, day, moment.today) for day in dates)
    return list(dict.fromkeys(stage.code for stage in found)), holds


def _stage_holds(node: LifeStage, course: Course, day: date, today: date) -> bool:
    named = node.stages or [stage.code for stage in course.stages]
    starts = {stage.code: start for stage, start in course.beginnings(day) if stage.code in named}
    if node.op == "enters_within":
        return any(1 <= (start - today).days <= node.days for start in starts.values())
    now = course.stage_at(day, today)
    if now is None or now.code not in starts:
        return False
    return node.op == "in" or (today - starts[now.code]).days < node.days


def _at_store(node: AtStore, person: Person, catalogue: Catalogue) -> tuple[Any, bool]:
    codes = set(catalogue.nodes[node.node].stores if node.node else node.stores)
    if node.op == "bought_at":
        at = sorted({purchase.store for purchase in person.purchases} & codes)
        return at, bool(at)
    found = person.home_store if node.op == "home" else person.favourite_store
    return found, found in codes


def _near(node: NearStore, person: Person, catalogue: Catalogue) -> tuple[Any, bool]:
    """Found: the nearest of the stores that are asked about, and how many metres away it is."""
    position = positions.read(person.attributes.get(node.of, ""))
    if position is None:
        return None, False
    if node.op == "within":
        stores = [(code, catalogue.places[code].at) for code in node.stores]
        found = nearness.nearest(nearness.micro(position), stores, nearness.EARTH_M * 4)
        near = nearness.nearest(nearness.micro(position), stores, node.metres)
        return found and [found[0], round(found[1])], near is not None
    stores = [(code, one.at) for code, one in catalogue.places.items() if one.open]
    found = nearness.nearest(nearness.micro(position), stores)
    return found and [found[0], round(found[1])], found is not None and found[0] in node.stores


def _in_district(node: InDistrict, person: Person, catalogue: Catalogue) -> tuple[Any, bool]:
    """Found: the district whose centre is the nearest, and how many metres away that is."""
    position = positions.read(person.attributes.get(node.of, ""))
    centres = [(code, one.at) for code, one in catalogue.districts.items()]
    found = nearness.nearest(nearness.micro(position), centres) if position else None
    near = found is not None and found[0] in district.wanted(node, catalogue.districts)
    return found and [found[0], round(found[1])], near


def _attribute(node: Attribute, found: str) -> bool:  # noqa: PLR0911 - one for each comparison
    """What is no number or no day of an attribute that should be one counts as no value."""
    if (node.type == "number" and _number(found) is None) or (node.type == "date" and not _DAY.fullmatch(found)):
        found = ""
    if node.type == "place" and positions.read(found) is None:
        found = ""
    match node.op:
        case "empty":
            return found == ""
        case "not_empty":
            return found != ""
        case "!=":
            return not _attribute(Attribute(node.code, node.type, "=", node.values), found)
        case "in":
            return found in node.values
        case "contains":
            return str(node.values[0]) in found
    if node.type == "number":
        number = _number(found)
        return number is not None and compare(number, node.op, node.values)
    if node.type == "date":
        return found != "" and compare(found, node.op, node.values)
    values: list[Scalar] = [str(v).lower() if isinstance(v, bool) else v for v in node.values]
    return compare(found, node.op, values)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def metric(name: str, person: Person, moment: Moment, rhythm: Base) -> Any:
    """The value of a metric; None where it does not exist. The average order value comes as (gmv, orders)."""
    if name == LATENESS:
        known = _habit(person)
        return None if known is None else known.lateness(rhythm, moment.today)
    if name in DAYS_SINCE:
        day = {
            "days_since_last_order": person.last_order,
            "days_since_first_order": person.first_order,
            "days_since_last_visit": person.last_visit,
        }[name]
        return None if day is None else (moment.today - day).days
    if name.startswith("orders_"):
        days = int(name.removeprefix("orders_"))
        return behaviour_matching.times(Deed("bought", when=Period(days)), person, moment)
    if name == "average_order_value":
        return (person.gmv, person.orders) if person.orders > 0 else None
    return getattr(person, name)


def _metric(node: Metric, found: Any, person: Person) -> bool:
    if node.op in {"empty", "not_empty"}:
        return (found in (None, "")) == (node.op == "empty")
    if node.metric in FAVOURITES:
        return found in node.values
    if found is None:
        return node.op == "!="
    if node.metric == "average_order_value":
        return compare(person.gmv, node.op, [int(value) * person.orders for value in node.values])
    return compare(found, node.op, node.values)


def _shown(node: Metric, found: Any, person: Person) -> Any:
    if node.metric == "average_order_value" and found is not None:
        return round(person.gmv / person.orders)
    return found


def _habit(person: Person) -> Habit | None:
    return habit([purchase.day for purchase in person.purchases])


def _date(node: DateOf, person: Person, moment: Moment, rhythm: Base) -> tuple[Any, bool]:
    if node.of.startswith("attribute:"):
        found = person.attributes.get(node.of.removeprefix("attribute:"), "")
        if _DAY.fullmatch(found) is None:
            return found, False
    else:
        known = _habit(person) if node.of == EXPECTED else None
        day = {
            "first_order": person.first_order,
            "last_order": person.last_order,
            "last_visit": person.last_visit,
            EXPECTED: known.expected(rhythm) if known else None,
        }[node.of]
        if day is None:
            return "", False
        found = day.isoformat()
    if node.op == ANNIVERSARY:
        return found, int(found[5:].replace("-", "")) in anniversaries(node.days, moment.today)
    low, high = day_bounds(node.op, node.days, node.on, moment.today)
    return found, (not low or found >= low) and (not high or found <= high)
