"""Pond sets: the list, one of them with its flows, the people of a cell, its days; archiving and bringing back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from hetang.audiences import ponds
from hetang.audiences.errors import AudienceError, NameTaken, PondInUse, PondsGone
from hetang.audiences.models import PondDay, PondSet
from hetang.audiences.partition import flows as moved_between
from hetang.console.audiences import people
from hetang.console.audiences.building import trouble
from hetang.console.audiences.past import page_of
from hetang.console.ponds import picture
from hetang.console.ponds.access import own_or_404, seen_or_404
from hetang.console.ponds.flows import (
    NOW,
    OUT,
    REST,
    Flow,
    Side,
    Spot,
    flow,
    flow_of,
    read_day,
    seen_by,
    sides_of,
    spots,
)
from hetang.console.ponds.own_rules import told
from hetang.console.ponds.starts import starts
from hetang.platform import clock
from hetang.platform.access import Actor, actor_of, needs
from hetang.platform.engine_client import EngineUnavailable, ServiceError
from hetang.platform.models import OrgNode

DAYS = 14  # of the history on one page


@require_GET
@needs("audiences:view")
def pond_list(request: HttpRequest) -> HttpResponse:
    """Pond sets that the actor may see, by name, with their ponds and the newest day."""
    actor = actor_of(request)
    away = request.GET.get("show") == "archived"
    scope = actor.scope("audiences:view")
    found = ponds.archived(scope) if away else ponds.visible(scope)
    rows = list(found.order_by("name", "pk").prefetch_related("ponds"))
    newest = PondDay.objects.filter(pond_set__in=rows).order_by("pond_set", "-day").distinct("pond_set")
    days = {one.pond_set_id: one for one in newest}
    mine = actor.own_scope("audiences:edit")
    values = {
        "rows": [
            {
                "set": one,
                "ponds": [pond.name for pond in sorted(one.ponds.all(), key=_position) if pond.removed_at is None],
                "day": days.get(one.pk),
                "may_restore": away and actor.can("audiences:edit") and mine.covers(one.org_node.path),
            }
            for one in rows
        ],
        "away": away,
        "archived": away or ponds.archived(scope).exists(),
        "starts": starts() if actor.can("audiences:edit") else (),
    }
    return render(request, "console/ponds/list.html", values)


def _position(pond: Any) -> int:
    return int(pond.position)


@require_GET
@needs("audiences:view")
def detail(request: HttpRequest, public_id: str) -> HttpResponse:
    """Where everybody is (`to`: a day, or now), and who moved since `from`: a day; both in the actor's scope."""
    actor = actor_of(request)
    pond_set = seen_or_404(actor, public_id)
    values = _frame(pond_set, "detail", actor) | {"to": request.GET.get("to", ""), "today": clock.today()}
    values["told"] = told(pond_set, actor)
    found, said = _asked(pond_set, request, actor)
    values |= said
    if found is not None:
        values |= {"flow": found, "sums": _sums(found), "lines": _lines(found), "pictures": _pictures(found)}
        values["address"] = f"from={_key(found.first)}&to={_key(found.last)}"
    return render(request, "console/ponds/detail.html", values)


@require_GET
@needs("audiences:view")
def people_page(request: HttpRequest, public_id: str) -> HttpResponse:
    """The people of one cell (`row`, `column`: keys of spots), page by page, names masked."""
    actor = actor_of(request)
    actor.require("customers:view")
    pond_set = seen_or_404(actor, public_id)
    values = _frame(pond_set, "detail", actor)
    found, said = _asked(pond_set, request, actor)
    values |= said
    if found is not None:
        row, column = request.GET.get("row", ""), request.GET.get("column", "")
        try:
            members = found.cell(row, column)
        except LookupError:
            values["gone"] = True
            return render(request, "console/ponds/people.html", values)
        page = page_of(members, request)
        values |= {
            "flow": found,
            "count": len(members),
            "page": page,
            "people": people.rows(page.rows, actor),
            "source": next(one for one in found.before if one.key == row),
            "target": next(one for one in found.after if one.key == column),
            "address": f"from={_key(found.first)}&to={_key(found.last)}",
            "audience": _as_rule(pond_set, found, row, column) if actor.can("audiences:edit") else "",
        }
    return render(request, "console/ponds/people.html", values)


