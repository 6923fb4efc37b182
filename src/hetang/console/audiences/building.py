"""The builder: every edit posts the whole form; the answer is the form again, or only its figures."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import Any

from django.contrib import messages
from django.core.exceptions import BadRequest, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from hetang.audiences import queries, services
from hetang.audiences.catalogues import catalogue
from hetang.audiences.errors import NameTaken, OutsideScope, StaleVersion, message
from hetang.audiences.models import Audience
from hetang.audiences.rules import MAX_DEPTH, Catalogue, InvalidRule, Problem, named_in
from hetang.audiences.schedules import Schedule
from hetang.audiences.sentences import describe
from hetang.console.audiences import adding, click_notes, drafts, first_source_fields, people
from hetang.console.audiences.access import own_or_404
from hetang.console.audiences.drafts import Rule
from hetang.console.audiences.field import Field
from hetang.console.audiences.fields import (
    fields_of,
    kinds,
    label_of,
    short_lists,
    sources,
    within,
)
from hetang.console.audiences.schedules import WEEKDAYS
from hetang.console.audiences.templates import offered, start
from hetang.console.days import time_of
from hetang.platform.access import Actor, Scope, actor_of, needs
from hetang.platform.engine_client import EngineUnavailable, ServiceError
from hetang.platform.models import OrgNode

SAMPLE = 6
MAX_NAME = 80
MORNING = "09:00"  # what a schedule begins with


class NoTime(ValueError):
    """The time of a schedule cannot be read."""


@dataclass
class Input:
    """A field as the page draws it."""

    field: Field
    name: str
    shown: list[str]
    options: list[tuple[str, str]]

    @property
    def boxes(self) -> list[tuple[str, str, str, str]]:
        """(id, name, value, label) of each text box; one that a `<label>` names has no label of its own."""
        ids = [f"{self.name}-{place}" if place else self.name for place in range(len(self.shown))]
        names = [f"{self.name}.{place}" if self.field.pair else self.name for place in range(len(self.shown))]
        labels = [f"{self.field.label} {place + 1}" if place else "" for place in range(len(self.shown))]
        return list(zip(ids, names, self.shown, labels, strict=True))


@dataclass
class Part:
    """A group or a condition as the page draws it."""

    place: str
    kind: str
    label: str
    inputs: list[Input] = field(default_factory=list)
    children: list[Part] = field(default_factory=list)
    size: int | None = None
    removes: int | None = None
    problems: list[str] = field(default_factory=list)
    unfinished: bool = False
    deep: bool = False
    focus: bool = False
    note: str = ""


@dataclass
class Result:
    """What the rule finds now."""

    preview: queries.Preview | None
    sentence: str
    trouble: str = ""
    sizes: dict[str, int] = field(default_factory=dict)
    removes: dict[str, int] = field(default_factory=dict)
    problems: dict[str, list[Problem]] = field(default_factory=dict)


@require_GET
@needs("audiences:view")
def new(request: HttpRequest) -> HttpResponse:
    """An empty rule, one of the templates, who is in one audience (`in`) and not in another (`out`), or who went from
    pond to pond (see `_moved`)."""
    known = catalogue(fresh=True)
    rule = start(request.GET.get("template", ""), known) or _difference(request, known) or _moved(request, known)
    return _page(request, rule or {"all": []}, known, None)


@require_GET
@needs("audiences:edit")
def edit(request: HttpRequest, public_id: str) -> HttpResponse:
    """A saved audience in the builder."""
    audience = _own(request, public_id)
    return _page(request, drafts.opened(audience.rule), catalogue(audience.rule, fresh=True), audience)


@require_POST
@needs("audiences:view")
def build(request: HttpRequest) -> HttpResponse:
    """One edit. `do` names it (`add:<place>:<what>`, `remove:<place>`, `group:<place>:<kind>`, `undo`, `draw`);
    without it only values changed, and only the figures are sent back."""
    known = catalogue(named_in_post(request))
    rule, past = drafts.read(request.POST, known)
    action = request.POST.get("do", "")
    if action.startswith("add:") and action.endswith(":?"):  # what was found by typing
        action = f"{action[:-1]}{request.POST.get('what', '')}"
    focus = ""
    if action:
        try:
            rule, past, focus = _act(rule, past, action, known)
        except (LookupError, ValueError) as wrong:
            raise BadRequest(str(wrong)) from wrong
    context = _drawn(actor_of(request), rule, past, known, focus)
    template = "console/audiences/builder_parts.html" if action else "console/audiences/builder_figures.html"
    return render(request, template, context)


@require_POST
@needs("audiences:edit")
def save(request: HttpRequest) -> HttpResponse:
    """Save the rule as a new audience or as a new version of one."""
    known = catalogue(named_in_post(request), fresh=True)
    rule, past = drafts.read(request.POST, known)
    audience = _own(request, request.POST["audience"]) if request.POST.get("audience") else None
    if audience is not None:
        audience.version = _version(request)
    name = request.POST.get("name", "").strip()
    problem = ""
    if not name or len(name) > MAX_NAME:
        problem = _("Give the audience a name of at most %(n)d characters.") % {"n": MAX_NAME}
    else:
        try:
            saved = services.save(
                actor_of(request),
                name=name,
                rule=drafts.document(rule),
                org_node=audience.org_node if audience else home_node(actor_of(request)),
                audience=audience,
                description=request.POST.get("description", "").strip()[:300],
                live=request.POST.get("refresh") == "live",
                schedule=_schedule(request),
            )
            messages.success(request, _("Saved."))
            if unseen := click_notes.warning(rule):
                messages.warning(request, unseen)
            return redirect("audiences:detail", saved.public_id)
        except NoTime:
            problem = _("Write the time of the refresh as hours and minutes, for example 09:00.")
        except InvalidRule:
            problem = _("The rule is not finished: complete or remove the marked conditions.")
        except NameTaken:
            problem = _("There is already an audience of this name. Choose another one.")
        except StaleVersion:
            problem = _("Somebody else has saved this audience meanwhile. Open it again to see the newest rule.")
        except OutsideScope:
            problem = _("This audience belongs to a part of the organisation that is not yours.")
    context = _page_context(request, rule, known, audience, past) | {
        "problem": problem,
        "name": name,
        "refresh": _posted_refresh(request),
    }
    return render(request, "console/audiences/builder.html", context, status=422)


def _page(request: HttpRequest, rule: Rule, known: Catalogue, audience: Audience | None) -> HttpResponse:
    return render(request, "console/audiences/builder.html", _page_context(request, rule, known, audience, []))


def _page_context(
    request: HttpRequest, rule: Rule, known: Catalogue, audience: Audience | None, past: list[Rule]
) -> dict[str, Any]:
    return {
        **drawn(request, rule, known, past),
        "audience": audience,
        "name": audience.name if audience else _name_of_start(request.GET.get("template", ""), known),
        "refresh": _refresh_of(audience),
        "weekdays": WEEKDAYS,
        "starts": offered(known) if audience is None else (),
    }


def drawn(request: HttpRequest, rule: Rule, known: Catalogue, past: list[Rule]) -> dict[str, Any]:
    """What a page needs that shows a rule in the builder: its parts, its figures, and the lists to choose from."""
    actor = actor_of(request)
    return {**_drawn(actor, rule, past, known, ""), "sources": short_lists(within(known, actor))}


def _difference(request: HttpRequest, known: Catalogue) -> Rule | None:
    inside, outside = (request.GET.get(name, "") for name in ("in", "out"))
    if not {inside, outside} <= known.audiences.keys():
        return None
    without = {"not": {"any": [{"type": "audience", "audience": outside}]}}
    return {"all": [{"type": "audience", "audience": inside}, without]}


def _moved(request: HttpRequest, known: Catalogue) -> Rule | None:
    """Who was in one of the ponds `was` when the day `on` began, or in none of `was_not`, and in one of `is` when the
    day `until` began, or is now without that."""
    parts: list[Rule] = []
    for name, day in (("was", "on"), ("was_not", "on"), ("is", "until")):
        codes, when = request.GET.getlist(name), request.GET.get(day, "")
        if not set(codes) <= known.ponds.keys():
            return None
        if codes:
            part = {"type": "pond_at", "ponds": codes, "date": when} if when else {"type": "pond", "ponds": codes}
            parts.append({"not": {"any": [part]}} if name == "was_not" else part)
    return {"all": parts} if parts else None


def _name_of_start(code: str, known: Catalogue) -> str:
    """What an audience is called that begins as this template: a proposal."""
    return next((str(one.name) for one in offered(known) if one.code == code), "")


def _act(rule: Rule, past: list[Rule], action: str, known: Catalogue) -> tuple[Rule, list[Rule], str]:
    """Carry out an edit; returns the rule, the drafts before, and the place that gets the focus."""
    if action == "draw":
        return rule, past, ""
    if action == "undo":
        return (past[-1], past[:-1], "") if past else (rule, past, "")
    before = json.loads(json.dumps(rule))
    word, _colon, rest = action.partition(":")
    place, _colon, what = rest.partition(":")
    focus = ""
    if word == "add":
        drafts.add(rule, place, _new_part(what, known))
        focus = drafts.places(drafts.find(rule, place), place)[-1]
    elif word == "remove" and place:
        drafts.remove(rule, place)
    elif word == "group":
        drafts.regroup(rule, place, what)
    else:
        raise ValueError(action)
    return rule, [*past, before], focus


def _new_part(what: str, known: Catalogue) -> Rule:
    if what in drafts.GROUPS:
        return drafts.group(what, [])
    return adding.new_condition(what, known)


def _drawn(actor: Actor, rule: Rule, past: list[Rule], known: Catalogue, focus: str) -> dict[str, Any]:
    result = _result(rule, known, actor.scope("audiences:view"))
    root = _part(rule, "", known, result, focus, 1)
    return {
        "root": root,
        "flat": _flat(root),
        "tree": json.dumps(rule, ensure_ascii=False),
        "past": drafts.packed(past),
        "can_undo": bool(past),
        "result": result,
        "people": people.rows(result.preview.sample, actor) if result.preview else [],
        "kinds": kinds(known),
        "build_url": reverse("audiences:build"),
        "inline": tuple(short_lists(within(known, actor))),
    }


def _flat(part: Part) -> list[Part]:
    return [part, *(inner for child in part.children for inner in _flat(child))]


def _result(rule: Rule, known: Catalogue, scope: Scope) -> Result:
    kept, node, problems = drafts.usable(rule, known)
    result = Result(None, describe(node, known, get_language() or "zh-hans"), problems=problems)
    try:
        result.preview = queries.preview(drafts.document(kept), scope, SAMPLE)
    except EngineUnavailable:
        result.trouble = _(
            "The audience engine is not answering, so nothing can be counted now. "
            "The rule can still be edited and saved."
        )
        return result
    except ServiceError as refused:
        result.trouble = trouble(refused)
        return result
    mapping = drafts.original_places(rule, set(problems))
    for path, size in result.preview.sizes.items():
        result.sizes[mapping.get(drafts.drawn_place(path), "?")] = size
    for path, size in result.preview.removes.items():
        result.removes[mapping.get(drafts.drawn_place(path), "?")] = size
    return result


def trouble(refused: ServiceError) -> str:
    """What a refusal of the engine means to an operator."""
    if refused.code == "history_unavailable":
        return _(
            "The purchase history is not available, so figures, dates and behaviour cannot be counted now. "
            "Tags, consent, stores and friends still can."
        )
    if refused.code == "database_unavailable":
        return _("The database does not answer the engine, so nothing can be counted now. Try again in a minute.")
    return _("The rule could not be evaluated: %(why)s") % {"why": refused.detail}


def _part(rule: Rule, place: str, known: Catalogue, result: Result, focus: str, depth: int) -> Part:  # noqa: PLR0917
    kind = drafts.kind_of(rule)
    problems = result.problems.get(place, [])
    part = Part(
        place,
        kind,
        "" if kind else label_of(rule),
        size=result.sizes.get(place),
        removes=result.removes.get(place),
        problems=[message(problem) for problem in problems if problem.code != "missing"],
        unfinished=bool(problems) and all(problem.code == "missing" for problem in problems),
        deep=depth >= MAX_DEPTH // 2,
        focus=bool(focus) and place == focus,
    )
    if kind:
        inner = drafts.children(rule) or []
        part.children = [
            _part(child, at, known, result, focus, depth + 1)
            for child, at in zip(inner, drafts.places(rule, place), strict=True)
        ]
    else:
        part.inputs = [_input(one, place, known) for one in fields_of(rule, known)]
        part.note = click_notes.note(rule) or first_source_fields.note(rule, known)
    return part


def _input(one: Field, place: str, known: Catalogue) -> Input:
    listed = (one.pair or one.many) and isinstance(one.value, list)
    values = one.value if listed else [one.value]
    options = list(one.choices)
    if one.kind == "pick":
        names = dict(sources(known)[one.source]) if one.source else {}
        options = [(str(value), names.get(str(value), str(value))) for value in values if value]
    return Input(one, f"f-{place}-{one.name}", [one.shown(value) for value in values], options)


def named_in_post(request: HttpRequest) -> dict[str, list[str]]:
    """The products, groups and messages that the posted rule names, or named before: undo may bring them back."""
    found = {key: _posted(request, key) for key in ("sku", "groups", "campaigns", "broadcasts")}
    for name in ("tree", "past"):
        with contextlib.suppress(ValueError, RecursionError):
            was = {"was": json.loads(request.POST.get(name) or "null")}
            for key, known in found.items():
                known.update(named_in(was, key))
    return {key: sorted(known)[:1000] for key, known in found.items()}


def _posted(request: HttpRequest, key: str) -> set[str]:
    """What the fields of this name say."""
    of_key = [values for name, values in request.POST.lists() if name.endswith(f"-{key}")]
    return {str(value) for values in of_key for value in values if value}


def _own(request: HttpRequest, public_id: str) -> Audience:
    try:
        return own_or_404(actor_of(request), public_id)
    except ValidationError as no_id:
        raise Http404 from no_id


def _refresh_of(audience: Audience | None) -> dict[str, str]:
    """How an audience is refreshed by itself, as the form shows it."""
    schedule = audience.schedule if audience else None
    if schedule is None:
        return {"how": "live" if audience and audience.live else "", "at": MORNING, "day": ""}
    day = "" if schedule.weekday is None else str(schedule.weekday)
    return {"how": "scheduled", "at": f"{schedule.at:%H:%M}", "day": day}


def _posted_refresh(request: HttpRequest) -> dict[str, str]:
    names = {"how": "refresh", "at": "refresh_at", "day": "refresh_day"}
    return {key: request.POST.get(name, "") for key, name in names.items()}


def _schedule(request: HttpRequest) -> Schedule | None:
    """The schedule that the form names. Raises NoTime."""
    if request.POST.get("refresh") != "scheduled":
        return None
    day = request.POST.get("refresh_day", "")
    try:
        return Schedule(time_of(request.POST.get("refresh_at", "")), int(day) if day in WEEKDAYS and day else None)
    except ValueError as wrong:
        raise NoTime from wrong


def _version(request: HttpRequest) -> int:
    """The version that the page was drawn from; none that can be the newest where that is no number."""
    try:
        return int(request.POST.get("version") or 0)
    except ValueError:
        return 0


def home_node(actor: Actor) -> OrgNode:
    """Where a new audience belongs: the brand for headquarters, else the first node of the actor's scope."""
    scope = actor.own_scope("audiences:edit")
    nodes = OrgNode.objects.filter(parent=None) if scope.everything else scope.org_nodes()
    return nodes.order_by("path")[:1].get()
