"""The brand's life stage models: defined, looked at with an example before they are saved, archived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from uuid import UUID

from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.functional import Promise
from django.utils.translation import get_language, gettext_lazy, npgettext_lazy, pgettext, pgettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from hetang.audiences.naming import naming
from hetang.console.customers.words import MEMBER_KINDS
from hetang.console.settings.tabs import tabs
from hetang.customers import life_stages
from hetang.customers.errors import DuplicateName, StageProblem, StaleModel
from hetang.customers.life_stages import PROBLEMS, TEMPLATES, Definition
from hetang.customers.models import AttributeDefinition, LifeStageModel
from hetang.customers.stages import MOST, Course, Offset, Stage, begins
from hetang.platform import audit, clock
from hetang.platform.access import actor_of, needs

UNITS: dict[str, str | Promise] = {
    "day": pgettext_lazy("unit of time", "days"),
    "week": pgettext_lazy("unit of time", "weeks"),
    "month": pgettext_lazy("unit of time", "months"),
    "year": pgettext_lazy("unit of time", "years"),
}
KINDS: dict[str, str | Promise] = {
    "": gettext_lazy("Nobody"),
    life_stages.ANY: gettext_lazy("Every kind"),
    **MEMBER_KINDS,
}
_FEW = 3  # empty lines below those that are filled
_AFTER = {
    "day": npgettext_lazy("after the date", "%(n)s day after", "%(n)s days after", "n"),
    "week": npgettext_lazy("after the date", "%(n)s week after", "%(n)s weeks after", "n"),
    "month": npgettext_lazy("after the date", "%(n)s month after", "%(n)s months after", "n"),
    "year": npgettext_lazy("after the date", "%(n)s year after", "%(n)s years after", "n"),
}
_BEFORE = {
    "day": npgettext_lazy("before the date", "%(n)s day before", "%(n)s days before", "n"),
    "week": npgettext_lazy("before the date", "%(n)s week before", "%(n)s weeks before", "n"),
    "month": npgettext_lazy("before the date", "%(n)s month before", "%(n)s months before", "n"),
    "year": npgettext_lazy("before the date", "%(n)s year before", "%(n)s years before", "n"),
}


@dataclass(frozen=True)
class Line:
    """A line of the form: a stage as it was typed."""

    code: str = ""
    name: str = ""
    number: str = ""
    unit: str = "month"


@dataclass(frozen=True)
class Typed:
    """The whole form as it was typed."""

    name: str
    attribute: str
    member_kind: str
    lines: tuple[Line, ...]
    ends: Line
    example: str
    version: int

    def definition(self) -> Definition:
        """What it means. Raises StageProblem, ValueError with a sentence."""
        name = self.name.strip()
        if not 0 < len(name) <= 40:
            raise ValueError(_("Give the model a name of at most 40 characters."))
        stages = [
            Stage(one.code or life_stages.new_code(), one.name.strip()[:40], _offset(one))
            for one in self.lines
            if one.name.strip()
        ]
        ends = _offset(self.ends) if self.ends.number.strip() else None
        kind = self.member_kind if self.member_kind in KINDS else ""
        return Definition(name, self.attribute, kind, life_stages.arranged(stages, ends))


@require_GET
@needs("settings:edit", whole_brand=True)
def model_list(request: HttpRequest) -> HttpResponse:
    """The models in use, and the templates to start from."""
    values = {
        "rows": [
            (one, _counted_from(one.attribute, one.member_kind), [stage["name"] for stage in one.stages])
            for one in life_stages.active()
        ],
        "templates": TEMPLATES.values(),
        "tabs": tabs("life-stages", actor_of(request)),
    }
    return render(request, "console/settings/life_stages.html", values)


@needs("settings:edit", whole_brand=True)
def model_edit(request: HttpRequest, public_id: UUID | None = None) -> HttpResponse:
    """One model: looked at (`do=look`) and saved."""
    model = get_object_or_404(LifeStageModel, public_id=public_id, archived_at=None) if public_id else None
    typed = _read(request.POST) if request.method == "POST" else _opened(model, request.GET.get("template", ""))
    problem, course = "", None
    try:
        if request.method == "POST" or any(line.name for line in typed.lines):
            definition = typed.definition()
            course = definition.course
            if request.method == "POST" and request.POST.get("do") != "look":
                return _save(request, model, definition, typed.version)
    except StageProblem as refused:
        problem = str(PROBLEMS[refused.code]).format(stage=refused.stage, most=MOST)
    except DuplicateName:
        problem = _("There is a model of this name already.")
    except StaleModel:
        problem = _("Somebody else has changed it meanwhile. Open it again.")
    except ValueError as wrong:
        problem = str(wrong)
    values = {
        "model": model,
        "typed": typed,
        "problem": problem,
        "attributes": _date_attributes(),
        "kinds": KINDS.items(),
        "units": UNITS.items(),
        "preview": _preview(course, typed.example) if course else [],
        "asking": _asking(model) if model else [],
        "tabs": tabs("life-stages", actor_of(request)),
    }
    return render(request, "console/settings/life_stage.html", values, status=422 if problem else 200)


def _asking(model: LifeStageModel) -> list[str]:
    """Names of the audiences, and of the ponds, whose rule asks for its stages."""
    return [one.title for one in naming("model", str(model.public_id))]


@require_POST
@needs("settings:edit", whole_brand=True)
def model_archive(request: HttpRequest, public_id: UUID) -> HttpResponse:
    """Take a model out of use."""
    model = get_object_or_404(LifeStageModel, public_id=public_id)
    with transaction.atomic():
        if life_stages.archive(model):
            audit.record(
                actor_of(request), "life_stages.archived", "life_stages", model.public_id, {"name": model.name}
            )
    messages.success(request, _("“%(name)s” is archived.") % {"name": model.name})
    return redirect("settings:life-stages")


def _save(request: HttpRequest, model: LifeStageModel | None, said: Definition, version: int) -> HttpResponse:
    with transaction.atomic():
        saved = life_stages.change(model, said, version) if model else life_stages.create(said)
        changes = {
            **{"name": said.name, "attribute": said.attribute, "member_kind": said.member_kind},
            **{"stages": saved.stages, "ends": saved.ends},
        }
        action = "life_stages.changed" if model else "life_stages.created"
        audit.record(actor_of(request), action, "life_stages", saved.public_id, changes)
    messages.success(request, _("Saved. Who stands where counts at once; changes are noted from the next midnight on."))
    return redirect("settings:life-stages")


def _read(posted: QueryDict) -> Typed:
    columns = [posted.getlist(name)[: 2 * MOST] for name in ("code", "stage", "number", "unit")]
    lines = tuple(Line(*cells) for cells in zip(*columns, strict=False))
    version = posted.get("version", "")
    return Typed(
        posted.get("name", ""),
        posted.get("attribute", ""),
        posted.get("member_kind", ""),
        _padded([line for line in lines if line.name.strip() or line.number.strip()]),
        Line("", "", posted.get("ends", ""), posted.get("ends_unit", "year")),
        posted.get("example", "") or clock.today().isoformat(),
        int(version) if version.isdecimal() else 0,
    )


def _opened(model: LifeStageModel | None, template: str) -> Typed:
    today = clock.today().isoformat()
    if model is not None:
        course = life_stages.course_of(model)
        return _typed(model.name, model.attribute, model.member_kind, course, today, model.version)
    if template in TEMPLATES:
        chosen = TEMPLATES[template]
        return _typed(str(chosen.name), "", chosen.member_kind, life_stages.course_from(chosen), today, 0)
    return Typed("", "", "child", _padded([]), Line("", "", "", "year"), today, 0)


def _typed(  # noqa: PLR0917 - the parts of one form
    name: str, attribute: str, kind: str, course: Course, example: str, version: int
) -> Typed:
    lines = [Line(one.code, one.name, str(one.begins.number), one.begins.unit) for one in course.stages]
    ends = Line("", "", str(course.ends.number), course.ends.unit) if course.ends else Line("", "", "", "year")
    return Typed(name, attribute, kind, _padded(lines), ends, example, version)


def _padded(lines: Sequence[Line]) -> tuple[Line, ...]:
    return (*lines, *(Line() for _place in range(_FEW)))


def _offset(line: Line) -> Offset:
    text = line.number.strip().replace("−", "-")
    if not text.removeprefix("-").isdecimal() or len(text) > 7 or line.unit not in UNITS:
        where = line.name.strip() or _("the end of the last stage")
        raise ValueError(
            _("“%(stage)s”: enter a whole number and its unit, negative before the date.") % {"stage": where}
        )
    return Offset(int(text), line.unit)


def _preview(course: Course, example: str) -> list[tuple[str, str, date, bool]]:
    """Each stage, when it begins in words, on which day for the example, and whether it is today's."""
    try:
        reference = date.fromisoformat(example)
    except ValueError:
        reference = clock.today()
    now = course.stage_at(reference, clock.today())
    rows = [*course.stages, Stage("", pgettext("life stage", "Over"), course.ends)] if course.ends else [*course.stages]
    return [(one.name, begins_in_words(one.begins), begins(reference, one.begins), one == now) for one in rows]


def begins_in_words(offset: Offset) -> str:
    """`3 months after`, `40 weeks before`, `on the day`."""
    if offset.number == 0:
        return _("on the day")
    words = (_BEFORE if offset.number < 0 else _AFTER)[offset.unit]
    return str(words % {"n": abs(offset.number)})


def _date_attributes() -> list[tuple[str, str]]:
    english = get_language() == "en"
    rows = AttributeDefinition.objects.filter(type="date").order_by("code")
    return [(one.code, one.label_en if english else one.label_zh) for one in rows]


def _counted_from(attribute: str, member_kind: str) -> list[str]:
    found = []
    if attribute:
        found.append(dict(_date_attributes()).get(attribute, attribute))
    if member_kind:
        found.append(str(_("household: %(kind)s") % {"kind": KINDS.get(member_kind, member_kind)}))
    return found
