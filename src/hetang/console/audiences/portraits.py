"""The page on which an audience is compared with all others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext_lazy, pgettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from hetang.audiences.catalogues import catalogue
from hetang.audiences.errors import history_is_away
from hetang.audiences.portrait import CATEGORY_DAYS, FEWEST, Line, Portrait, Spent, portrait
from hetang.audiences.reading import parse
from hetang.audiences.rules import VERSION
from hetang.audiences.sentences import describe
from hetang.audiences.standings import Sums
from hetang.campaigns.queries import visible_campaigns
from hetang.console.audiences.building import trouble
from hetang.console.audiences.views import one_of, tabs_of
from hetang.experiments.estimates import Estimate
from hetang.experiments.estimators import LEAST_OUTCOMES, mean_difference
from hetang.experiments.samples import Sample
from hetang.platform.access import Actor, actor_of, needs
from hetang.platform.engine_client import EngineUnavailable, ServiceError

SHOWN = 12  # lines of a part
KINDS: dict[str, str | Promise] = {
    "tags": gettext_lazy("Tags"),
    "life_stages": gettext_lazy("Life stages"),
    "buying": pgettext_lazy("portrait", "Orders and spend"),
    "categories": gettext_lazy("Bought in a year"),
    "attributes": gettext_lazy("Attributes"),
    "first_source": pgettext_lazy("portrait", "Friends and first source"),
    "stores": gettext_lazy("Home store"),
}


@dataclass(frozen=True)
class Row:
    """A trait in words with its figures; `whisker` (from, value, to) in logarithms, for drawing."""

    text: str
    line: Line
    more: bool


@dataclass(frozen=True)
class Spending:
    """Means of a customer in minor units and their difference; nothing where too few bought."""

    days: int
    inside: float
    outside: float
    difference: Estimate | None


@require_GET
@needs("audiences:view")
def portrait_page(request: HttpRequest, public_id: str) -> HttpResponse:
    """The page at once; with a million customers the comparison takes seconds, and follows as `comparison`."""
    audience, actor = one_of(request, public_id), actor_of(request)
    return render(
        request,
        "console/audiences/portrait.html",
        {"audience": audience, "tabs": tabs_of(audience, "portrait", actor)},
    )


@require_GET
@needs("audiences:view")
def comparison(request: HttpRequest, public_id: str) -> HttpResponse:
    """What is clearly more or less common among the people of an audience than among the others in the scope."""
    audience, scope = one_of(request, public_id), actor_of(request).scope("audiences:view")
    values: dict[str, Any] = {
        "audience": audience,
        "fewest": FEWEST,
        "mine_only": not scope.everything,
        "year": CATEGORY_DAYS,
        "least": LEAST_OUTCOMES,
    }
    try:
        found = portrait(audience, scope, _campaigns(actor_of(request)))
        values |= {"found": found, "parts": _parts(found.lines), "spending": spending(found)}
    except EngineUnavailable:
        values["trouble"] = _("The audience engine is not answering. Try again in a few seconds.")
    except ServiceError as refused:
        values["trouble"] = trouble(refused)
    except Exception as problem:
        if not history_is_away(problem):
            raise
        values["trouble"] = _("The purchase history is not available now. Try again in a minute.")
    return render(request, "console/audiences/comparison.html", values)


def _campaigns(actor: Actor) -> set[str]:
    """Public ids of the campaigns whose names an actor may see."""
    if not actor.can("campaigns:view"):
        return set()
    seen = visible_campaigns(actor.scope("campaigns:view")).values_list("public_id", flat=True)
    return {str(one) for one in seen}


def spending(found: Portrait) -> list[Spending]:
    """The mean spend of each side, with intervals that hold together with those of the traits."""
    return [_difference(one, found) for one in found.spent]


def _difference(one: Spent, found: Portrait) -> Spending:
    inside, outside = _sample(one.inside, found.people), _sample(one.outside, found.others)
    compared = None if one.few else mean_difference(inside, outside, found.level)
    return Spending(one.days, inside.mean, outside.mean, compared if isinstance(compared, Estimate) else None)


def _sample(sums: Sums, people: int) -> Sample:
    return Sample(people, sums.total, sums.squares, sums.positive)


def _parts(lines: dict[str, list[Line]]) -> list[dict[str, Any]]:
    """The kinds that have lines, with the clearest of them."""
    named = {"rules": [line.trait.rule for kind in lines for line in lines[kind][:SHOWN]]}
    known, language = catalogue(named), get_language() or "zh-hans"
    parts = []
    for kind, label in KINDS.items():
        if kind in lines:
            rows = [
                Row(
                    describe(parse({"version": VERSION, "rule": line.trait.rule}, known), known, language),
                    line,
                    line.contrast.ratio > 1,
                )
                for line in lines[kind][:SHOWN]
            ]
            parts.append({"label": label, "rows": rows, "more": len(lines[kind]) - len(rows)})
    return parts
