"""Who went from where to where between two days of a pond set, as the pages and the export show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property

from django.utils.translation import pgettext
from pyroaring import BitMap

from hetang.audiences import pond_days, ponds, queries
from hetang.audiences.models import PondDay, PondSet
from hetang.audiences.partition import between, flows
from hetang.audiences.pond_days import Found
from hetang.platform import clock
from hetang.platform.access import Scope

EVERYBODY = {"version": 1, "rule": {"all": []}}
REST, OUT, NOW = "rest", "out", "now"
COLOURS = 12  # those of `ponds.css`; the rest and who is outside have their own


@dataclass(frozen=True)
class Spot:
    """Somewhere a person can be: a pond, the rest, or in no place of the set. `colour` is a class of `ponds.css`."""

    key: str
    name: str
    colour: str


@dataclass(frozen=True)
class Side:
    """A pond set at one time: on a stored day, or now (None)."""

    day: PondDay | None
    found: Found
    rules: list[list[int]]


@dataclass(frozen=True)
class Flow:
    """What happened between two times: `matrix[row][column]` people went from the spot `before[row]` to the spot
    `after[column]`; the last row are newcomers, the last column those who are gone."""

    first: Side
    last: Side
    before: list[Spot]
    after: list[Spot]
    matrix: list[list[int]]

    @cached_property
    def people(self) -> int:
        return sum(map(sum, self.matrix))

    @cached_property
    def rules_changed(self) -> bool:
        """Whether people may have moved because ponds or rules of audiences were changed."""
        return self.first.rules != self.last.rules

    def cell(self, row: str, column: str) -> BitMap:
        """The people of a cell, by the keys of its spots. Raises LookupError."""
        rows, columns = [one.key for one in self.before], [one.key for one in self.after]
        if row not in rows or column not in columns:
            raise LookupError((row, column))
        return between(self.first.found.parts, self.last.found.parts, rows.index(row), columns.index(column))


def seen_by(pond_set: PondSet, scope: Scope) -> BitMap | None:
    """Whom somebody with this scope may count of a pond set: None for all of them. Raises like `queries.preview`."""
    common = queries.common(queries.scope_of(pond_set), scope)
    whole = scope.everything or common.paths == queries.scope_of(pond_set).paths
    return None if whole else queries.evaluate(EVERYBODY, common)


def day_at(pond_set: PondSet, wanted: date) -> PondDay | None:
    """The day that was kept, or the newest one before."""
    return pond_set.days.filter(day__lte=wanted).order_by("-day").first()


def first_day(pond_set: PondSet, last: PondDay | None) -> PondDay | None:
    """The day to compare with if nobody says one: the one before `last`, or for now the one before today's."""
    before = last.day if last else clock.today()
    rows = pond_set.days.order_by("-day")
    return rows.filter(day__lt=before).first() or rows.filter(day__lte=before).first()


def side_now(pond_set: PondSet, scope: Scope) -> Side:
    """Where everybody is now. Raises like `queries.preview`."""
    has = ponds.ponds_of(pond_set)
    audiences = [one.audience for one in has]
    now = ponds.now(audiences, queries.common(queries.scope_of(pond_set), scope), members=True)
    order: list[int | None] = [*(one.pk for one in has), None]
    return Side(None, Found(order, now.parts), [[one.pk, one.audience_id, one.audience.version] for one in has])


def sides_of(days: Sequence[PondDay], within: BitMap | None) -> list[Side]:
    """Stored days as sides. Three queries."""
    found = pond_days.read(days, within)
    return [Side(day, one, day.rules) for day, one in zip(days, found, strict=True)]


def flow_of(pond_set: PondSet, scope: Scope, wanted_from: str, wanted_to: str) -> tuple[Flow | Side, list[date]]:
    """The flow between two times (ISO days, empty or `now`), and the days asked for that are not kept; only where
    everybody is while no day is kept yet. Raises like `queries.preview`."""
    first_wanted, last_wanted = read_day(wanted_from), read_day(wanted_to)
    last = day_at(pond_set, last_wanted) if last_wanted else None
    first = (day_at(pond_set, first_wanted) if first_wanted else None) or first_day(pond_set, last)
    asked = ((first_wanted, first), (last_wanted, last))
    missed = [day for day, row in asked if day and (row is None or row.day != day)]
    sides = sides_of([one for one in (first, last) if one is not None], seen_by(pond_set, scope))
    after = sides[-1] if last is not None else side_now(pond_set, scope)
    return (after if first is None else flow(pond_set, sides[0], after)), missed


def read_day(text: str) -> date | None:
    """A day as addresses name it; None for anything else."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None


def flow(pond_set: PondSet, first: Side, last: Side) -> Flow:
    """The flow between two sides, in the names that the ponds have now."""
    names = dict(pond_set.ponds.values_list("pk", "name"))
    order = [*last.found.ponds, *(one for one in first.found.ponds if one not in last.found.ponds)]
    before = [*spots(first.found.ponds, order, names), Spot(OUT, pgettext("pond flow", "New here"), OUT)]
    after = [*spots(last.found.ponds, order, names), Spot(OUT, pgettext("pond flow", "No longer here"), OUT)]
    return Flow(first, last, before, after, flows(first.found.parts, last.found.parts))


def spots(wanted: Sequence[int | None], order: Sequence[int | None], names: dict[int, str]) -> list[Spot]:
    """Ponds by id as spots; a pond keeps its colour by its place in `order`."""
    places = {pond: place for place, pond in enumerate(one for one in order if one is not None)}
    return [
        Spot(REST, pgettext("pond", "Everybody else"), REST)
        if pond is None
        else Spot(str(pond), names.get(pond, f"#{pond}"), str(places[pond] % COLOURS))
        for pond in wanted
    ]
