"""What the people of an audience have more or less often than the other customers."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from itertools import islice
from math import floor, log10
from typing import Any

from hetang.audiences.catalogues import catalogue
from hetang.audiences.contrasts import Contrast, contrast, level, quantile
from hetang.audiences.first_source import ANY, FILTERS, FRIENDSHIP
from hetang.audiences.models import Audience
from hetang.audiences.queries import common, paths_of, scope_of
from hetang.audiences.rules import ADDED, VERSION, Catalogue
from hetang.audiences.standings import Sums
from hetang.customers.models import AttributeDefinition
from hetang.platform import clickhouse, engine_client
from hetang.platform.access import Scope

Rule = dict[str, Any]

# People of a portrait, others, and customers with a trait: a portrait of fewer would be that of persons, whom somebody
# may know who may not see customers.
FEWEST = 20
MOST_OF_A_KIND = 400
MOST_CAMPAIGNS = 20  # each costs a scan of the stays in groups
CATEGORY_DAYS = 365
SPENT_DAYS = (90, 365)
ORDERS = ((0, 0), (1, 1), (2, 3), (4, 9), (10, None))
DAYS_SINCE = ((0, 30), (31, 90), (91, 180), (181, 365), (366, None))


@dataclass(frozen=True)
class Trait:
    """Something that customers have or have not, as a rule; `kind` is the part of the portrait that it stands in."""

    kind: str
    rule: Rule


@dataclass(frozen=True)
class Line:
    """A trait with its contrast."""

    trait: Trait
    contrast: Contrast


@dataclass(frozen=True)
class Spent:
    """What the people of the audience and the others spent in the last `days` days, before refunds (minor units)."""

    days: int
    inside: Sums
    outside: Sums

    @property
    def few(self) -> bool:
        """Whether so few bought that sums would tell about single customers."""
        return min(self.inside.positive, self.outside.positive) < FEWEST


@dataclass(frozen=True)
class Portrait:
    """`people` of the audience and `others`, the rest of the same scope; nothing is compared where one of them are too
    `few`. `compared` traits of enough people; by kind, the `lines` of those whose interval leaves out one, the clearest
    first. `spent` is to be compared with the confidence `level`, so that all intervals hold together."""

    people: int
    others: int
    compared: int = 0
    lines: dict[str, list[Line]] = field(default_factory=dict)
    spent: list[Spent] = field(default_factory=list)

    @property
    def level(self) -> float:
        return level(self.compared + len(self.spent))

    @property
    def few(self) -> bool:
        return min(self.people, self.others) < FEWEST


def portrait(audience: Audience, scope: Scope, campaigns: Collection[str] = ()) -> Portrait:
    """Compare the people who fit now with the others of the scope, by every tag, life stage, home store, category, band
    of orders and spend, value of a choice or boolean attribute, first source, and by what they spent. All intervals
    hold together with 95 % confidence, so what is noise does not show. Of `campaigns` (public ids) those are compared
    by whose codes people come.

    Costs as many intersections of sets as there are traits; one scan of the history for each category, band, value and
    days of spend that the engine does not remember; and a scan of friendships, group stays and first orders. Raises
    `EngineUnavailable`, or `ServiceError` like `queries.preview`.
    """
    known = catalogue(fresh=True)
    asked = list(traits(known, campaigns))
    document = {
        "rule": audience.rule,
        "scope": paths_of(common(scope_of(audience), scope)),
        "traits": [{"version": VERSION, "rule": trait.rule} for trait in asked],
        "spent_days": SPENT_DAYS,
    }
    answer = engine_client.call("sets", "traits", document, timeout_s=120)
    people, others = answer["people"], answer["of"] - answer["people"]
    found = Portrait(people, others)
    if found.few:
        return found
    counted = [
        (trait, inside, all_ - inside)
        for trait, (inside, all_) in zip(asked, answer["traits"], strict=True)
        if FEWEST <= all_ <= people + others - FEWEST
    ]
    spent = [
        Spent(days, *(Sums(*sums) for sums in both)) for days, both in zip(SPENT_DAYS, answer["spent"], strict=True)
    ]
    z = quantile(len(counted) + len(spent))
    clear: dict[str, list[Line]] = {}
    for trait, inside, outside in counted:
        made = contrast(inside, people, outside, others, z)
        if made.clear:
            clear.setdefault(trait.kind, []).append(Line(trait, made))
    for lines in clear.values():
        lines.sort(key=lambda line: -line.contrast.strength)
    return Portrait(people, others, len(counted), clear, spent)


def traits(known: Catalogue, campaigns: Collection[str] = ()) -> Iterator[Trait]:
    """All traits that this brand's customers can have; at most four hundred of a kind, and twenty campaigns."""
    for code in list(known.tags)[:MOST_OF_A_KIND]:
        yield Trait("tags", {"type": "tag", "op": "any", "tags": [code]})
    for model, stages in known.stage_models.items():
        for stage in stages.course.stages:
            yield Trait("life_stages", {"type": "life_stage", "model": model, "op": "in", "stages": [stage.code]})
    for code in list(known.stores)[:MOST_OF_A_KIND]:
        yield Trait("stores", {"type": "store", "op": "home", "stores": [code]})
    for code in list(known.categories)[:MOST_OF_A_KIND]:
        bought = {"type": "behaviour", "event": "bought", "op": "at_least", "value": 1, "days": CATEGORY_DAYS}
        yield Trait("categories", {**bought, "category": code})
    for metric, bands in (("orders", ORDERS), ("gmv", _spend_bands()), ("days_since_last_order", DAYS_SINCE)):
        for first, last in bands:
            yield Trait("buying", _band(metric, first, last))
    yield from islice(_attributes(known), MOST_OF_A_KIND)
    yield Trait("first_source", {"type": "relation", "number": 1})
    for by in FILTERS:
        yield Trait("first_source", {"type": "first_source", "by": by})
    for way in ADDED:
        yield Trait("first_source", {"type": "first_source", "by": FRIENDSHIP, "ways": [way]})
    with_codes = dict.fromkeys(one.campaign for one in known.codes.values() if one.campaign in campaigns)
    for campaign in list(with_codes)[:MOST_CAMPAIGNS]:
        yield Trait("first_source", {"type": "first_source", "by": ANY, "campaigns": [campaign]})