@require_GET
@needs("audiences:view")
def history(request: HttpRequest, public_id: str) -> HttpResponse:
    """The days, the newest first (`before`: a day), with how many came into each pond and went out."""
    actor = actor_of(request)
    pond_set = seen_or_404(actor, public_id)
    values = _frame(pond_set, "history", actor)
    rows = pond_set.days.order_by("-day")
    before = read_day(request.GET.get("before", ""))
    if before is not None:
        rows = rows.filter(day__lt=before)
    taken = list(rows[: DAYS + 1])
    try:
        sides = sides_of(taken, seen_by(pond_set, actor.scope("audiences:view")))
    except EngineUnavailable:
        values["trouble"] = _("The audience engine is not answering. Try again in a few seconds.")
        return render(request, "console/ponds/history.html", values)
    except ServiceError as refused:
        values["trouble"] = trouble(refused)
        return render(request, "console/ponds/history.html", values)
    order = list(dict.fromkeys(pond for side in sides[:DAYS] for pond in side.found.ponds if pond is not None))
    names = dict(pond_set.ponds.values_list("pk", "name"))
    values |= {
        "spots": spots([*order, None], order, names),
        "days": _days(taken, sides, [*order, None]),
        "later": before is not None,
        "earlier": taken[DAYS - 1].day if len(taken) > DAYS else None,
        "bars": _bars(sides[:DAYS], [*order, None], names),
    }
    return render(request, "console/ponds/history.html", values)


@require_POST
@needs("audiences:edit")
def archive(request: HttpRequest, public_id: str) -> HttpResponse:
    """Put a pond set away."""
    actor = actor_of(request)
    pond_set = own_or_404(actor, public_id)
    try:
        ponds.archive(actor, pond_set)
    except PondInUse as used:
        said = _("Rules of audiences ask for its ponds: %(names)s. Change these first.")
        messages.error(request, said % {"names": ", ".join(used.names)})
        return redirect("ponds:detail", pond_set.public_id)
    except AudienceError:
        messages.error(request, _("It has been changed or archived meanwhile."))
    else:
        messages.success(request, _("Archived. Its days are kept, and “Archived” in the list brings it back."))
    return redirect("ponds:list")


@require_POST
@needs("audiences:edit")
def restore(request: HttpRequest, public_id: str) -> HttpResponse:
    """Bring an archived pond set back."""
    actor = actor_of(request)
    pond_set = get_object_or_404(ponds.archived(actor.own_scope("audiences:edit")), public_id=public_id)
    try:
        ponds.restore(actor, pond_set)
    except NameTaken:
        said = _("There is a pond set called “%(name)s” again. Rename that one first.") % {"name": pond_set.name}
        messages.error(request, said)
    except PondsGone as gone:
        said = _("These of its audiences are archived: %(names)s. Bring them back first.")
        messages.error(request, said % {"names": ", ".join(gone.names)})
    except AudienceError:
        messages.error(request, _("It has been changed or archived meanwhile."))
    else:
        messages.success(request, _("It is back. The days on which it was archived stay without figures."))
        return redirect("ponds:detail", pond_set.public_id)
    return redirect("ponds:list")


# what is shown --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A pond at the later of two times: its people and share, who came in and went out since the earlier one."""

    spot: Spot
    people: int
    share: float | None
    came: int
    went: int


def _frame(pond_set: PondSet, current: str, actor: Actor) -> dict[str, Any]:
    names = [("detail", _("Where they are")), ("history", _("Day by day"))]
    return {
        "pond_set": pond_set,
        "mine": actor.can("audiences:edit") and actor.own_scope("audiences:edit").covers(pond_set.org_node.path),
        "mine_only": not actor.scope("audiences:view").everything,
        "tabs": [
            {"url": reverse(f"ponds:{name}", args=[pond_set.public_id]), "label": label, "current": name == current}
            for name, label in names
        ],
    }


def _asked(pond_set: PondSet, request: HttpRequest, actor: Actor) -> tuple[Flow | None, dict[str, Any]]:
    """The flow between the two times that the address names, and what has to be said of them."""
    times = request.GET.get("from", ""), request.GET.get("to", "")
    try:
        found, missed = flow_of(pond_set, actor.scope("audiences:view"), *times)
    except EngineUnavailable:
        return None, {"trouble": _("The audience engine is not answering. Try again in a few seconds.")}
    except ServiceError as refused:
        return None, {"trouble": trouble(refused)}
    if isinstance(found, Flow):
        return found, {"missed": missed}
    return None, {"missed": missed, "only_now": _only_now(pond_set, found)}


def _only_now(pond_set: PondSet, side: Side) -> list[Line]:
    found = flow(pond_set, side, side)
    return _lines(found)


