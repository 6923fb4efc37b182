"""Making and changing a pond set: its ponds as lines in their order, counted at each change."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.core.exceptions import BadRequest, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import pgettext
from django.views.decorators.http import require_GET, require_POST

from hetang.audiences import ponds, queries
from hetang.audiences.errors import POND_MESSAGES, InvalidPonds, NameTaken, OutsideScope, PondInUse, StaleVersion
from hetang.audiences.models import Audience, PondSet
from hetang.audiences.ponds import MAX_NAME, MOST, Wanted
from hetang.audiences.rules import InvalidRule
from hetang.console.audiences.building import home_node, trouble
from hetang.console.ponds.access import own_or_404
from hetang.console.ponds.starts import starts
from hetang.platform.access import Actor, actor_of, needs
from hetang.platform.engine_client import EngineUnavailable, ServiceError

_FIRST = 3  # empty lines of a new set


@dataclass
class Line:
    """A pond as it is typed, what was counted of it, and what is wrong with it."""

    name: str = ""
    audience: str = ""
    pond: str = ""
    label: str = ""
    people: int | None = None
    fits: int | None = None
    taken: list[tuple[str, int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.name or self.audience)


@dataclass
class Typed:
    """The whole form as it is typed."""

    name: str = ""
    description: str = ""
    lines: list[Line] = field(default_factory=list)
    version: int = 0


@require_GET
@needs("audiences:edit")
def new(request: HttpRequest) -> HttpResponse:
    """An empty form."""
    return _page(request, Typed(lines=[Line() for _place in range(_FIRST)]), None)


@require_GET
@needs("audiences:edit")
def edit(request: HttpRequest, public_id: str) -> HttpResponse:
    """A pond set in the form."""
    pond_set = own_or_404(actor_of(request), public_id)
    lines = [
        Line(one.name, str(one.audience.public_id), str(one.public_id), one.audience.name)
        for one in ponds.ponds_of(pond_set)
    ]
    return _page(request, Typed(pond_set.name, pond_set.description, lines, pond_set.version), pond_set)


@require_POST
@needs("audiences:edit")
def draw(request: HttpRequest) -> HttpResponse:
    """One edit: `do` names it (`add`, `up:1`, `down:1`, `remove:1`) and the lines come back; without it only values
    changed, and only figures come back."""
    typed, action = _read(request.POST), request.POST.get("do", "")
    focus = _act(typed.lines, action) if action else ""
    values = _values(actor_of(request), typed) | {"focus": focus}
    template = "console/ponds/lines.html" if action else "console/ponds/figures.html"
    return render(request, template, values)


@require_POST
@needs("audiences:edit")
def save(request: HttpRequest) -> HttpResponse:
    """Save as a new set, or change one."""
    actor, typed = actor_of(request), _read(request.POST)
    pond_set = _own(actor, request.POST["set"]) if request.POST.get("set") else None
    if pond_set is not None:
        pond_set.version = typed.version
    if not typed.name or len(typed.name) > MAX_NAME:
        problem = _("Give the pond set a name of at most %(n)d characters.") % {"n": MAX_NAME}
        return _page(request, typed, pond_set, problem)
    typed.lines = [line for line in typed.lines if not line.empty]
    problem = ""
    try:
        saved = ponds.save(
            actor,
            name=typed.name,
            ponds=[Wanted(line.name, line.audience, line.pond) for line in typed.lines],
            org_node=pond_set.org_node if pond_set else home_node(actor),
            pond_set=pond_set,
            description=typed.description,
        )
    except InvalidPonds as invalid:
        problem = _("It is not finished: look at the marked ponds.")
        for place, code in invalid.problems:
            said = str(POND_MESSAGES[code]).format(limit=MOST)
            if place is None:
                problem = said
            else:
                typed.lines[place].problems.append(said)
    except InvalidRule:
        problem = _("One of the audiences was archived in this moment. Choose another one.")
    except PondInUse as used:
        said = _("Rules of audiences ask for a pond that you take out: %(names)s. Change these first.")
        problem = said % {"names": ", ".join(used.names)}
    except NameTaken:
        problem = _("There is already a pond set of this name. Choose another one.")
    except StaleVersion:
        problem = _("Somebody else has changed this pond set meanwhile. Open it again to see how it is now.")
    except OutsideScope:
        problem = _("This pond set belongs to a part of the organisation that is not yours.")
    if problem:
        return _page(request, typed, pond_set, problem)
    messages.success(request, _("Saved. Where everybody is, is kept once a day from now on, just after midnight."))
    return redirect("ponds:detail", saved.public_id)


def _page(request: HttpRequest, typed: Typed, pond_set: PondSet | None, problem: str = "") -> HttpResponse:
    values = _values(actor_of(request), typed) | {"pond_set": pond_set, "problem": problem}
    values["starts"] = starts() if pond_set is None and request.method == "GET" else ()
    return render(request, "console/ponds/form.html", values, status=422 if problem else 200)


def _values(actor: Actor, typed: Typed) -> dict[str, Any]:
    offered = list(queries.visible(actor.scope("audiences:edit")).order_by("name", "pk"))
    result = _count(actor, typed, {str(one.public_id): one for one in offered})
    return {"typed": typed, "offered": offered, "most": MOST, "full": len(typed.lines) >= MOST, **result}


def _count(actor: Actor, typed: Typed, offered: dict[str, Audience]) -> dict[str, Any]:
    """Fill the lines with figures: those that have an audience, in their order."""
    for line in typed.lines:
        chosen = offered.get(line.audience)
        line.label = chosen.name if chosen else ""
    counted = [line for line in typed.lines if line.audience in offered][:MOST]
    try:
        now = ponds.now([offered[line.audience] for line in counted], actor.scope("audiences:edit"))
    except EngineUnavailable:
        said = _("The audience engine is not answering, so nothing can be counted now. It can still be saved.")
        return {"trouble": said}
    except ServiceError as refused:
        return {"trouble": trouble(refused)}
    for place, line in enumerate(counted):
        line.people, line.fits = now.people[place], now.fits[place]
        line.taken = [
            (other.name or other.label, lost) for other, lost in zip(counted, now.lost[place], strict=True) if lost
        ]
    return {"of": now.of, "rest": now.people[-1], "shares": _shares(counted, now)}


def _shares(counted: list[Line], now: ponds.Now) -> list[dict[str, Any]]:
    """Pieces of one bar, 100 wide: the ponds and the rest."""
    pieces, at = [], 0.0
    for place, people in enumerate(now.people):
        width = 100 * people / now.of if now.of else 0.0
        rest = place == len(counted)
        name = pgettext("pond", "Everybody else") if rest else counted[place].name or counted[place].label
        pieces.append(
            {
                "colour": "rest" if rest else str(place),
                "x": f"{at:.2f}",
                "width": f"{width:.2f}",
                "name": name,
                "people": people,
                "share": people / now.of if now.of else None,
            }
        )
        at += width
    return pieces


def _act(lines: list[Line], action: str) -> str:
    """Carry out an edit in place; gives the id of what gets the focus."""
    word, _colon, where = action.partition(":")
    if word == "add" and len(lines) < MOST:
        lines.append(Line())
        return f"name-{len(lines) - 1}"
    place = int(where) if where.isdecimal() and len(where) < 3 else -1
    if not 0 <= place < len(lines):
        raise BadRequest(action)
    if word == "remove":
        del lines[place]
        return f"name-{min(place, len(lines) - 1)}" if lines else "add-pond"
    step = {"up": -1, "down": 1}.get(word)
    if step is None:
        raise BadRequest(action)
    other = place + step
    if 0 <= other < len(lines):
        lines[place], lines[other] = lines[other], lines[place]
        return f"{word}-{other}" if 0 < other < len(lines) - 1 else f"name-{other}"
    return f"name-{place}"


def _read(posted: QueryDict) -> Typed:
    columns = [posted.getlist(name)[: 2 * MOST] for name in ("pond_name", "pond_audience", "pond")]
    lines = [Line(name.strip(), audience, pond) for name, audience, pond in zip(*columns, strict=False)]
    version = posted.get("version", "")
    return Typed(
        posted.get("name", "").strip(),
        posted.get("description", "").strip()[:300],
        lines,
        int(version) if version.isdecimal() and len(version) < 10 else 0,
    )


def _own(actor: Actor, public_id: str) -> PondSet:
    try:
        return own_or_404(actor, public_id)
    except ValidationError as no_id:
        raise Http404 from no_id
