"""How many people saved audiences have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from hetang.audiences import queries
from hetang.audiences.models import Audience
from hetang.console.audiences.building import trouble
from hetang.platform.access import Scope, actor_of, needs
from hetang.platform.engine_client import EngineUnavailable, ServiceError

MOST = 10


@dataclass(frozen=True)
class Cell:
    """People of the row's audience who are in the column's, too; `share` of the row's (None: it is empty)."""

    people: int
    share: float | None
    other: Audience
    same: bool


@require_GET
@needs("audiences:view")
def overlap(request: HttpRequest) -> HttpResponse:
    """`a` (public ids, at most ten): how many people each two of these audiences share now, in the actor's scope."""
    scope = actor_of(request).scope("audiences:view")
    offered = list(queries.visible(scope).order_by("name", "id"))
    asked = request.GET.getlist("a")
    chosen = [one for one in offered if str(one.public_id) in asked][:MOST]
    values: dict[str, Any] = {
        "offered": [(one, one in chosen) for one in offered],
        "chosen": chosen,
        "most": MOST,
        "too_many": len(set(asked)) > MOST,
        "mine_only": not scope.everything,
    }
    if len(chosen) > 1:
        values |= _compared(chosen, scope)
    return render(request, "console/audiences/overlap.html", values)


def _compared(chosen: list[Audience], scope: Scope) -> dict[str, Any]:
    try:
        found = queries.overlap(chosen, scope)
    except EngineUnavailable:
        return {"trouble": _("The audience engine is not answering. Try again in a few seconds.")}
    except ServiceError as refused:
        return {"trouble": trouble(refused)}
    rows = []
    for place, (audience, people) in enumerate(zip(chosen, found.pairs, strict=True)):
        size = people[place]
        cells = [
            Cell(shared, shared / size if size else None, other, other is audience)
            for shared, other in zip(people, chosen, strict=True)
        ]
        rows.append((audience, size, cells))
    return {"rows": rows, "union": found.union}