def _attributes(known: Catalogue) -> Iterator[Trait]:
    """Every value of the attributes that have few of them; not of the sensitive ones, which are shown to nobody without
    a reason."""
    sensitive = set(AttributeDefinition.objects.filter(sensitive=True).values_list("code", flat=True))
    for code, one in known.attributes.items():
        values: tuple[str | bool, ...] = {"choice": one.choices, "boolean": (True, False)}.get(one.type, ())
        for value in values if code not in sensitive else ():
            yield Trait("attributes", {"type": "attribute", "code": code, "op": "=", "value": value})


def _band(metric: str, first: int, last: int | None) -> Rule:
    if last is None:
        return {"type": "metric", "metric": metric, "op": ">=", "value": first}
    if first == last:
        return {"type": "metric", "metric": metric, "op": "=", "value": first}
    return {"type": "metric", "metric": metric, "op": "between", "value": [first, last]}


def _spend_bands() -> list[tuple[int, int | None]]:
    """Bands of what buyers spent in all, in minor units: borders near the quarters, round in two digits. One reading of
    all profiles, on one server of several: borders need only be sensible."""
    sql = "select quantiles(0.25, 0.5, 0.75)(gmv) from customer_profile where alive = 1 and orders > 0 and gmv > 0"
    first, *_others = clickhouse.rows(sql)
    borders = sorted({_round(border) for border in first[0] if border > 0})
    starts = [1, *borders]
    return [(start, after - 1) for start, after in zip(starts, borders, strict=False)] + [(starts[-1], None)]


def _round(value: float) -> int:
    unit = 10 ** max(floor(log10(value)) - 1, 0)
    return int(round(value / unit) * unit)