def _as_rule(pond_set: PondSet, found: Flow, row: str, column: str) -> str:
    """The address of the builder with the people of a cell as a rule; empty where no rule can say it: who is gone fits
    none, a pond that was removed cannot be named, and newcomers of a part of the organisation cannot be told from
    people elsewhere."""
    codes = {str(pk): str(code) for pk, code in pond_set.ponds.filter(removed_at=None).values_list("pk", "public_id")}
    codes[REST] = str(pond_set.public_id)
    was = [one.key for one in found.before if one.key != OUT] if row == OUT else [row]
    if column not in codes or not set(was) <= codes.keys() or (row == OUT and pond_set.org_node.kind != OrgNode.BRAND):
        return ""
    asked: list[tuple[str, str]] = [("was_not" if row == OUT else "was", codes[one]) for one in was]
    asked += [("is", codes[column]), ("on", _key(found.first))]
    if found.last.day is not None:
        asked.append(("until", _key(found.last)))
    return f"{reverse('audiences:new')}?{urlencode(asked)}"


def _lines(found: Flow) -> list[Line]:
    total = found.people - sum(row[-1] for row in found.matrix)
    rows = {spot.key: place for place, spot in enumerate(found.before)}
    lines = []
    for column, spot in enumerate(found.after[:-1]):
        people = sum(row[column] for row in found.matrix)
        row = rows.get(spot.key)
        stayed = found.matrix[row][column] if row is not None else 0
        was = sum(found.matrix[row]) if row is not None else 0
        lines.append(Line(spot, people, people / total if total else None, people - stayed, was - stayed))
    return lines


def _sums(found: Flow) -> dict[str, Any]:
    """The matrix as the table shows it: rows with their sums, and the sums of the columns."""
    rows = [
        {
            "spot": spot,
            "people": sum(row),
            "cells": [
                {"people": people, "key": other.key, "name": other.name, "stayed": other.key == spot.key != OUT}
                for people, other in zip(row, found.after, strict=True)
            ],
        }
        for spot, row in zip(found.before, found.matrix, strict=True)
        if any(row) or spot.key != OUT
    ]
    return {"rows": rows, "columns": [sum(column) for column in zip(*found.matrix, strict=True)], "all": found.people}


def _pictures(found: Flow) -> list[picture.Picture]:
    """The picture in the two widths that the style sheet chooses from; none where nobody is."""
    before = [(one.key, one.name, one.colour) for one in found.before]
    after = [(one.key, one.name, one.colour) for one in found.after]
    drawn = [picture.draw(before, after, found.matrix, width) for width in (picture.WIDE, picture.NARROW)]
    return [one for one in drawn if one is not None]


def _days(taken: Sequence[PondDay], sides: Sequence[Side], order: Sequence[int | None]) -> list[dict[str, Any]]:
    """Lines of the history: of each day its figures, and a line for the days between that are missing."""
    lines: list[dict[str, Any]] = []
    for place, (row, side) in enumerate(list(zip(taken, sides, strict=True))[:DAYS]):
        older = place + 1 if place + 1 < len(sides) else None
        lines.append({"day": row, "cells": _cells(side, None if older is None else sides[older], order)})
        if older is not None and (gap := (row.day - taken[older].day).days - 1):
            first, last = taken[older].day + timedelta(days=1), row.day - timedelta(days=1)
            lines.append({"missing": gap, "first": first, "last": last})
    return lines


def _cells(side: Side, older: Side | None, order: Sequence[int | None]) -> list[dict[str, int | None] | None]:
    people = dict(zip(side.found.ponds, map(len, side.found.parts), strict=True))
    if older is None:
        return [{"people": people[one], "came": None, "went": None} if one in people else None for one in order]
    matrix = moved_between(older.found.parts, side.found.parts)
    cells: list[dict[str, int | None] | None] = []
    for one in order:
        if one not in people:
            cells.append(None)
            continue
        column = side.found.ponds.index(one)
        row = older.found.ponds.index(one) if one in older.found.ponds else None
        stayed = 0 if row is None else matrix[row][column]
        went = 0 if row is None else sum(matrix[row]) - stayed
        cells.append({"people": people[one], "came": people[one] - stayed, "went": went})
    return cells


def _bars(sides: Sequence[Side], order: Sequence[int | None], names: dict[int, str]) -> list[dict[str, Any]]:
    """A stacked column for each stored day, the oldest first, in a picture 100 high."""
    drawn = []
    for place, side in enumerate(reversed(sides)):
        total, at, pieces = sum(map(len, side.found.parts)) or 1, 0.0, []
        for spot, part in zip(spots(side.found.ponds, order, names), side.found.parts, strict=True):
            height = 100 * len(part) / total
            pieces.append({"colour": spot.colour, "y": f"{at:.2f}", "height": f"{height:.2f}"})
            at += height
        drawn.append({"x": 10 * place + 1, "pieces": pieces})
    return drawn


def _key(side: Side) -> str:
    return NOW if side.day is None else side.day.day.isoformat()
