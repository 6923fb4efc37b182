"""Making and changing a pond set: its ponds as lines in their order, counted at each change."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.core.exceptions import BadRequest, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import get_language, pgettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from hetang.audiences import ponds, queries
from hetang.audiences.catalogues import catalogue
from hetang.audiences.errors import POND_MESSAGES, InvalidPonds, NameTaken, OutsideScope, PondInUse, StaleVersion
from hetang.audiences.models import Audience, PondSet
from hetang.audiences.ponds import MAX_NAME, MOST, Ruled, Wanted
from hetang.audiences.reading import parse
from hetang.audiences.rules import InvalidRule
from hetang.audiences.sentences import describe
from hetang.console.audiences import drafts
from hetang.console.audiences.building import home_node, trouble
from hetang.console.ponds.access import own_or_404
from hetang.console.ponds.starts import starts
from hetang.platform.access import Actor, actor_of, needs
from hetang.platform.engine_client import EngineUnavailable, ServiceError

_FIRST = 3  # empty lines of a new set


@dataclass
class Line:
    """A pond as it is typed, what was counted of it, and what is wrong with it. `rule`: its own, a document, instead of
    an audience; `sentence` says that one."""

    name: str = ""
    audience: str = ""
    pond: str = ""
    rule: Any = None
    label: str = ""
    sentence: str = ""
    people: int | None = None
    fits: int | None = None
    taken: list[tuple[str, int]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        return not (self.name or self.audience or self.rule is not None)

    @property
    def own(self) -> bool:
        """Whether it has a rule of its own."""
        return self.rule is not None

    @property
    def packed(self) -> str:
        """Its own rule as it travels with the page."""
        return "" if self.rule is None else json.dumps(self.rule, ensure_ascii=False)

    def wrong(self, said: str) -> None:
        """Note what is wrong with it, once."""
        if said not in self.problems:
            self.problems.append(said)


@dataclass(frozen=True)
class Draft:
    """A rule of its own that is not saved yet."""

    rule: dict[str, Any]


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
    return page(request, Typed(lines=[Line() for _place in range(_FIRST)]), None)


@require_GET
@needs("audiences:edit")
def edit(request: HttpRequest, public_id: str) -> HttpResponse:
    """A pond set in the form."""
    pond_set = own_or_404(actor_of(request), public_id)
    lines = [
        Line(one.name, "", str(one.public_id), one.audience.rule)
        if one.audience.pond_set_id
        else Line(one.name, str(one.audience.public_id), str(one.public_id))
        for one in ponds.ponds_of(pond_set)
    ]
    return page(request, Typed(pond_set.name, pond_set.description, lines, pond_set.version), pond_set)


@require_POST
@needs("audiences:edit")
def draw(request: HttpRequest) -> HttpResponse:
    """One edit: `do` names it (`add`, `up:1`, `down:1`, `remove:1`, `plain:1` for an audience instead of a rule of its
    own) and the lines come back; without it only values changed, and only figures come back."""
    typed, action = read(request.POST), request.POST.get("do", "")
    focus = _act(typed.lines, action) if action else ""
    values = _values(actor_of(request), typed) | {"focus": focus}
    template = "console/ponds/lines.html" if action else "console/ponds/figures.html"
    return render(request, template, values)


@require_POST
@needs("audiences:edit")
def save(request: HttpRequest) -> HttpResponse:
    """Save as a new set, or change one."""
    actor, typed = actor_of(request), read(request.POST)
    pond_set = own_set(request)
    if pond_set is not None:
        pond_set.version = typed.version
    if not typed.name or len(typed.name) > MAX_NAME:
        problem = _("Give the pond set a name of at most %(n)d characters.") % {"n": MAX_NAME}
        return page(request, typed, pond_set, problem)
    typed.lines = [line for line in typed.lines if not line.empty]
    problem = ""
    try:
        saved = ponds.save(
            actor,
            name=typed.name,
            ponds=[Wanted(line.name, line.audience, line.pond, line.rule) for line in typed.lines],
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
                typed.lines[place].wrong(said)
    except InvalidRule:
        problem = _("An audience or pond that is asked for was archived in this moment. Choose another one.")
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
        return page(request, typed, pond_set, problem)
    messages.success(request, _("Saved. Where everybody is, is kept once a day from now on, just after midnight."))
    return redirect("ponds:detail", saved.public_id)


def page(request: HttpRequest, typed: Typed, pond_set: PondSet | None, problem: str = "") -> HttpResponse:
    """The form as it is typed, counted."""
    values = _values(actor_of(request), typed) | {"pond_set": pond_set, "problem": problem}
    values["starts"] = starts() if pond_set is None and request.method == "GET" else ()
    return render(request, "console/ponds/form.html", values, status=422 if problem else 200)


def _values(actor: Actor, typed: Typed) -> dict[str, Any]:
    offered = list(queries.visible(actor.scope("audiences:edit")).order_by("name", "pk"))
    result = _count(actor, typed, {str(one.public_id): one for one in offered})
    return {"typed": typed, "offered": offered, "most": MOST, "full": len(typed.lines) >= MOST, **result}


def _count(actor: Actor, typed: Typed, offered: dict[str, Audience]) -> dict[str, Any]:
    """Fill the lines with figures: those that have a rule that can be evaluated or an audience, in their order."""
    rules: list[Ruled] = []
    counted: list[Line] = []
    for line, rule in zip(typed.lines, _rules(typed.lines, offered), strict=True):
        if rule is not None and len(counted) < MOST:
            rules.append(rule)
            counted.append(line)
    try:
        now = ponds.now(rules, actor.scope("audiences:edit"))
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


def _rules(lines: list[Line], offered: dict[str, Audience]) -> list[Ruled | None]:
    """By what each line is counted; its label, sentence and problem are filled in."""
    known = catalogue({"rules": [line.rule for line in lines]}, fresh=any(line.own for line in lines))
    found: list[Ruled | None] = []
    for line in lines:
        chosen = None if line.own else offered.get(line.audience)
        line.label = chosen.name if chosen else ""
        found.append(chosen)
        if line.own:
            line.label = _("Rule of its own")
            try:
                line.sentence = describe(parse(line.rule, known), known, get_language() or "zh-hans")
                found[-1] = Draft(line.rule)
            except InvalidRule:
                line.wrong(str(POND_MESSAGES["rule_broken"]))
    return found


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
    if word == "plain":
        lines[place].rule = None
        return f"audience-{place}"
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


def read(posted: QueryDict) -> Typed:
    """The form as it was sent, whatever stands in it."""
    columns = [posted.getlist(name)[: 2 * MOST] for name in ("pond_name", "pond_audience", "pond", "pond_rule")]
    columns[-1] += [""] * (len(columns[0]) - len(columns[-1]))
    lines = [
        Line(name.strip(), audience, pond, _read_rule(rule))
        for name, audience, pond, rule in zip(*columns, strict=False)
    ]
    version = posted.get("version", "")
    return Typed(
        posted.get("name", "").strip(),
        posted.get("description", "").strip()[:300],
        lines,
        int(version) if version.isdecimal() and len(version) < 10 else 0,
    )


def _read_rule(text: str) -> Any:
    """A rule that travelled with the page; {} (which is none) for what cannot be read."""
    try:
        found = drafts.loaded(text) if text else None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict | None) else {}


def own_set(request: HttpRequest) -> PondSet | None:
    """The pond set that is being changed; None for a new one. Raises Http404."""
    public_id = request.POST.get("set", "")
    try:
        return own_or_404(actor_of(request), public_id) if public_id else None
    except ValidationError as no_id:
        raise Http404 from no_id
