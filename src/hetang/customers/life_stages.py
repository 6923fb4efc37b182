"""Life stage models: what a brand defines, the templates to start from, and the verbs that change them."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from hetang.customers.errors import DuplicateName, StageProblem, StaleModel
from hetang.customers.models import AttributeDefinition, HouseholdMember, LifeStageModel
from hetang.customers.stages import FURTHEST, MOST, UNITS, Course, Offset, Stage, in_order
from hetang.platform import clock

ANY = LifeStageModel.ANY
PROBLEMS: dict[str, str | Promise] = {
    "no_stages": _("Name at least one stage."),
    "too_many": _("At most {most} stages."),
    "too_far": _("“{stage}” lies too far from the date."),
    "out_of_order": _("“{stage}” does not begin after the stage before it, for every date that there can be."),
    "name_twice": _("Two stages are called “{stage}”."),
    "ends_too_early": _("The last stage, “{stage}”, would be over before it begins."),
    "no_date": _("Choose what is counted from: a date of the customer, members of the household, or both."),
    "no_date_attribute": _("Choose an attribute that is a date."),
}


@dataclass(frozen=True)
class Template:
    """A course to start from. Stages: name, number, unit."""

    code: str
    name: str | Promise
    member_kind: str
    stages: tuple[tuple[str | Promise, int, str], ...]
    ends: Offset | None


TEMPLATES: dict[str, Template] = {
    one.code: one
    for one in (
        Template(
            "child",
            _("Child, from before birth to 14"),
            HouseholdMember.CHILD,
            (
                (_("Expecting"), -40, "week"),
                (_("0–3 months"), 0, "day"),
                (_("3–6 months"), 3, "month"),
                (_("6–12 months"), 6, "month"),
                (_("1–2 years"), 1, "year"),
                (_("2–3 years"), 2, "year"),
                (_("3–6 years"), 3, "year"),
                (_("6–8 years"), 6, "year"),
                (_("8–14 years"), 8, "year"),
            ),
            Offset(14, "year"),
        ),
        Template(
            "pet",
            _("Pet"),
            HouseholdMember.PET,
            (
                (_("Newborn, up to 8 weeks"), 0, "day"),
                (_("Young, up to 1 year"), 8, "week"),
                (_("Grown, up to 7 years"), 1, "year"),
                (_("Senior, from 7 years"), 7, "year"),
            ),
            None,
        ),
        Template(
            "adult",
            _("Age of the customer"),
            "",
            (
                (_("18–24"), 18, "year"),
                (_("25–34"), 25, "year"),
                (_("35–44"), 35, "year"),
                (_("45–54"), 45, "year"),
                (_("55–64"), 55, "year"),
                (_("65 and over"), 65, "year"),
            ),
            None,
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Definition:
    """What a brand says of a model: its name, what it counts from (`LifeStageModel`), its stages."""

    name: str
    attribute: str
    member_kind: str
    course: Course


@dataclass(frozen=True, slots=True)
class OfMembers:
    """A course that counts from days of household members."""

    course: Course
    member_kind: str

    def counts(self, kind: str) -> bool:
        """Whether it counts from members of this kind."""
        return self.member_kind in (ANY, kind)


def course_of(model: LifeStageModel) -> Course:
    """The stages of a model."""
    return read_course(model.stages, model.ends)


def read_course(stages: Sequence[dict[str, Any]], ends: dict[str, Any] | None) -> Course:
    """A course as models keep it."""
    read = tuple(Stage(one["code"], one["name"], Offset(one["number"], one["unit"])) for one in stages)
    return Course(read, Offset(ends["number"], ends["unit"]) if ends else None)


def course_from(template: Template) -> Course:
    """A template in the current language, with codes of its own."""
    stages = tuple(Stage(new_code(), str(name), Offset(number, unit)) for name, number, unit in template.stages)
    return Course(stages, template.ends)


def new_code() -> str:
    """A code that no stage has."""
    return f"s{uuid.uuid4().hex[:8]}"


def arranged(stages: Sequence[Stage], ends: Offset | None) -> Course:
    """Stages by when they begin. Raises StageProblem when they are no course."""
    course = Course(tuple(sorted(stages, key=lambda one: one.begins.length)), ends)
    if not course.stages:
        raise StageProblem("no_stages")
    if len(course.stages) > MOST:
        raise StageProblem("too_many")
    _check_distances(course)
    names: set[str] = set()
    for stage in course.stages:
        if stage.name in names:
            raise StageProblem("name_twice", stage.name)
        names.add(stage.name)
    for before, after in zip(course.stages, course.stages[1:], strict=False):
        if not in_order(before.begins, after.begins):
            raise StageProblem("out_of_order", after.name)
    if ends is not None and not in_order(course.stages[-1].begins, ends):
        raise StageProblem("ends_too_early", course.stages[-1].name)
    return course


def active() -> list[LifeStageModel]:
    """The models in use, by name."""
    return list(LifeStageModel.objects.filter(archived_at=None).order_by("name", "id"))


def of_members() -> list[OfMembers]:
    """The courses in use that count from household members."""
    return [OfMembers(course_of(model), model.member_kind) for model in active() if model.member_kind]


def create(said: Definition) -> LifeStageModel:
    """A new model; facts tell of changes from tomorrow on. Raises DuplicateName, StageProblem."""
    fields = _fields(said)
    try:
        with transaction.atomic():
            return LifeStageModel.objects.create(**fields, caught_up_to=clock.today(), created_at=clock.now())
    except IntegrityError as clash:
        raise DuplicateName(said.name) from clash


def change(model: LifeStageModel, said: Definition, version: int) -> LifeStageModel:
    """Another definition; `version` is the one that the editor saw. People whose stage differs by that alone had no
    birthday: no fact tells of them. Raises DuplicateName, StageProblem, StaleModel."""
    fields = _fields(said)
    found = LifeStageModel.objects.filter(pk=model.pk, version=version, archived_at=None)
    try:
        with transaction.atomic():
            if found.update(**fields, version=version + 1) != 1:
                raise StaleModel(said.name)
    except IntegrityError as clash:
        raise DuplicateName(said.name) from clash
    return LifeStageModel.objects.get(pk=model.pk)


def archive(model: LifeStageModel) -> bool:
    """Take a model out of use; its facts stay. False if it was archived already."""
    return LifeStageModel.objects.filter(pk=model.pk, archived_at=None).update(archived_at=clock.now()) == 1


def _fields(said: Definition) -> dict[str, Any]:
    if not said.attribute and not said.member_kind:
        raise StageProblem("no_date")
    if said.attribute and not AttributeDefinition.objects.filter(code=said.attribute, type="date").exists():
        raise StageProblem("no_date_attribute")
    course = arranged(said.course.stages, said.course.ends)
    return {
        "name": said.name,
        "attribute": said.attribute,
        "member_kind": said.member_kind,
        "stages": [
            {"code": one.code, "name": one.name, "number": one.begins.number, "unit": one.begins.unit}
            for one in course.stages
        ],
        "ends": {"number": course.ends.number, "unit": course.ends.unit} if course.ends else None,
    }


def _check_distances(course: Course) -> None:
    offsets = [(stage.name, stage.begins) for stage in course.stages]
    if course.ends is not None:
        offsets.append((course.stages[-1].name, course.ends))
    for name, offset in offsets:
        if offset.unit not in UNITS or abs(offset.number) > FURTHEST[offset.unit]:
            raise StageProblem("too_far", name)
