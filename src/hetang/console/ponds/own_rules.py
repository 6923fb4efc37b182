"""The rule of its own that a pond may have: composed on a page that returns to the form of the pond set with it, and
made a saved audience where others want it, too."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import get_language
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from hetang.audiences import pond_rules, ponds, queries
from hetang.audiences.catalogues import catalogue
from hetang.audiences.errors import NameTaken, StaleVersion, message
from hetang.audiences.models import Pond, PondSet
from hetang.audiences.ponds import MAX_NAME
from hetang.audiences.reading import parse
from hetang.audiences.rules import Catalogue, InvalidRule
from hetang.audiences.sentences import describe
from hetang.console.audiences import building, drafts
from hetang.console.audiences.drafts import Rule
from hetang.console.ponds import composing
from hetang.console.ponds.access import own_or_404
from hetang.console.ponds.composing import Typed
from hetang.platform.access import Actor, actor_of, needs


@require_POST
@needs("audiences:edit")
def compose(request: HttpRequest) -> HttpResponse:
    """The rule of the pond `line` in the builder: its own, or that of its audience to begin with. What is typed of the
    others travels with the page."""
    typed, place = _asked(request)
    line = typed.lines[place]
    rule = line.rule
    if rule is None and line.audience:
        seen = queries.visible(actor_of(request).scope("audiences:edit"))
        rule = next((one.rule for one in seen if str(one.public_id) == line.audience), None)
    known = catalogue(rule, fresh=True)
    return _page(request, typed, place, drafts.reopened(rule, known), [], known)


@require_POST
@needs("audiences:edit")
def use(request: HttpRequest) -> HttpResponse:
    """Back to the form of the pond set: with the rule, or (`cancel`) as it was."""
    typed, place = _asked(request)
    if "cancel" not in request.POST:
        known = catalogue(building.named_in_post(request), fresh=True)
        rule, past = drafts.read(request.POST, known)
        try:
            parse(drafts.document(rule), known)
        except InvalidRule:
            return _page(request, typed, place, rule, past, known, unfinished=True)
        typed.lines[place].rule, typed.lines[place].audience = drafts.document(rule), ""
    return composing.page(request, typed, composing.own_set(request))


@require_POST
@needs("audiences:edit")
def make_audience(request: HttpRequest, public_id: str) -> HttpResponse:
    """Make the own rule of one pond (`pond`) a saved audience called `name`."""
    actor = actor_of(request)
    pond_set = own_or_404(actor, public_id)
    code, name = request.POST.get("pond", ""), request.POST.get("name", "").strip()
    has = next((one for one in ponds.ponds_of(pond_set) if str(one.public_id) == code), None)
    if has is None or not name or len(name) > MAX_NAME:
        said = _("Give the audience a name of at most %(n)d characters.") % {"n": MAX_NAME}
        messages.error(request, said if has else _("It has been changed or archived meanwhile."))
        return redirect("ponds:detail", pond_set.public_id)
    try:
        saved = pond_rules.make_audience(actor, pond_set, has, name)
    except NameTaken:
        messages.error(request, _("There is already an audience of this name. Choose another one."))
    except StaleVersion:
        messages.error(request, _("It has been changed or archived meanwhile."))
    else:
        messages.success(request, _("“%(name)s” is an audience now. The pond goes on with it.") % {"name": saved.name})
    return redirect("ponds:detail", pond_set.public_id)


def told(pond_set: PondSet, actor: Actor) -> list[dict[str, Any]]:
    """Of each pond who is in it: its audience (a link where the actor may see that), or its own rule in words."""
    has = ponds.ponds_of(pond_set)
    own = [one.audience.rule for one in has if one.audience.pond_set_id]
    known = catalogue({"rules": own})
    seen = queries.seen_rules(actor.scope("audiences:view"))
    return [_told(one, known, one.audience_id in seen) | {"colour": place} for place, one in enumerate(has)]


def _told(pond: Pond, known: Catalogue, seen: bool) -> dict[str, Any]:
    own = pond.audience.pond_set_id is not None
    found = {"pond": pond, "own": own, "seen": seen, "sentence": "", "broken": ""}
    if own:
        try:
            found["sentence"] = describe(parse(pond.audience.rule, known), known, get_language() or "zh-hans")
        except InvalidRule as invalid:
            found["broken"] = " ".join(message(problem) for problem in invalid.problems[:3])
    return found


def _asked(request: HttpRequest) -> tuple[Typed, int]:
    """What is typed, and the line that is meant. Raises BadRequest."""
    typed, line = composing.read(request.POST), request.POST.get("line", "")
    place = int(line) if line.isdecimal() and len(line) < 3 else -1
    if not 0 <= place < len(typed.lines):
        raise BadRequest(line)
    return typed, place


def _page(  # noqa: PLR0917
    request: HttpRequest,
    typed: Typed,
    place: int,
    rule: Rule,
    past: list[Rule],
    known: Catalogue,
    unfinished: bool = False,
) -> HttpResponse:
    values = building.drawn(request, rule, known, past) | {
        "typed": typed,
        "place": place,
        "line": typed.lines[place],
        "pond_set": composing.own_set(request),
        "unfinished": unfinished,
    }
    return render(request, "console/ponds/rule.html", values, status=422 if unfinished else 200)
